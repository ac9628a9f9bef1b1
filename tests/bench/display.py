"""What the unit's own screen costs without a graphics chip: a peer's 720p30 on all of an X server's screen in memory.

The program and the X server count together: what one saves by leaving it to the other is no gain. The peer is
GStreamer's cheapest way onto the same screen, ximagesink behind videoconvert (autovideosink takes OpenGL, which
costs far more). It converts into the memory that the X server reads; ours copies each picture once more, for PyAV says
where swscale writes, and has a label and Python beside it. The goal is a fifth more for that at most. Ours has the
pictures in memory, so what GStreamer takes to read them is measured alone and taken off.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from hw import Scene, Tile
from hw.sdl_display import SdlDisplay
from tests.bench.sources import FPS, MovingPictures
from tests.bench.table import Row, row
from tests.hw.x_server import HEIGHT, WIDTH, x_server

SETTLE_S, SECONDS = 1.5, 6.0  # what opens once opens in the first
ELEMENTS = ("multifilesrc", "rawvideoparse", "videoconvert", "ximagesink")
PACKAGES = "gstreamer1.0-tools, gstreamer1.0-x, gstreamer1.0-plugins-base, -good, -bad"


def missing() -> str:
    """What is missing for the peer, in words; empty: nothing."""
    if shutil.which("gst-launch-1.0") is None or shutil.which("gst-inspect-1.0") is None:
        return PACKAGES
    asked = [["gst-inspect-1.0", "--exists", name] for name in ELEMENTS]
    return PACKAGES if any(subprocess.run(command, check=False).returncode for command in asked) else ""


def _cores(*pids: int) -> float:
    """Of these processes together, once they have settled."""

    def used_s() -> float:
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)  # the clock of clock_getcpuclockid(3)

    time.sleep(SETTLE_S)
    before_s, start_s = used_s(), time.monotonic()
    time.sleep(SECONDS)
    return (used_s() - before_s) / (time.monotonic() - start_s)


@contextmanager
def _shown(pictures: list[av.VideoFrame]) -> Iterator[None]:
    display = SdlDisplay("bench", fullscreen=True)
    display.start(lambda width, height: None, lambda error: print(f"the screen was lost: {error}"))
    ended = threading.Event()

    def show() -> None:
        start_s, number = time.monotonic(), 0
        while not ended.wait(max(0.0, start_s + number / FPS - time.monotonic())):
            frame = pictures[number % len(pictures)]
            display.show(Scene((Tile("peer", frame, 0, 0, WIDTH, HEIGHT, label="peer"),)))
            number += 1

    thread = threading.Thread(target=show, name="bench-camera")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        display.close()


@contextmanager
def _gstreamer(directory: Path, count: int, sink: str) -> Iterator[int]:
    """Its process shows the pictures in files of `directory`."""
    source = f"multifilesrc location={directory}/%d stop-index={count - 1} loop=true caps=video/x-raw"
    parse = f"rawvideoparse format=i420 width={WIDTH} height={HEIGHT} framerate={FPS}/1"
    process = subprocess.Popen(["gst-launch-1.0", "-q", *f"{source} ! {parse} ! {sink}".split()])
    try:
        yield process.pid
        if process.poll() is not None:
            raise RuntimeError(f"GStreamer ended with status {process.returncode}")
    finally:
        process.terminate()
        process.wait()


def _measure() -> tuple[float, float]:
    """Cores: ours, GStreamer's."""
    source = MovingPictures()
    pictures = [source.next(number / FPS) for number in range(FPS)]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name, x_server(Path(name)) as server:
        os.environ["DISPLAY"] = server.display
        with _shown(pictures):
            ours = _cores(os.getpid(), server.pid)
            if not server.picture().any():
                raise RuntimeError("the screen shows nothing")
        for number, picture in enumerate(pictures):
            (Path(name) / str(number)).write_bytes(picture.to_ndarray().tobytes())
        with _gstreamer(Path(name), len(pictures), "videoconvert ! ximagesink") as pid:
            theirs = _cores(pid, server.pid)
        with _gstreamer(Path(name), len(pictures), "fakesink sync=true") as pid:
            return ours, theirs - _cores(pid)


async def rows() -> AsyncIterator[Row]:
    if packages := missing():
        print(f"no row of the screen, for something of Debian's is missing: {packages}")
        return
    ours, theirs = await asyncio.to_thread(_measure)
    yield row(f"own screen, 720p{FPS} on {WIDTH} x {HEIGHT}: CPU", "cores", ours, theirs, 1.2, "GStreamer's ximagesink")
