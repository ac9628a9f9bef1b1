"""Cameras and a speaker of a whole call, that cost next to nothing.

What a camera delivers was made by another process, as the file is that Chromium's camera plays:
`python -m tests.bench.recorded raw|h264 FILE`.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import av

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AccessUnit, Camera, HardwareError, Picture, Samples
from tests.bench.sources import FPS, HEIGHT, WIDTH, Paced

Kind = Literal["raw", "h264"]

RAW_PICTURES = 60  # as many as Chromium's camera has
BUFFERS = 2  # one is filled while the other is encoded
UNITS_BPS = 2_500_000  # what the unit asks of a camera at most
_SIZE = struct.Struct("!L")


async def camera(kind: Kind, directory: Path) -> Camera:
    """A camera of pictures or of access units; its file comes into `directory`."""
    path = directory / kind
    maker = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.bench.recorded", kind, str(path))
    if status := await maker.wait():
        raise RuntimeError(f"no film could be made: status {status}")
    return RawCamera(path) if kind == "raw" else UnitsCamera(path)


class RawCamera(Paced):
    """Delivers the pictures of a file in a loop."""

    width, height, fps = WIDTH, HEIGHT, FPS

    def __init__(self, path: Path) -> None:
        super().__init__("bench-raw-camera", 1 / FPS)
        self._file = os.open(path, os.O_RDONLY)
        self._frames = [av.VideoFrame(WIDTH, HEIGHT, "yuv420p") for _ in range(BUFFERS)]
        self._at = 0

    def start(self, sink: Callable[[Picture | AccessUnit], None], on_lost: Callable[[HardwareError], None]) -> None:
        self.run(lambda due_s: sink(Picture(self._next(), due_s)))

    def _next(self) -> av.VideoFrame:
        self._at = (self._at + 1) % BUFFERS
        frame = self._frames[self._at]
        planes = [memoryview(plane) for plane in frame.planes]
        if os.readv(self._file, planes) < sum(map(len, planes)):
            os.lseek(self._file, 0, os.SEEK_SET)
            os.readv(self._file, planes)
        return frame

    def close(self) -> None:
        super().close()
        os.close(self._file)

    def request_keyframe(self) -> None:
        """It does not encode."""

    def set_bitrate(self, bps: int) -> None:
        """It does not encode."""


class UnitsCamera(Paced):
    """Delivers the access units of a file in a loop, as a camera that encodes; it goes its own way."""

    width, height, fps = WIDTH, HEIGHT, FPS

    def __init__(self, path: Path) -> None:
        from tests.bench.encoded import GROUP

        super().__init__("bench-units-camera", 1 / FPS)
        self._group = GROUP
        self._units = _read(path)
        self._at = 0

    def start(self, sink: Callable[[Picture | AccessUnit], None], on_lost: Callable[[HardwareError], None]) -> None:
        self.run(lambda due_s: sink(self._next(due_s)))

    def _next(self, due_s: float) -> AccessUnit:
        at = self._at
        self._at = (at + 1) % len(self._units)
        return AccessUnit(self._units[at], at % self._group == 0, due_s)

    def request_keyframe(self) -> None:
        """It makes one every two seconds."""

    def set_bitrate(self, bps: int) -> None:
        """It keeps its own."""


class PlainSpeaker(Paced):
    """Pulls 10 ms each 10 ms, and does not listen."""

    def __init__(self) -> None:
        super().__init__("bench-plain-speaker", BLOCK_FRAMES / SAMPLE_RATE_HZ)

    def start(self, source: Callable[[], Samples], on_lost: Callable[[HardwareError], None]) -> None:
        def pull(due_s: float) -> None:
            source()

        self.run(pull)


def _read(path: Path) -> list[bytes]:
    units, rest = [], path.read_bytes()
    while rest:
        end = _SIZE.size + _SIZE.unpack_from(rest)[0]
        units.append(rest[_SIZE.size : end])
        rest = rest[end:]
    return units


def _write(kind: str, path: Path) -> None:
    from itertools import islice

    from tests.bench import encoded

    with path.open("wb") as file:
        if kind == "raw":
            for picture in islice(encoded.pictures(), RAW_PICTURES):
                file.write(picture.to_ndarray().tobytes())
        else:
            for unit in encoded.access_units(UNITS_BPS):
                file.write(_SIZE.pack(len(unit)) + unit)


if __name__ == "__main__":
    _write(sys.argv[1], Path(sys.argv[2]))
