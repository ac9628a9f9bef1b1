"""Cameras and a speaker of a whole call, that cost next to nothing.

What a camera delivers was made by another process, as the file is that Chromium's camera plays:
`python -m tests.bench.recorded raw|h264 FILE`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import av

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, Camera, HardwareError, Picture, Samples
from tests.bench.encoded import UnitsCamera, access_units, pictures
from tests.bench.sources import HEIGHT, WIDTH, Paced, PacedCamera

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
    return RawCamera(path) if kind == "raw" else UnitsCamera(_read(path))


class RawCamera(PacedCamera):
    """Delivers the pictures of a file in a loop."""

    def __init__(self, path: Path) -> None:
        super().__init__("bench-raw-camera")
        self._file = os.open(path, os.O_RDONLY)
        self._frames = itertools.cycle([av.VideoFrame(WIDTH, HEIGHT, "yuv420p") for _ in range(BUFFERS)])

    def next_picture(self, due_s: float) -> Picture:
        frame = next(self._frames)
        planes = [memoryview(plane) for plane in frame.planes]
        if os.readv(self._file, planes) < sum(map(len, planes)):
            os.lseek(self._file, 0, os.SEEK_SET)
            os.readv(self._file, planes)
        return Picture(frame, due_s)

    def close(self) -> None:
        super().close()
        os.close(self._file)


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
    with path.open("wb") as file:
        if kind == "raw":
            for picture in itertools.islice(pictures(), RAW_PICTURES):
                file.write(picture.to_ndarray().tobytes())
        else:
            for unit in access_units(UNITS_BPS):
                file.write(_SIZE.pack(len(unit)) + unit)


if __name__ == "__main__":
    _write(sys.argv[1], Path(sys.argv[2]))
