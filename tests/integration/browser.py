"""Debian's real Chromium in a room: launching it, feeding its microphone and camera, reading what it plays and shows.

    async with chromium(audio=tone, video=clip) as browser:      # one process; its devices play these files
        page = await join(browser, url, name="Anna")             # the room page, joined
        await until(page, "room.peers[0].audio.frequency > 400")
        luma = await picture(page, user_id)                      # what the tile of that user shows

A machine without Chromium skips the test and names the package; under CI=true it fails.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import wave
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

EXECUTABLE = "/usr/bin/chromium"
STEP_TIMEOUT_S = 15.0  # for one thing on the page to come true; most take well under one second

FLAGS = (
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=WebRtcHideLocalIpsWithMdns,Translate,OptimizationHints,MediaRouter",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--no-first-run",
)

_GRAB = """async (user) => {
    const video = document.querySelector(`[data-user="${CSS.escape(user)}"] video`);
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const luma = new Uint8Array(data.length / 4);
    for (let i = 0; i < luma.length; i++)
        luma[i] = 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
    let text = "";
    for (let i = 0; i < luma.length; i += 32768) text += String.fromCharCode(...luma.subarray(i, i + 32768));
    return [canvas.width, canvas.height, btoa(text)];
}"""


def require_chromium() -> str:
    """The path of Chromium; skips or, under CI=true, fails."""
    if Path(EXECUTABLE).exists() and shutil.which(EXECUTABLE):
        return EXECUTABLE
    reason = f"{EXECUTABLE} is missing: apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@asynccontextmanager
async def chromium(
    *,
    audio: Path | None = None,
    video: Path | None = None,
    devices: bool = True,
    refuse: bool = False,
    autoplay: bool = True,
) -> AsyncIterator[Browser]:
    """A browser process of its own. `audio` (WAV) and `video` (Y4M or MJPEG) are looped as its microphone and camera,
    without them they are Chromium's own beeps and moving picture; `devices=False`: it has neither; `refuse`: the page
    may not use them; `autoplay=False`: no sound before a gesture, as on a person's machine.
    """
    path = require_chromium()
    without = [
        *([] if devices else ["--use-fake"]),
        *(["--use-fake-ui"] if refuse else []),
        *([] if autoplay else ["--autoplay"]),
    ]
    args = [flag for flag in FLAGS if not flag.startswith(tuple(without))]
    if audio is not None:
        args.append(f"--use-file-for-fake-audio-capture={audio}")
    if video is not None:
        args.append(f"--use-file-for-fake-video-capture={video}")
    if os.geteuid() == 0:
        args.append("--no-sandbox")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=args)
        try:
            yield browser
        finally:
            await browser.close()


async def open_page(browser: Browser, url: str, **context: Any) -> Page:
    """A page in a fresh profile; `context` as in new_context(). What it logs as errors is kept in `problems`."""
    page = await (await browser.new_context(**context)).new_page()
    problems[page] = []
    page.on("pageerror", lambda error: problems[page].append(str(error)))
    page.on("console", lambda message: _note(page, message))
    await page.goto(url)
    return page


problems: dict[Page, list[str]] = {}


def _note(page: Page, message: ConsoleMessage) -> None:
    if message.type == "error":
        problems[page].append(f"{message.text} {message.location['url']}".strip())


async def join(browser: Browser, url: str, *, name: str, query: str = "", **context: Any) -> Page:
    """Opens `url` (a `/join/ROOM` address, maybe with `#token=`), joins without the lobby, waits for the room.

    The microphone is sent untouched (`filter=off`): the browser's noise suppression would remove a test tone.
    """
    base, _, fragment = url.partition("#")
    address = f"{base}?auto=1&filter=off&name={name}{query}" + (f"#{fragment}" if fragment else "")
    page = await open_page(browser, address, **context)
    await until(page, "room.state === 'connected'")
    return page


async def close(page: Page) -> None:
    """Leaves the room, if it is in one, then drops the page and its profile."""
    if await page.evaluate("window.room?.state === 'connected'"):
        await page.evaluate("document.getElementById('leave').click()")  # a dialog may cover it
        await until(page, "room.state === 'ended'")
    problems.pop(page, None)
    await page.context.close()


async def until(page: Page, condition: str, timeout_s: float = STEP_TIMEOUT_S) -> None:
    """Waits for a JavaScript expression to be true (one that throws isn't yet); a time-out says where the page was."""
    guarded = f"() => {{ try {{ return Boolean({condition}) }} catch {{ return false }} }}"
    try:
        await page.wait_for_function(guarded, timeout=timeout_s * 1000, polling=50)
    except Exception as exc:
        state = await page.evaluate("JSON.stringify([room.state, room.reason, room.local, room.peers])")
        raise AssertionError(f"never true: {condition}; the page is at {state}; errors {problems.get(page)}") from exc


async def until_untouched(page: Page, condition: str, timeout_s: float = STEP_TIMEOUT_S) -> None:
    """As `until`, for a page that nobody has touched: playwright's own evaluations count as a person's gesture."""
    session = await page.context.new_cdp_session(page)
    async with asyncio.timeout(timeout_s):
        while True:
            answer = await session.send(
                "Runtime.evaluate", {"expression": f"Boolean({condition})", "returnByValue": True}
            )
            if answer["result"].get("value") is True:
                break
            await asyncio.sleep(0.05)
    await session.detach()


async def user_id(page: Page) -> str:
    return str(await page.evaluate("room.userId"))


async def peers(page: Page) -> dict[str, dict[str, Any]]:
    """`room.peers` of the page by user id."""
    return {peer["userId"]: peer for peer in await page.evaluate("room.peers")}


async def picture(page: Page, user: str) -> npt.NDArray[np.uint8]:
    """The luma of what the tile of `user` shows now, height x width."""
    width, height, data = await page.evaluate(_GRAB, user)
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width)


def hears(user: str, frequency_hz: float, tolerance_hz: float = 25.0) -> str:
    """The condition for `until` that the audio of `user` arrives with this tone as its strongest frequency."""
    return (
        f"room.peers.some((peer) => peer.userId === '{user}' && peer.audio?.level > 20 "
        f"&& Math.abs(peer.audio.frequency - {frequency_hz}) < {tolerance_hz})"
    )


def write_tone(path: Path, frequency_hz: float, *, seconds: int = 4, amplitude: float = 0.3) -> Path:
    """A WAV file (48 kHz, mono, 16 bit) with a sine; whole periods, so that it loops without a click."""
    time_s = np.arange(48000 * seconds) / 48000
    samples = (np.sin(2 * np.pi * round(frequency_hz) * time_s) * amplitude * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(samples.tobytes())
    return path


def write_clip(path: Path, lumas: Iterable[npt.NDArray[np.uint8]], *, fps: int = 15) -> Path:
    """A gray Y4M file out of luma planes of one even size."""
    with path.open("wb") as file:
        for index, luma in enumerate(lumas):
            height, width = luma.shape
            if index == 0:
                file.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420\n".encode())
            file.write(b"FRAME\n" + luma.tobytes() + bytes([128]) * (width * height // 2))
    return path
