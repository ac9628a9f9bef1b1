"""What this unit sends: capture -> mute gate -> encode once -> a tap for each leg.

The microphone's thread encodes Opus; the camera's thread leaves its newest picture to one encoder thread for each video
codec that is tapped; the access units of a camera that encodes go out as they are. All is posted to the event loop,
where it is handed to the taps: a second leg costs one append a frame.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from appliance.media.audio_out import AudioOut
from appliance.media.frames import EncodedFrame, Kind, VideoCodec
from appliance.media.gate import Gate
from appliance.media.merge import merge_bitrate, merge_loss
from appliance.media.pass_through import CameraCalls
from appliance.media.tap import Tap, TapCalls
from appliance.media.trace import Trace
from appliance.media.video_out import EncoderThread, VideoOut
from hw import Camera, HardwareError, Microphone, RawPictures

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """`width` and `height` are the most that is encoded: a larger picture is made smaller in its own aspect ratio."""

    width: int = 1280
    height: int = 720
    fps: int = 30
    codec: VideoCodec = "h264"  # the one that legs offer first
    min_bitrate_bps: int = 250_000
    start_bitrate_bps: int = 1_500_000  # until a receiver reports what its link carries
    max_bitrate_bps: int = 2_500_000


class Uplink:
    """Made and used on the event loop."""

    def __init__(self, settings: UplinkSettings | None = None) -> None:
        self.settings = settings or UplinkSettings()
        self.on_device_lost: Callable[[Kind, HardwareError], None] = _log_lost
        self.trace = Trace()
        self.encoded: Counter[str] = Counter()  # frames by codec, each counted once however many legs take it
        self._loop = asyncio.get_running_loop()
        self._audio = AudioOut(lambda epoch, frame: self._post("opus", epoch, frame), self.trace)
        self._video = VideoOut(
            self._post,
            self.settings.start_bitrate_bps,
            CameraCalls(
                lambda: self._call(self._request_from_camera), lambda bps: self._call(self._set_camera_bitrate, bps)
            ),
            self.trace,
        )
        self._frame_lock = threading.Lock()
        self._taps: dict[str, tuple[Tap, ...]] = {}
        self._encoders: dict[str, EncoderThread] = {}
        self._ending: dict[EncoderThread, asyncio.Event] = {}
        self._microphone: Microphone | None = None
        self._camera: Camera | None = None
        self._closed = False

    # --- devices

    def start(self, microphone: Microphone | None, camera: Camera | None) -> None:
        """Takes these devices in place of the ones before; None is an absent one. Owns them from now on.

        One that cannot be opened is reported like one that got lost, and the other works without it.
        """
        if microphone is not self._microphone:
            self._drop_device("audio")
            if microphone is not None:
                self._microphone = microphone
                try:
                    microphone.start(self._audio.on_block, lambda exc: self._call(self._lost, "audio", microphone, exc))
                except HardwareError as exc:
                    self._loop.call_soon(self._lost, "audio", microphone, exc)
        if camera is not self._camera:
            self._drop_device("video")
            if camera is not None:
                self._camera = camera
                self._want_pictures()
                try:
                    camera.start(self._video.new_camera(), lambda exc: self._call(self._lost, "video", camera, exc))
                except HardwareError as exc:
                    self._loop.call_soon(self._lost, "video", camera, exc)

    def has(self, kind: Kind) -> bool:
        """Whether there is a device of this kind that works as far as is known."""
        return (self._microphone if kind == "audio" else self._camera) is not None

    def _drop_device(self, kind: Kind) -> None:
        device: Microphone | Camera | None
        if kind == "audio":
            device, self._microphone = self._microphone, None
        else:
            device, self._camera = self._camera, None
        if device is not None:
            device.close()

    def _lost(self, kind: Kind, device: Microphone | Camera, error: HardwareError) -> None:
        if device is (self._microphone if kind == "audio" else self._camera):
            self._drop_device(kind)
            self.on_device_lost(kind, error)

    async def close(self) -> None:
        """Closes the devices, the taps and every thread."""
        if self._closed:
            return
        self._closed = True
        for taps in list(self._taps.values()):
            for tap in taps:
                tap.close()
        devices, self._microphone, self._camera = (self._microphone, self._camera), None, None
        for device in devices:
            if device is not None:
                await asyncio.to_thread(device.close)  # may take a second
        for encoder, ended in list(self._ending.items()):
            await ended.wait()
            encoder.thread.join()  # its last act was to set `ended`

    def change(self, settings: UplinkSettings) -> None:
        """Other pictures from now on, for every leg that is there; `codec` counts for legs to come."""
        anew = (settings.width, settings.height, settings.fps) != (
            self.settings.width,
            self.settings.height,
            self.settings.fps,
        )
        self.settings = settings
        for codec in tuple(self._encoders) if anew else ():
            self._encoders.pop(codec).stop()
            self._start_encoder(cast(VideoCodec, codec))
        for codec in self._encoders:
            self._merge(codec)

    # --- gate

    def set_muted(self, kind: Kind, muted: bool) -> None:
        """Moves the gate. When this returns, nothing captured before a mute and not yet sent will be sent."""
        out: AudioOut | VideoOut = self._audio if kind == "audio" else self._video
        gate = out.gate.set(muted, self._loop.time())
        if gate is out.gate:
            return
        out.gate = gate
        for taps in self._taps.values():
            for tap in taps:
                if tap.kind == kind:
                    tap.flush()
        if kind == "video":
            for encoder in self._encoders.values():
                encoder.flush()

    def is_muted(self, kind: Kind) -> bool:
        """The gate itself, not the wish; False without a device: see `has`."""
        return self.has(kind) and self._gate(kind).muted

    def _gate(self, kind: Kind) -> Gate:
        return self._audio.gate if kind == "audio" else self._video.gate

    @property
    def level(self) -> int:
        """Local volume 0..100, behind the gate."""
        return self._audio.level if self.has("audio") else 0

    # --- taps

    @property
    def video_codecs(self) -> tuple[VideoCodec, ...]:
        """What can be tapped, the preferred one first: of a camera that encodes H.264, for it costs nothing."""
        if self._video.encodes_itself or self.settings.codec == "h264":
            return ("h264", "vp8")
        return ("vp8", "h264")

    @property
    def refused(self) -> int:
        """How much of what cameras delivered was no picture, and went nowhere."""
        return self._video.refused

    def tap(self, kind: Kind, codec: str) -> Tap:
        """A new reader of "opus", "h264" or "vp8". Its first picture is a key frame, asked for now."""
        if codec not in (("opus",) if kind == "audio" else ("h264", "vp8")):
            raise ValueError(f"no {kind} codec {codec!r}: opus, or h264 and vp8")
        if self._closed:
            raise RuntimeError("the uplink is closed")
        calls = TapCalls(lambda: self._request_keyframe(codec), lambda: self._merge(codec), self._remove)
        tap = Tap(kind, codec, calls)
        self._taps[codec] = (*self._taps.get(codec, ()), tap)
        if kind == "audio":
            self._audio.wanted = True
        elif codec not in self._encoders:
            self._start_encoder(cast(VideoCodec, codec))
        tap.request_keyframe()
        return tap

    def target_bitrate_bps(self, codec: VideoCodec) -> int | None:
        """What the encoder of `codec` aims at; None while it doesn't run."""
        return self._encoders[codec].bitrate_bps if codec in self._encoders else None

    def _remove(self, tap: Tap) -> None:
        left = self._taps[tap.codec] = tuple(other for other in self._taps[tap.codec] if other is not tap)
        if left:
            self._merge(tap.codec)
        elif tap.kind == "audio":
            self._audio.wanted = False
        else:
            self._encoders.pop(tap.codec).stop()
            self._update_video()

    def _start_encoder(self, codec: VideoCodec) -> None:
        ended = asyncio.Event()
        encoder = EncoderThread(
            codec,
            (self.settings.width, self.settings.height),
            self.settings.fps,
            self.settings.start_bitrate_bps,
            self._frame_lock,
            lambda epoch, frame: self._post(codec, epoch, frame),
            lambda: self._call(self._encoder_ended, encoder),
            self.trace,
        )
        self._ending[encoder] = ended
        self._encoders[codec] = encoder
        self._update_video()

    def _encoder_ended(self, encoder: EncoderThread) -> None:
        self._ending[encoder].set()
        if not self._closed:
            encoder.thread.join()
            del self._ending[encoder]

    def _update_video(self) -> None:
        self._video.encoders = tuple(self._encoders.values())
        self._video.units_wanted = "h264" in self._encoders
        self._want_pictures()

    def _want_pictures(self) -> None:
        if isinstance(self._camera, RawPictures):
            self._camera.want_pictures(any(codec != "h264" for codec in self._encoders))

    def _request_keyframe(self, codec: str) -> None:
        if codec == "h264":
            self._video.request_keyframe()
        if codec in self._encoders:
            self._encoders[codec].request_keyframe()

    def _request_from_camera(self) -> None:
        if self._camera is not None:
            self._camera.request_keyframe()

    def _set_camera_bitrate(self, bps: int) -> None:
        if self._camera is not None:
            logger.debug("camera: %d bit/s", bps)
            self._camera.set_bitrate(bps)

    def _merge(self, codec: str) -> None:
        now_s = self._loop.time()
        taps = self._taps[codec]
        if codec == "opus":
            self._audio.loss = merge_loss((tap.loss for tap in taps if tap.loss is not None), now_s)
        elif codec in self._encoders:
            bitrate_bps = merge_bitrate(
                (tap.bitrate for tap in taps if tap.bitrate is not None),
                self.settings.min_bitrate_bps,
                self.settings.start_bitrate_bps,
                self.settings.max_bitrate_bps,
                now_s,
            )
            self._encoders[codec].bitrate_bps = bitrate_bps
            if codec == "h264":
                self._video.want_bitrate(bitrate_bps)

    # --- from the threads to the loop

    def _call(self, function: Callable[..., None], *args: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    def _post(self, codec: str, epoch: int, frame: EncodedFrame) -> None:
        self._call(self._deliver, codec, epoch, frame)

    def _deliver(self, codec: str, epoch: int, frame: EncodedFrame) -> None:
        gate = self._gate("audio" if codec == "opus" else "video")
        if epoch != gate.epoch:
            return  # encoded before the gate moved
        self.encoded[codec] += 1
        self.trace.since("audio-send" if codec == "opus" else "video-send", frame.captured_s)
        for tap in self._taps.get(codec, ()):
            tap.put(frame)


def _log_lost(kind: Kind, error: HardwareError) -> None:
    logger.warning("%s device lost: %s", kind, error)
