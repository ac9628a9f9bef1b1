"""The queue before a video decoder's thread: pictures that nobody watches are never decoded."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from appliance.media.payload import KEYFRAME_TESTS

MAX_UNDECODED = 30  # pictures: a decoder that is a second behind starts anew with a key frame


class DecoderQueue(queue.Queue[Any]):
    """Takes (codec, picture with `data`), or None to end the decoder. Put from the event loop, got by the decoder."""

    def __init__(self, wanted: Callable[[], bool], on_behind: Callable[[], None]) -> None:
        super().__init__()
        self._wanted, self._on_behind = wanted, on_behind
        self._needs_keyframe = True

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is None:
            with self.mutex:
                self.queue.clear()  # who stops a decoder waits for it
        elif not self._passes(*item):
            return
        super().put(item, block, timeout)

    def _passes(self, codec: Any, frame: Any) -> bool:
        if not self._wanted():
            self._needs_keyframe = True
            return False
        if self.qsize() >= MAX_UNDECODED:
            self._needs_keyframe = True
            self._on_behind()
            return False
        if self._needs_keyframe:
            self._needs_keyframe = not KEYFRAME_TESTS[codec.name](frame.data)
        return not self._needs_keyframe
