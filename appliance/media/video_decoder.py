"""A video decoder in a thread of its own: pictures that nobody watches never get there, late ones are passed over."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import av
from av.codec.context import Flags, ThreadType
from av.video.codeccontext import VideoCodecContext

from appliance.media.assembler import CodedPicture
from appliance.media.video_stats import Counters

logger = logging.getLogger(__name__)

MAX_LAG_S = 0.25  # from a complete picture to the decoder: one that is later than that goes on with a key frame
MAX_WAITING = 90  # pictures
DECODERS = {"H264": "h264", "VP8": "vp8"}  # FFmpeg's own
_TIME_BASE = Fraction(1, 90_000)


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """`pts_s`: the sender's clock, from this stream's first picture on. The rest is monotonic."""

    frame: av.VideoFrame
    timestamp: int  # RTP
    pts_s: float
    first_s: float  # its first packet came
    complete_s: float
    decoded_s: float


class VideoDecoder:
    """`put` on the event loop, `run` in the thread; the callbacks come on the loop."""

    def __init__(
        self,
        counters: Counters,
        on_picture: Callable[[DecodedPicture], None],
        on_lost: Callable[[], None],
    ) -> None:
        """`on_lost`: it needs a key frame, because a picture could not be decoded or came too late."""
        self._counters, self._on_picture, self._on_lost = counters, on_picture, on_lost
        self._condition = threading.Condition()
        self._waiting: deque[tuple[str, CodedPicture]] = deque()
        self._ended = False
        # From here on only the thread's.
        self._codec_name = ""
        self._codec: VideoCodecContext | None = None
        self._needs_keyframe = True
        self._last_timestamp = 0
        self._pts: int | None = None

    def put(self, codec: str, picture: CodedPicture) -> None:
        """`codec`: its name in an SDP, a key of DECODERS."""
        with self._condition:
            if len(self._waiting) >= MAX_WAITING:
                self._counters.frames_dropped += len(self._waiting)
                self._waiting.clear()
                self._waiting.append(("", picture))  # what follows cannot be decoded
            self._waiting.append((codec, picture))
            self._condition.notify()

    def forget(self) -> None:
        """What waits is of no use any more."""
        with self._condition:
            self._waiting.clear()

    def end(self) -> None:
        """Lets the thread end with the picture that it is at."""
        with self._condition:
            self._waiting.clear()
            self._ended = True
            self._condition.notify()

    def run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until `end`."""
        with suppress(RuntimeError):  # the loop is closed, and so is everybody who would look at a picture
            while (taken := self._take()) is not None:
                for decoded in self._decode(*taken, loop):
                    loop.call_soon_threadsafe(self._on_picture, decoded)
        self._codec = None

    def _take(self) -> tuple[str, CodedPicture] | None:
        with self._condition:
            while not self._waiting and not self._ended:
                self._condition.wait()
            if self._ended:
                return None
            codec, picture = self._waiting.popleft()
            if not picture.keyframe and time.monotonic() - picture.complete_s > MAX_LAG_S:
                codec = ""
                while self._waiting and not self._waiting[0][1].keyframe:
                    self._counters.frames_dropped += 1
                    self._waiting.popleft()
            return codec, picture

    def _decode(self, codec: str, picture: CodedPicture, loop: asyncio.AbstractEventLoop) -> list[DecodedPicture]:
        if not codec or (self._needs_keyframe and not picture.keyframe):
            self._counters.frames_dropped += 1
            if not self._needs_keyframe:
                self._needs_keyframe = True
                loop.call_soon_threadsafe(self._on_lost)
            return []
        if self._codec is None or codec != self._codec_name:
            self._codec_name, self._codec = codec, _decoder(codec)
        packet = av.Packet(picture.data)
        packet.pts, packet.time_base = self._next_pts(picture.timestamp), _TIME_BASE
        started_s = time.monotonic()
        try:
            frames = self._codec.decode(packet) if picture.data else []  # without data it would be the stream's end
            whole = bool(picture.data) and not any(frame.is_corrupt for frame in frames)
            fault = "it is not whole"
        except Exception as exc:  # whatever a picture does to a decoder, the next key frame must be shown
            frames, whole, fault = [], False, str(exc)
        now_s = time.monotonic()
        self._needs_keyframe = not whole
        if not whole:
            self._codec = None
            self._counters.corrupted += 1
            count = self._counters.corrupted
            if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th, ...
                logger.warning("%d pictures not decoded, the last one because %s", count, fault)
            loop.call_soon_threadsafe(self._on_lost)
            return []
        self._counters.decode.add(now_s - started_s)
        self._counters.frames_decoded += len(frames)
        pts_s = float(packet.pts * _TIME_BASE)
        return [
            DecodedPicture(frame, picture.timestamp, pts_s, picture.first_s, picture.complete_s, now_s)
            for frame in frames
        ]

    def _next_pts(self, timestamp: int) -> int:
        if self._pts is None:
            self._pts = 0
        else:
            self._pts += (timestamp - self._last_timestamp + 0x80000000) % 0x100000000 - 0x80000000
        self._last_timestamp = timestamp
        return self._pts


def _decoder(codec: str) -> VideoCodecContext:
    """One thread and no look ahead: a picture comes out with its last byte."""
    context = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count, context.thread_type = 1, ThreadType.SLICE
    context.flags |= Flags.low_delay
    return context
