"""The pictures of a directory as a camera: one after the other, over and over."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import av

from hw import HardwareError, OnLost, Picture, PictureSink
from hw.fit import Fit
from hw.pacing import Pacer

logger = logging.getLogger(__name__)

SUFFIXES = (".jpeg", ".jpg", ".png", ".webp", ".bmp")
FPS = 5  # a picture that stands still: the next key frame that somebody asks for is soon there


class SlideCamera:
    """Each picture of `directory` for `slide_s`, in the order of their names; what is put in or taken out meanwhile
    counts from the next round on. One that cannot be read is left out, and the log says so.

    Pictures are scaled to width x height with their proportions kept. HardwareError when there is none.
    """

    def __init__(
        self, directory: str | Path, width: int = 1920, height: int = 1080, fps: int = FPS, *, slide_s: float = 10.0
    ) -> None:
        self.device_id = str(directory)
        self.width, self.height, self.fps = width, height, min(fps, FPS)
        self._directory = Path(directory)
        self._slide_s = slide_s
        self._pacer = Pacer("slides")
        self._refused: set[Path] = set()

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        fit = Fit(self.width, self.height)
        steps = max(1, round(self._slide_s * self.fps))
        waiting = self._files()
        current = self._next(waiting, fit)

        def tick(number: int, _due_s: float) -> None:
            nonlocal current
            if number and number % steps == 0:
                current = self._next(waiting, fit)
            sink(Picture(current, time.monotonic()))

        self._pacer.start(1 / self.fps, lambda: tick, on_lost)

    def request_keyframe(self) -> None:
        """It does not encode."""

    def set_bitrate(self, bps: int) -> None:
        """It does not encode."""

    def close(self) -> None:
        self._pacer.close()

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self._directory.iterdir() if path.suffix.lower() in SUFFIXES)
        except OSError as error:
            raise HardwareError(f"pictures in {self._directory}: {error.strerror}") from error

    def _next(self, waiting: list[Path], fit: Fit) -> av.VideoFrame:
        """The next picture that can be read; `waiting` begins anew at its end."""
        for _ in range(2):
            while waiting:
                path = waiting.pop(0)
                try:
                    with av.open(f"file:{path}") as container:
                        return fit(next(container.decode(video=0)))
                except (av.FFmpegError, OSError, StopIteration, ValueError, IndexError) as error:
                    if path not in self._refused:
                        self._refused.add(path)
                        logger.warning("picture %s is left out: %s", path, error or type(error).__name__)
            waiting += self._files()
            self._refused.intersection_update(waiting)
        raise HardwareError(f"pictures in {self._directory}: there is none that can be read")
