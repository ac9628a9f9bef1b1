"""A media file as an endless run of decoded frames."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Literal

import av
from av.container import InputContainer
from av.error import InvalidDataError

from hw import HardwareError

_FRAME_S = 0.04  # how long a frame lasts that does not say (a still picture)


class Film:
    """Frames of the first video or audio stream of `path`, over and over, with their time in seconds from 0 on.

    HardwareError names the file and the reason: missing, unreadable, without such a stream, nothing to decode in it.
    Frames that are broken are left out. `close` is idempotent; one thread at a time.
    """

    def __init__(self, path: str | Path, kind: Literal["video", "audio"]) -> None:
        self._path = Path(path)
        self._kind = kind
        self._container = self._open()
        self._frames = self._run()

    def next(self) -> tuple[float, av.VideoFrame | av.AudioFrame]:
        """The next frame and its time; a film that failed is closed."""
        try:
            return next(self._frames)
        except HardwareError:
            self.close()
            raise
        except (av.FFmpegError, OSError) as error:
            self.close()
            raise self._error(error) from error

    def close(self) -> None:
        self._frames.close()
        self._container.close()

    def _error(self, reason: object) -> HardwareError:
        reason = getattr(reason, "strerror", reason)
        return HardwareError(f"{self._kind} file {self._path}: {reason}")

    def _open(self) -> InputContainer:
        if not self._path.is_file():
            raise self._error("is no file" if self._path.exists() else "no such file")
        try:
            container = av.open(f"file:{self._path}", metadata_errors="replace")  # "file:": a name may look like a URL
        except (av.FFmpegError, OSError) as error:
            raise self._error(error) from error
        if not getattr(container.streams, self._kind):
            container.close()
            raise self._error(f"has no {self._kind}")
        return container

    def _run(self) -> Generator[tuple[float, av.VideoFrame | av.AudioFrame]]:
        end_s = 0.0
        while True:
            loop_s, count = end_s, 0
            first_s: float | None = None
            for frame in self._decode():
                count += 1
                at_s = end_s
                if frame.time is not None:
                    first_s = frame.time if first_s is None else first_s
                    at_s = max(at_s - _length_s(frame), loop_s + frame.time - first_s)  # never backwards
                end_s = at_s + _length_s(frame)
                yield at_s, frame
            if not count:
                raise self._error(f"has no {self._kind} that can be decoded")
            self._container.close()
            self._container = self._open()

    def _decode(self) -> Iterator[av.VideoFrame | av.AudioFrame]:
        stream = getattr(self._container.streams, self._kind)[0]
        for packet in self._container.demux(stream):
            try:
                yield from packet.decode()
            except InvalidDataError:
                continue


def _length_s(frame: av.VideoFrame | av.AudioFrame) -> float:
    if isinstance(frame, av.AudioFrame):
        return frame.samples / frame.sample_rate
    if frame.duration and frame.time_base:
        return float(frame.duration * frame.time_base)
    return _FRAME_S
