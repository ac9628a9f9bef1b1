"""Sinks that a test waits on, and a check that no thread stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar, cast

import av

from hw import AccessUnit, Picture
from hw.frame_code import Luma

T = TypeVar("T")

TIMEOUT_S = 10.0  # far above what is waited for, for a loaded machine


class Collector(Generic[T]):
    """A sink for a device's thread: `items`, and `wait(count)` until that many came."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self._changed = threading.Condition()

    def __call__(self, item: T) -> None:
        with self._changed:
            self.items.append(item)
            self._changed.notify_all()

    def wait(self, count: int) -> list[T]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.items) >= count, TIMEOUT_S), f"only {len(self.items)} came"
            return self.items[:count]


@contextmanager
def no_new_threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def lost_is_an_error(error: Exception) -> None:
    raise AssertionError(f"lost: {error}")


def luma_of(picture: Picture | AccessUnit | av.VideoFrame) -> Luma:
    """The Y plane of a raw yuv420p picture."""
    frame = picture.frame if isinstance(picture, Picture) else picture
    assert isinstance(frame, av.VideoFrame)
    assert frame.format.name == "yuv420p"
    return cast(Luma, frame.to_ndarray()[: frame.height])
