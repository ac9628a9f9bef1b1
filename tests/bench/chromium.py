"""Chromium as it comes, in a process of its own; what it does is in chromium_page.js."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from tests.bench.end import Taken
from tests.bench.sources import HEIGHT, WIDTH, MovingPictures
from tests.integration.browser import EXECUTABLE, FLAGS

_PAGE = "https://bench.test/"  # never asked for: sources and sinks of tracks need a secure context
_SCRIPT = Path(__file__).with_name("chromium_page.js")
_CLOCK_READINGS = 30
_CAMERA_PICTURES = 60


class Chromium:
    """Sends synthetic tracks, and reads codes and bursts out of what comes."""

    devices = False  # its own camera and microphone, and elements that play: what a call costs a browser

    def __init__(self) -> None:
        self.first_frame_s = 0.0

    async def start(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        flags = [*FLAGS, "--no-sandbox"]
        if self.devices:
            flags.append(f"--use-file-for-fake-video-capture={_film(Path(self._directory.name))}")
        self._playwright = await async_playwright().start()
        self._browser = await self._playwright.chromium.launch(executable_path=EXECUTABLE, args=flags)
        page: Page = await self._browser.new_page()
        await page.route(_PAGE, lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
        await page.goto(_PAGE)
        await page.add_script_tag(path=_SCRIPT)
        self._page = page
        await page.evaluate("(offset) => { bench.offset = offset; }", await self._clock_offset_ms())
        await self._do("plain = argument", self.devices)
        await self._do("start(argument)", self.devices)

    async def offer(self) -> str:
        return str(await self._do("offer()"))

    async def answer(self, sdp: str) -> str:
        return str(await self._do("answer(argument)", sdp))

    async def accept(self, sdp: str) -> None:
        await self._do("accept(argument)", sdp)

    async def connected(self) -> None:
        await self._do("connected()")

    async def sent_bytes(self) -> int:
        return int(await self._do("sentBytes()"))

    async def take(self) -> Taken:
        taken = await self._do("take()")
        self.first_frame_s = float(await self._do("firstFrame")) / 1000
        frames = [(at_ms / 1000, age_ms) for at_ms, age_ms in taken["frames"]]
        return Taken(frames, taken["sounds"])

    async def close(self) -> None:
        await self._browser.close()
        await self._playwright.stop()
        await asyncio.to_thread(self._directory.cleanup)

    async def _do(self, what: str, argument: Any = None) -> Any:
        return await self._page.evaluate(f"(argument) => bench.{what}", argument)

    async def _clock_offset_ms(self) -> float:
        """From performance.now() to this process's monotonic clock, which is the machine's."""
        best_s, offset_ms = 1.0, 0.0
        for _ in range(_CLOCK_READINGS):
            before_s = time.monotonic()
            page_ms = await self._page.evaluate("performance.now()")
            took_s = time.monotonic() - before_s
            if took_s < best_s:
                best_s, offset_ms = took_s, (before_s + took_s / 2) * 1000 - page_ms
        return offset_ms


class Browser(Chromium):
    """A call as a person makes it."""

    devices = True


def _film(directory: Path) -> Path:
    """A camera that costs next to nothing."""
    path, pictures = directory / "camera.y4m", MovingPictures()
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F30:1 Ip A1:1 C420\n".encode())
        for number in range(_CAMERA_PICTURES):
            file.write(b"FRAME\n" + pictures.next(number / 30).to_ndarray(format="yuv420p").tobytes())
    return path
