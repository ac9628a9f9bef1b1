"""The camera's way out: one encoder thread for each codec that is tapped, fed with the newest picture only."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import av

from appliance.media.frames import VIDEO_CLOCK_HZ, EncodedFrame, VideoCodec
from appliance.media.gate import Gate
from appliance.media.merge import KeyframeRequests
from appliance.media.payload import packetize_h264
from appliance.media.video_encoder import VideoEncoder
from hw import AccessUnit, Picture

logger = logging.getLogger(__name__)

Post = Callable[[int, EncodedFrame], None]  # epoch of the gate, frame; called in a thread


class PictureClock:
    """RTP timestamps out of capture times, always growing."""

    def __init__(self) -> None:
        self._last = -1

    def stamp(self, captured_s: float) -> int:
        self._last = max(self._last + 1, round(captured_s * VIDEO_CLOCK_HZ))
        return self._last


class EncoderThread:
    """Encodes and packetizes pictures in one codec. A picture that comes while another waits takes its place."""

    def __init__(
        self,
        codec: VideoCodec,
        size: tuple[int, int],
        fps: int,
        bitrate_bps: int,
        frame_lock: threading.Lock,
        post: Post,
        on_end: Callable[[], None],
    ) -> None:
        self.codec = codec
        self.bitrate_bps = bitrate_bps
        self._size, self._fps = size, fps
        self._frame_lock = frame_lock  # two codecs share a picture, and encoding sets attributes of it
        self._post, self._on_end = post, on_end
        self._condition = threading.Condition()
        self._waiting: tuple[int, Picture] | None = None
        self._requests = KeyframeRequests()
        self._forced = True
        self._stopped = False
        self.thread = threading.Thread(target=self._run, name=f"encode-{codec}", daemon=True)
        self.thread.start()

    def put(self, epoch: int, picture: Picture) -> None:
        """Any thread; never blocks for an encoder."""
        with self._condition:
            self._waiting = (epoch, picture)
            self._condition.notify()

    def request_keyframe(self) -> None:
        """The next picture is a key frame, unless one was made less than 500 ms ago: then a later one is."""
        with self._condition:
            self._requests = self._requests.request()

    def flush(self) -> None:
        """The gate has moved: the picture that waits is dropped, and the next one is a key frame."""
        with self._condition:
            self._waiting = None
            self._forced = True

    def stop(self) -> None:
        """Returns at once; `on_end` is called from the thread as its last act."""
        with self._condition:
            self._stopped = True
            self._waiting = None
            self._condition.notify()

    def _run(self) -> None:
        encoder = VideoEncoder(self.codec, *self._size, self._fps)
        clock = PictureClock()
        try:
            while (taken := self._take()) is not None:
                epoch, picture, keyframe = taken
                try:
                    frame = self._encode(encoder, clock, picture, keyframe=keyframe)
                except av.FFmpegError as exc:
                    logger.warning("%s: a picture cannot be encoded, starting a new encoder: %s", self.codec, exc)
                    encoder = VideoEncoder(self.codec, *self._size, self._fps)
                    continue
                if frame is not None:
                    self._post(epoch, frame)
        finally:
            self._on_end()

    def _take(self) -> tuple[int, Picture, bool] | None:
        with self._condition:
            while self._waiting is None and not self._stopped:
                self._condition.wait()
            if self._waiting is None:
                return None
            (epoch, picture), self._waiting = self._waiting, None
            keyframe = self._forced or self._requests.due(time.monotonic())
            self._forced = False
            return epoch, picture, keyframe

    def _encode(
        self, encoder: VideoEncoder, clock: PictureClock, picture: Picture, *, keyframe: bool
    ) -> EncodedFrame | None:
        now_s = time.monotonic()
        timestamp = clock.stamp(picture.captured_s)
        with self._frame_lock:
            encoded = encoder.encode(
                picture.frame, timestamp, keyframe=keyframe, bitrate_bps=self.bitrate_bps, now_s=now_s
            )
        if encoded is None:
            return None
        if encoded.keyframe:
            with self._condition:
                self._requests = self._requests.made(now_s)
        return EncodedFrame(encoded.payloads, timestamp & 0xFFFFFFFF, encoded.keyframe, None, picture.captured_s)


class VideoOut:
    """`gate`, `encoders` and `units_wanted` are set on the event loop and read in the camera's thread, in one step."""

    def __init__(
        self, post: Callable[[VideoCodec, int, EncodedFrame], None], request_from_camera: Callable[[], None]
    ) -> None:
        self.gate = Gate()
        self.encoders: tuple[EncoderThread, ...] = ()
        self.units_wanted = False  # somebody taps H.264
        self.encodes_itself = False  # the camera delivers access units
        self._post, self._request_from_camera = post, request_from_camera
        self._clock = PictureClock()
        self._requests = KeyframeRequests()
        self._lock = threading.Lock()

    def on_picture(self, picture: Picture | AccessUnit) -> None:
        """The camera's sink, in its thread."""
        gate = self.gate
        if isinstance(picture, AccessUnit):
            self._on_access_unit(gate, picture)
            return
        self.encodes_itself = False
        if gate.passes(picture.captured_s):
            for encoder in self.encoders:
                encoder.put(gate.epoch, picture)

    def request_keyframe(self) -> None:
        """Of a camera that encodes; due at its next access unit."""
        with self._lock:
            self._requests = self._requests.request()

    def _on_access_unit(self, gate: Gate, unit: AccessUnit) -> None:
        self.encodes_itself = True
        now_s = time.monotonic()
        with self._lock:
            ask = self._requests.due(now_s) and not unit.keyframe
            if ask or unit.keyframe:
                self._requests = self._requests.made(now_s)
        if ask:
            self._request_from_camera()
        if self.units_wanted and gate.passes(unit.captured_s):
            timestamp = self._clock.stamp(unit.captured_s) & 0xFFFFFFFF
            frame = EncodedFrame(packetize_h264(unit.data), timestamp, unit.keyframe, None, unit.captured_s)
            self._post("h264", gate.epoch, frame)
