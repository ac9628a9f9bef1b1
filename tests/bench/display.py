"""What the unit's own screen costs: a peer's 720p30 on all of it, against the conversion to RGB alone.

On an X server in memory, where SDL converts and scales by the processor; a graphics chip does that on a unit.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import av

from hw import Scene, Tile
from hw.sdl_display import SdlDisplay
from tests.bench.sources import FPS, MovingPictures
from tests.bench.table import Row, row
from tests.hw.x_server import HEIGHT, WIDTH, x_server

SECONDS = 6


def _shown(pictures: list[av.VideoFrame]) -> float:
    """Cores of this process while it shows them."""
    display = SdlDisplay("bench", fullscreen=True)
    display.start(lambda width, height: None, lambda error: print(f"the screen was lost: {error}"))
    try:
        cpu_s, start_s = 0.0, time.monotonic()
        for number in range(-FPS, SECONDS * FPS):  # the first second opens what opens once
            if number == 0:
                cpu_s = time.process_time()
            frame = pictures[number % FPS]
            display.show(Scene((Tile("peer", frame, 0, 0, WIDTH, HEIGHT, label="peer"),)))
            time.sleep(max(0.0, start_s + (number + FPS + 1) / FPS - time.monotonic()))
        return (time.process_time() - cpu_s) / SECONDS
    finally:
        display.close()


def _converted(pictures: list[av.VideoFrame]) -> float:
    cpu_s = time.process_time()
    for number in range(SECONDS * FPS):
        pictures[number % FPS].reformat(format="rgb24")
    return (time.process_time() - cpu_s) / SECONDS


def _measure() -> tuple[float, float]:
    source = MovingPictures()
    pictures = [source.next(number / FPS) for number in range(FPS)]
    with tempfile.TemporaryDirectory() as directory, x_server(Path(directory)) as server:
        os.environ["DISPLAY"] = server.display
        return _shown(pictures), _converted(pictures)


async def rows() -> AsyncIterator[Row]:
    shown, converted = await asyncio.to_thread(_measure)
    yield row(f"own screen, 720p{FPS} on {WIDTH} x {HEIGHT}: CPU", "cores", shown, converted, 2.0, "RGB by swscale")
