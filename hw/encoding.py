"""A camera that encodes, out of one that does not: what a Pi's camera delivers, anywhere."""

from __future__ import annotations

import logging
import threading
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from hw import AccessUnit, Camera, OnLost, Picture, PictureSink
from hw.annexb import h264_is_keyframe

logger = logging.getLogger(__name__)

START_BITRATE_BPS = 1_500_000
MIN_BITRATE_BPS, MAX_BITRATE_BPS = 25_000, 25_000_000  # the Pi's encoder takes nothing outside
KEYFRAME_PERIOD_S = 60  # by itself
_CLOCK_HZ = 90_000


class EncodingCamera:
    """Encodes another camera's pictures in that camera's thread, as the Pi's encoder does: baseline, one slice a
    picture, SPS and PPS before each key frame, key frames and bit rate as asked while it runs. Each new bit rate begins
    with a key frame, which it does not on a Pi.

    `keyframes` counts key frames, `requests` those asked for; `bitrate_bps` is what the encoder aims at.
    """

    def __init__(self, source: Camera, *, device_id: str = "encoding-camera") -> None:
        self.device_id = device_id
        self.width, self.height, self.fps = source.width, source.height, source.fps
        self.bitrate_bps = START_BITRATE_BPS
        self.requests = self.keyframes = 0
        self._source = source
        self._asked = threading.Event()
        self._pictures_wanted = False

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        encoder = _Encoder(self.fps)

        def encode(picture: Picture | AccessUnit) -> None:
            assert isinstance(picture, Picture)
            asked = self._asked.is_set()
            self._asked.clear()
            data = encoder.encode(picture, self.bitrate_bps, keyframe=asked)
            if not data:
                return
            keyframe = h264_is_keyframe(data)
            self.keyframes += keyframe
            sink(AccessUnit(data, keyframe, picture.captured_s))
            if self._pictures_wanted:
                sink(picture)

        self._source.start(encode, on_lost)

    def request_keyframe(self) -> None:
        self.requests += 1
        self._asked.set()

    def set_bitrate(self, bps: int) -> None:
        self.bitrate_bps = max(MIN_BITRATE_BPS, min(MAX_BITRATE_BPS, bps))

    def want_pictures(self, wanted: bool) -> None:
        self._pictures_wanted = wanted

    def close(self) -> None:
        self._source.close()


class _Encoder:
    def __init__(self, fps: int) -> None:
        self._fps = fps
        self._bps = 0
        self._context: VideoCodecContext | None = None

    def encode(self, picture: Picture, bitrate_bps: int, *, keyframe: bool) -> bytes:
        """One access unit."""
        frame = picture.frame.reformat(format="yuv420p")
        context = self._context
        if context is None or (context.width, context.height, self._bps) != (frame.width, frame.height, bitrate_bps):
            context = self._context = self._open(frame.width, frame.height, bitrate_bps)
            self._bps = bitrate_bps
        frame.pts, frame.time_base = round(picture.captured_s * _CLOCK_HZ), Fraction(1, _CLOCK_HZ)
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        return b"".join(bytes(packet) for packet in context.encode(frame))

    def _open(self, width: int, height: int, bitrate_bps: int) -> VideoCodecContext:
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = Fraction(1, _CLOCK_HZ), Fraction(self._fps)
        context.bit_rate = bitrate_bps
        context.gop_size = KEYFRAME_PERIOD_S * self._fps
        context.profile = "Baseline"
        context.thread_count = 1
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "forced-idr": "1",
            "maxrate": str(bitrate_bps),
            "bufsize": str(bitrate_bps // 2),
            "x264-params": "slices=1:sliced-threads=0:scenecut=0:repeat-headers=1:annexb=1",
        }
        return context
