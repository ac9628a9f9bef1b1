"""Media files as camera and microphone: any container PyAV reads, looped, paced in real time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.resampler import AudioResampler

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AudioBlock, BlockSink, OnLost, Picture, PictureSink, Samples
from hw.films import Film
from hw.fit import Fit
from hw.pacing import Pacer


class FileCamera:
    """Each 1/fps s the picture that the film shows then: a faster film loses frames, a slower one repeats them.

    Pictures are scaled to width x height with their proportions kept. `start` raises HardwareError naming file and
    reason; a file that goes bad while it plays is lost like any device.
    """

    def __init__(self, path: str | Path, width: int = 1280, height: int = 720, fps: int = 30) -> None:
        self.device_id = str(path)
        self.width, self.height, self.fps = width, height, fps
        self._film: Film | None = None
        self._pacer = Pacer("file-camera")

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        self.close()
        film = Film(self.device_id, "video")
        self._film = film
        fit = Fit(self.width, self.height)
        current = upcoming = cast("tuple[float, av.VideoFrame]", film.next())

        def tick(number: int, _due_s: float) -> None:
            nonlocal current, upcoming
            now_s = number / self.fps
            newest = None
            while upcoming[0] <= now_s:
                newest = upcoming
                upcoming = cast("tuple[float, av.VideoFrame]", film.next())
            if newest is not None:
                current = (newest[0], fit(newest[1]))
            sink(Picture(current[1], time.monotonic()))

        self._pacer.start(1 / self.fps, lambda: tick, on_lost)

    def request_keyframe(self) -> None:
        pass

    def set_bitrate(self, bps: int) -> None:
        pass

    def close(self) -> None:
        self._pacer.close()
        film, self._film = self._film, None
        if film is not None:
            film.close()


class FileMicrophone:
    """The file's first audio stream as 48 kHz mono, without a gap where it starts again.

    `start` raises HardwareError naming file and reason; a file that goes bad while it plays is lost like any device.
    """

    def __init__(self, path: str | Path) -> None:
        self.device_id = str(path)
        self._film: Film | None = None
        self._pacer = Pacer("file-microphone")

    def start(self, sink: BlockSink, on_lost: OnLost) -> None:
        self.close()
        film = Film(self.device_id, "audio")
        self._film = film
        resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)

        def read() -> list[Samples]:
            frame = cast("av.AudioFrame", film.next()[1])
            return [cast("Samples", piece.to_ndarray().reshape(-1)) for piece in resampler.resample(frame)]

        rest = np.concatenate([np.zeros(0, np.int16), *read()])

        def tick(_number: int, due_s: float) -> None:
            nonlocal rest
            while rest.size < BLOCK_FRAMES:
                rest = np.concatenate([rest, *read()])
            block, rest = rest[:BLOCK_FRAMES], rest[BLOCK_FRAMES:]
            sink(AudioBlock(block, due_s))

        self._pacer.start(BLOCK_FRAMES / SAMPLE_RATE_HZ, lambda: tick, on_lost)

    def close(self) -> None:
        self._pacer.close()
        film, self._film = self._film, None
        if film is not None:
            film.close()
