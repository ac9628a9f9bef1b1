"""Received video, decoded only while somebody watches; the newest picture counts, older ones are dropped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import av

from appliance.errors import ApplianceError
from appliance.media.video_decoder import DecodedPicture
from appliance.media.video_stats import Counters, ShownFrames, VideoInStats


class VideoClosedError(ApplianceError):
    """The video ended while its next picture was awaited."""


class RemoteVideo:
    """One received video track. Everything here belongs to the event loop.

    A VideoReceiver feeds `on_decoded`, decodes nothing while not `wanted`, and sets `on_wanted`, which is called when
    that changes: when the first watcher comes and when the last one goes.
    """

    def __init__(self) -> None:
        self.latest: av.VideoFrame | None = None
        self.latest_s: float | None = None  # when `latest` was shown, monotonic
        self.counters = Counters()
        self._shown = ShownFrames()
        self.on_wanted: Callable[[], None] = lambda: None
        self._watchers = 0
        self._waiters: set[asyncio.Future[av.VideoFrame]] = set()
        self._closed = False

    @property
    def wanted(self) -> bool:
        """Whether pictures are decoded."""
        return self._watchers > 0 and not self._closed

    def stats(self) -> VideoInStats:
        return self.counters.snapshot(self._shown, time.monotonic())

    @contextmanager
    def watch(self) -> Iterator[RemoteVideo]:
        """Pictures are decoded while this is open; the last watcher to go takes `latest` along."""
        self._watchers += 1
        try:
            if self._watchers == 1 and not self._closed:
                self.on_wanted()
            yield self
        finally:
            self._watchers -= 1
            if self._watchers == 0:
                self.latest = self.latest_s = None
                self._shown.pause()
                if not self._closed:
                    self.on_wanted()

    async def wait_frame(self) -> av.VideoFrame:
        """The next decoded picture. VideoClosedError when there will be none; RuntimeError while nobody watches."""
        if self._closed:
            raise VideoClosedError("the video has ended")
        if not self._watchers:
            raise RuntimeError("wait_frame outside of watch(): nothing is decoded")
        waiter: asyncio.Future[av.VideoFrame] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            return await waiter
        finally:
            self._waiters.discard(waiter)

    def on_decoded(self, picture: DecodedPicture) -> None:
        """Takes a decoded picture; one that comes while nobody watches is dropped."""
        if not self.wanted:
            return
        frame, now_s = picture.frame, time.monotonic()
        self.latest, self.latest_s = frame, now_s
        self.counters.width, self.counters.height = frame.width, frame.height
        self._shown.add(now_s)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(frame)

    def close(self) -> None:
        """The track has ended: who waits for a picture gets VideoClosedError."""
        self._closed = True
        self.latest = self.latest_s = None
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(VideoClosedError("the video has ended"))
