"""What is made of a V4L2 device's buffers: pictures; or its access units, and pictures of them while wanted."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Protocol, TypeAlias

import av
from av.video.codeccontext import VideoCodecContext

from hw import AccessUnit, Picture, PictureSink
from hw.annexb import InBand
from hw.capture_time import capture_time
from hw.fit import Fit
from hw.v4l2_ioctl import CID_BITRATE, CID_FORCE_KEY_FRAME, Node

if TYPE_CHECKING:
    VideoPacket: TypeAlias = av.Packet[av.VideoStream]

logger = logging.getLogger(__name__)


class Stream(Protocol):
    """`take` in the capture thread, with monotonic now; the others in any."""

    def take(self, packet: VideoPacket, now_s: float) -> None: ...
    def request_keyframe(self) -> None: ...
    def set_bitrate(self, bps: int) -> None: ...
    def want_pictures(self, wanted: bool) -> None: ...


class PictureStream:
    """Raw pictures, MJPEG or H.264, decoded. What cannot be decoded is left out."""

    def __init__(self, sink: PictureSink, width: int, height: int) -> None:
        self._sink = sink
        self._fit = Fit(width, height)

    def take(self, packet: VideoPacket, now_s: float) -> None:
        for frame in packet.decode():
            self._sink(Picture(self._fit(frame), _captured_s(packet, now_s)))

    def request_keyframe(self) -> None:
        """Every picture is one."""

    def set_bitrate(self, bps: int) -> None:
        """Nothing is encoded here."""

    def want_pictures(self, wanted: bool) -> None:
        """It has nothing else."""


class UnitStream:
    """The device's H.264, passed through; `node` is asked for key frames and bit rates, in the capture thread."""

    def __init__(self, sink: PictureSink, node: Node, width: int, height: int) -> None:
        self._sink, self._node = sink, node
        self._in_band = InBand()
        self._fit = Fit(width, height)
        self._lock = threading.Lock()
        self._to_set: dict[int, int] = {}  # control: value
        self._refused: set[int] = set()  # controls that the device does not take
        self._pictures_wanted = False
        self._decoder: VideoCodecContext | None = None

    def take(self, packet: VideoPacket, now_s: float) -> None:
        self._set_controls()
        taken = self._in_band(bytes(packet))
        if taken is None:
            return
        data, keyframe = taken
        captured_s = _captured_s(packet, now_s)
        self._sink(AccessUnit(data, keyframe, captured_s))
        for frame in self._decoded(data, keyframe):
            self._sink(Picture(self._fit(frame), captured_s))

    def request_keyframe(self) -> None:
        with self._lock:
            self._to_set[CID_FORCE_KEY_FRAME] = 1

    def set_bitrate(self, bps: int) -> None:
        with self._lock:
            self._to_set[CID_BITRATE] = bps

    def want_pictures(self, wanted: bool) -> None:
        if wanted and not self._pictures_wanted:
            self.request_keyframe()
        self._pictures_wanted = wanted

    def _set_controls(self) -> None:
        with self._lock:
            to_set, self._to_set = self._to_set, {}
        for cid, value in to_set.items():
            if cid in self._refused:
                continue
            try:
                self._node.set(cid, value)
            except OSError as exc:
                self._refused.add(cid)
                logger.info("camera %s does not take control %#x: %s", self._node.path, cid, exc.strerror)

    def _decoded(self, data: bytes, keyframe: bool) -> list[av.VideoFrame]:
        if not self._pictures_wanted:
            self._decoder = None
            return []
        if self._decoder is None:
            if not keyframe:
                return []
            self._decoder = av.CodecContext.create("h264", "r")
            self._decoder.flags |= av.codec.context.Flags.low_delay
        try:
            return self._decoder.decode(av.Packet(data))
        except av.FFmpegError:
            self._decoder = None  # from the next key frame on
            return []


def _captured_s(packet: VideoPacket, now_s: float) -> float:
    """The kernel stamps buffers by its monotonic clock; some drivers do not."""
    stamp_s = None if packet.pts is None or packet.time_base is None else float(packet.pts * packet.time_base)
    return capture_time(stamp_s, now_s)
