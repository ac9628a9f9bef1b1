"""Received video, decoded only while somebody watches; each picture in its time, and the newest one counts."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import av

from appliance.errors import ApplianceError
from appliance.media.lip_sync import LipSync
from appliance.media.presentation import Presentation
from appliance.media.sender_clock import SenderClock
from appliance.media.trace import Trace
from appliance.media.video_decoder import DecodedPicture
from appliance.media.video_stats import Counters, ShownFrames, VideoInStats

EARLY_S = 0.001  # a timer is not exact
MAX_HELD = 16  # pictures, over a quarter of a second


class VideoClosedError(ApplianceError):
    """The video ended while its next picture was awaited."""


class RemoteVideo:
    """One received video track. Everything here belongs to the event loop.

    A VideoReceiver feeds `on_decoded`, decodes nothing while not `wanted`, and sets `on_wanted`, which is called when
    that changes: when the first watcher comes and when the last one goes. Pictures are shown when they are due.
    """

    def __init__(self, trace: Trace | None = None) -> None:
        self.latest: av.VideoFrame | None = None
        self.latest_s: float | None = None  # when `latest` was shown, monotonic
        self.counters = Counters()
        self.lip_sync = LipSync()
        self.clock = SenderClock()
        # RTP timestamp and monotonic time of the newest sound of the same sender that was given to the speaker.
        self.heard: Callable[[], tuple[int, float] | None] = lambda: None
        self.on_wanted: Callable[[], None] = lambda: None
        self.on_watched: Callable[[], None] = lambda: None  # as `on_wanted`, for who decides what is to be sent
        self._trace = trace or Trace()
        self._shown = ShownFrames()
        self._presentation = Presentation()
        self._held: deque[tuple[float, DecodedPicture]] = deque()  # with the time that each is due
        self._timer: asyncio.TimerHandle | None = None
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
            if self._watchers == 1:
                self._tell_wanted()
            yield self
        finally:
            self._watchers -= 1
            if self._watchers == 0:
                self._forget()
                self._tell_wanted()

    async def wait_frame(self) -> av.VideoFrame:
        """The next picture to be shown. VideoClosedError when there will be none; RuntimeError while nobody watches."""
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

    def on_sender_report(self, ntp_s: float, timestamp: int, rtt_s: float | None) -> None:
        """What the sender says of its clock and this stream's timestamps."""
        self.lip_sync.video.report(ntp_s, timestamp)
        self.clock.report(ntp_s, time.monotonic(), rtt_s or 0.0)

    def on_decoded(self, picture: DecodedPicture) -> None:
        """Takes a decoded picture; one that comes while nobody watches is dropped."""
        if not self.wanted:
            return
        now_s = time.monotonic()
        if (heard := self.heard()) is not None:
            self.lip_sync.heard(*heard)
        sound_s = self.lip_sync.due_s(picture.timestamp, now_s)
        due_s = self._presentation.show_s(picture.pts_s, picture.decoded_s, sound_s)
        self._held.append((due_s, picture))
        self._show_due(now_s)

    def close(self) -> None:
        """The track has ended: who waits for a picture gets VideoClosedError."""
        self._closed = True
        self._forget()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(VideoClosedError("the video has ended"))

    def _tell_wanted(self) -> None:
        if not self._closed:
            self.on_wanted()
            self.on_watched()

    def _show_due(self, now_s: float) -> None:
        """Shows the newest picture that is due; those before it are too late for the eye."""
        newest: DecodedPicture | None = None
        while self._held and (self._held[0][0] <= now_s + EARLY_S or len(self._held) > MAX_HELD):
            self.counters.frames_dropped += newest is not None
            newest = self._held.popleft()[1]
        if newest is not None:
            self._show(newest, now_s)
        self._disarm()
        if self._held:
            self._timer = asyncio.get_running_loop().call_at(self._held[0][0], self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._show_due(time.monotonic())

    def _show(self, picture: DecodedPicture, now_s: float) -> None:
        frame, counters = picture.frame, self.counters
        self.latest, self.latest_s = frame, now_s
        counters.width, counters.height = frame.width, frame.height
        counters.hold.add(now_s - picture.decoded_s)
        self._shown.add(now_s)
        self._trace.add("video-buffer", picture.complete_s - picture.first_s)
        self._trace.add("video-decode", picture.decoded_s - picture.complete_s)
        self._trace.add("video-present", now_s - picture.decoded_s)
        captured_s = self.lip_sync.video.ntp_s(picture.timestamp)
        if captured_s is not None and (local_s := self.clock.local_s(captured_s)) is not None:
            self._trace.add("camera-to-screen", max(0.0, now_s - local_s))
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(frame)

    def _forget(self) -> None:
        self.latest = self.latest_s = None
        self._held.clear()
        self._disarm()
        self._shown.pause()
        self._presentation.pause()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
