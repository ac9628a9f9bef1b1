"""Raw pictures to H.264 (libx264) or VP8 (libvpx) for a call: no delay, no B-frames, key frames only on request.

A new bit rate changes a running x264 within its buffer model and up to what it was opened for; what PyAV cannot change
takes a new encoder, which costs a key frame: `rate_action` does that rarely. So does another size or rate of pictures.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from appliance.media.frames import VIDEO_CLOCK_HZ, VideoCodec
from appliance.media.payload import vp8_is_keyframe
from appliance.media.rate_correction import RateCorrection
from hw.annexb import h264_is_keyframe

PIXEL_FORMAT = "yuv420p"
# Of the VBV: a picture takes at most this long on a link that just carries the bit rate.
BUFFER_S: Mapping[VideoCodec, float] = {"h264": 0.225, "vp8": 0.3}
HEADROOM = 1.6  # x264 is opened for so many times what is wanted, and set to that at once: it may rise so far
RISE_INTERVAL_S = 6.0  # between new encoders for more
STEEP_RISE_INTERVAL_S = 2.0  # for much more
FALL_INTERVAL_S = 2.0  # between new encoders for less
DEEP_FALL_INTERVAL_S = 0.3  # for much less: a link that is full cannot wait
RISE, STEEP_RISE = 1.3, 1.6
FALL, DEEP_FALL = 0.8, 0.6
ONE_THREAD_PIXELS_A_S = 960 * 540 * 30
_TIME_BASE = Fraction(1, VIDEO_CLOCK_HZ)

RateAction = Literal["keep", "adjust", "reopen"]


def rate_action(codec: VideoCodec, opened_bps: int, current_bps: int, target_bps: int, open_for_s: float) -> RateAction:
    """What to do to an encoder, begun with `opened_bps` and at `current_bps` now, when `target_bps` is wanted."""
    if abs(target_bps - current_bps) < 0.05 * current_bps:
        return "keep"
    if codec == "h264" and FALL / 2 * opened_bps <= target_bps <= HEADROOM * opened_bps:
        return "adjust"
    if target_bps < DEEP_FALL * current_bps and open_for_s >= DEEP_FALL_INTERVAL_S:
        return "reopen"
    if target_bps < FALL * current_bps and open_for_s >= FALL_INTERVAL_S:
        return "reopen"
    if target_bps > STEEP_RISE * current_bps and open_for_s >= STEEP_RISE_INTERVAL_S:
        return "reopen"
    if target_bps > RISE * current_bps and open_for_s >= RISE_INTERVAL_S:
        return "reopen"
    return "keep"


def fit(width: int, height: int, max_width: int, max_height: int) -> tuple[int, int]:
    """The even size that a picture is encoded in: as it is, or made smaller in its own aspect ratio."""
    scale = min(1.0, max_width / width, max_height / height)
    return max(2, round(width * scale) & ~1), max(2, round(height * scale) & ~1)


@dataclass(frozen=True, slots=True)
class CodedPicture:
    data: bytes  # an access unit in Annex B, or a VP8 frame
    keyframe: bool


class VideoEncoder:
    """One stream in one codec, used from one thread. A picture of another size or rate opens a new encoder."""

    def __init__(self, codec: VideoCodec, max_width: int, max_height: int, fps: int) -> None:
        self.codec = codec
        self.opened = 0  # encoders so far
        self.encoded = 0  # pictures so far
        self._max_size = (max_width, max_height)
        self._fps = fps
        self._reformatter = VideoReformatter()
        self._context: VideoCodecContext | None = None
        self._correction = RateCorrection()
        self._opened_fps = 0
        self._opened_bps = 0
        self._opened_s = 0.0

    def limit(self, max_width: int, max_height: int, fps: int) -> None:
        """Of the pictures from now on."""
        self._max_size, self._fps = (max_width, max_height), fps

    def scaled(self, frame: av.VideoFrame) -> av.VideoFrame:
        """`frame` itself, or a copy in the size and format that is encoded."""
        width, height = fit(frame.width, frame.height, *self._max_size)
        if (frame.width, frame.height, frame.format.name) == (width, height, PIXEL_FORMAT):
            return frame
        # A frame's own reformatter is made for it alone, at three times the cost.
        return self._reformatter.reformat(frame, width, height, PIXEL_FORMAT, interpolation="AREA")

    def encode(
        self, frame: av.VideoFrame, timestamp: int, *, keyframe: bool, bitrate_bps: int, now_s: float
    ) -> CodedPicture | None:
        """One picture at `timestamp` (90 kHz, growing). None if the encoder dropped it to keep the rate.

        Sets `pts` and `pict_type` of `scaled(frame)`. Raises av.FFmpegError.
        """
        frame = self.scaled(frame)
        context = self._ready(frame.width, frame.height, bitrate_bps, now_s)
        frame.pts, frame.time_base = timestamp, _TIME_BASE
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        data = b"".join(bytes(packet) for packet in context.encode(frame))
        self.encoded += 1
        if self.codec == "h264":  # libvpx makes what it is asked for
            self._correction.add(timestamp / VIDEO_CLOCK_HZ, len(data), bitrate_bps)
        if not data:
            return None
        return CodedPicture(data, (h264_is_keyframe if self.codec == "h264" else vp8_is_keyframe)(data))

    def _ready(self, width: int, height: int, bitrate_bps: int, now_s: float) -> VideoCodecContext:
        context = self._context
        if context is not None and (context.width, context.height, self._opened_fps) == (width, height, self._fps):
            current_bps = context.bit_rate or self._opened_bps
            asked_bps = round(self._correction.factor * bitrate_bps)
            action = rate_action(self.codec, self._opened_bps, current_bps, asked_bps, now_s - self._opened_s)
            if action == "adjust":
                context.bit_rate = asked_bps  # libx264 takes it over with the next picture
            if action != "reopen":
                return context
        context = _open(self.codec, width, height, self._fps, bitrate_bps)
        self._context, self._opened_fps, self._correction = context, self._fps, RateCorrection()
        self._opened_bps, self._opened_s = bitrate_bps, now_s
        self.opened += 1
        return context


def _threads(pixels_a_s: int) -> int:
    """Slices cost: each thread more is a tenth of the encoder's CPU time, so only large pictures get more than one."""
    return max(1, min(4, (os.cpu_count() or 1) // 2)) if pixels_a_s > ONE_THREAD_PIXELS_A_S else 1


def _open(codec: VideoCodec, width: int, height: int, fps: int, bitrate_bps: int) -> VideoCodecContext:
    context = av.CodecContext.create("libx264" if codec == "h264" else "libvpx", "w")
    context.width, context.height, context.pix_fmt = width, height, PIXEL_FORMAT
    context.time_base, context.framerate = _TIME_BASE, Fraction(fps)
    context.thread_count = _threads(width * height * fps)
    buffer_bits = round(BUFFER_S[codec] * bitrate_bps)
    if codec == "h264":
        context.bit_rate = round(HEADROOM * bitrate_bps)
        context.gop_size = 1 << 20  # key frames only on request
        context.profile = "Baseline"
        context.options = {
            "preset": "superfast",  # ultrafast is a fifth cheaper, sees no part of a pixel's motion, and loses 1 dB
            "tune": "zerolatency",  # sliced threads, no look-ahead, no B-frames
            "level": "3.1",
            "forced-idr": "1",
            "maxrate": str(context.bit_rate),  # as the bit rate, until it is open: x264 changes the rate of CBR alone
            "bufsize": str(buffer_bits),
            # No partitions: a tenth of the time, no loss seen. The last two: with the noise of a sensor x264 else makes
            # each fourth picture ten times as large as the others, which then comes 25 ms later.
            "x264-params": "scenecut=0:repeat-headers=1:annexb=1:partitions=none:qcomp=0:ratetol=0.1:vbv-init=0.5",
        }
        context.open()
    else:
        context.gop_size = 1 << 15
        context.qmin, context.qmax = 2, 56
        context.options = {
            "deadline": "realtime",
            "cpu-used": "-8",
            "lag-in-frames": "0",
            "minrate": str(bitrate_bps),  # minrate = maxrate = bit rate: CBR
            "maxrate": str(bitrate_bps),
            "bufsize": str(buffer_bits),
            "undershoot-pct": "100",
            "overshoot-pct": "15",
            "max-intra-rate": "300",  # per cent of an average frame: a key frame takes three frames' time
            "static-thresh": "1",
        }
    context.bit_rate = bitrate_bps
    return context
