"""One camera's way to the taps: mute gate -> an encoder for each codec and layer that is tapped -> packetizer.

The camera's thread leaves its newest picture to the encoder threads; the access units of a camera that encodes go out
as they are, as the high layer in H.264. All is posted to the event loop, where it is handed to the taps: a second leg
costs one append a frame.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import cast, get_args

from appliance.media.e2ee import FrameKey
from appliance.media.frames import CodedFrame, EncodedFrame, Layer, StreamName, VideoCodec
from appliance.media.merge import merge_bitrate
from appliance.media.packetizer import Packetizer
from appliance.media.pass_through import CameraCalls
from appliance.media.tap import Tap, TapCalls
from appliance.media.trace import Trace
from appliance.media.video_out import EncoderThread, Post, VideoOut
from hw import Camera, HardwareError, RawPictures

logger = logging.getLogger(__name__)

LOW_PIXELS = 320 * 180  # what 150 kbit/s carries sharply, in the camera's aspect ratio; at most a quarter of HIGH
LOW_FPS = 15
LOW_MIN_BPS, LOW_MAX_BPS = 50_000, 150_000

Encoding = tuple[VideoCodec, Layer]
ENCODINGS: tuple[Encoding, ...] = tuple(product(get_args(VideoCodec), get_args(Layer)))


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """`width` and `height` are the most that is encoded: a larger picture is made smaller in its own aspect ratio."""

    width: int = 1280
    height: int = 720
    fps: int = 30
    codec: VideoCodec = "h264"  # the one that legs offer first
    min_bitrate_bps: int = 250_000
    start_bitrate_bps: int = 1_500_000  # until a receiver reports what its link carries
    max_bitrate_bps: int = 2_500_000
    low_layer: bool = True  # who asks for the low layer gets it; else the high one


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """What an encoder is to make."""

    size: tuple[int, int]
    fps: int
    min_bps: int
    start_bps: int
    max_bps: int


def layer_settings(settings: VideoSettings, layer: Layer) -> LayerSettings:
    width, height = settings.width, settings.height
    if layer == "high":
        return LayerSettings(
            (width, height),
            settings.fps,
            settings.min_bitrate_bps,
            settings.start_bitrate_bps,
            settings.max_bitrate_bps,
        )
    scale = min(0.5, (LOW_PIXELS / (width * height)) ** 0.5)
    size = (round(width * scale / 2) * 2, round(height * scale / 2) * 2)
    return LayerSettings(size, min(LOW_FPS, settings.fps), LOW_MIN_BPS, LOW_MAX_BPS, LOW_MAX_BPS)


class VideoSource:
    """Made and used on the event loop. `on_lost` follows a camera that fails, or cannot be opened."""

    def __init__(
        self,
        stream: StreamName,
        settings: VideoSettings,
        trace: Trace,
        encoded: Counter[str],
        on_lost: Callable[[HardwareError], None],
    ) -> None:
        self.settings = settings
        self._stream = stream
        self._trace = trace
        self._encoded = encoded
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._packetizers = {encoding: Packetizer(encoding[0]) for encoding in ENCODINGS}
        self._key: FrameKey | None = None
        self._out = VideoOut(
            self._sink(("h264", "high")),
            settings.start_bitrate_bps,
            CameraCalls(
                lambda: self._call(self._request_from_camera), lambda bps: self._call(self._set_camera_bitrate, bps)
            ),
            trace,
        )
        self._frame_lock = threading.Lock()
        self._taps: dict[Encoding, tuple[Tap, ...]] = {}
        self._encoders: dict[Encoding, EncoderThread] = {}
        self._ending: dict[EncoderThread, asyncio.Event] = {}
        self._camera: Camera | None = None
        self._closed = False

    # --- the camera

    def start(self, camera: Camera | None) -> None:
        """Takes this camera in place of the one before; None is an absent one. Owns it from now on."""
        if camera is self._camera:
            return
        self._drop_camera()
        if camera is not None:
            self._camera = camera
            self._want_pictures()
            try:
                camera.start(self._out.new_camera(), lambda exc: self._call(self._lost, camera, exc))
            except HardwareError as exc:
                self._loop.call_soon(self._lost, camera, exc)

    @property
    def has_camera(self) -> bool:
        """Whether there is one that works as far as is known."""
        return self._camera is not None

    @property
    def refused(self) -> int:
        """How much of what cameras delivered was no picture, and went nowhere."""
        return self._out.refused

    def _drop_camera(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _lost(self, camera: Camera, error: HardwareError) -> None:
        if camera is self._camera:
            self._drop_camera()
            self._on_lost(error)

    async def close(self) -> None:
        """Closes the camera, the taps and every thread. Idempotent."""
        self._closed = True
        for tap in {tap for taps in self._taps.values() for tap in taps}:
            tap.close()
        camera, self._camera = self._camera, None
        if camera is not None:
            await asyncio.to_thread(camera.close)  # may take a second
        for encoder, ended in list(self._ending.items()):
            await ended.wait()
            encoder.thread.join()  # its last act was to set `ended`
        self._ending.clear()

    def change(self, settings: VideoSettings) -> None:
        """Other pictures from now on, for every leg that is there; `codec` counts for legs to come."""
        before, self.settings = self.settings, settings
        if before.low_layer and not settings.low_layer:
            for tap in {tap for (_, layer), taps in self._taps.items() for tap in taps if layer == "low"}:
                self._select(tap, "high")
        for encoding in tuple(self._encoders):
            old, new = layer_settings(before, encoding[1]), layer_settings(settings, encoding[1])
            if (old.size, old.fps) != (new.size, new.fps):
                self._encoders.pop(encoding).stop()
                self._start_encoder(encoding)
            self._merge(encoding)

    # --- gate

    @property
    def muted(self) -> bool:
        return self._out.gate.muted

    def set_muted(self, muted: bool) -> None:
        """Moves the gate. When this returns, nothing captured before a mute and not yet sent will be sent."""
        gate = self._out.gate.set(muted, self._loop.time())
        if gate is self._out.gate:
            return
        self._out.gate = gate
        self._begin_anew()

    def protect(self, key: FrameKey | None) -> None:
        """Encrypts with `key` from now on. When this returns, nothing that was made without it will be sent."""
        if key is self._key:
            return
        self._key = key
        for packetizer in self._packetizers.values():
            packetizer.protect(key)
        self._begin_anew()
        for taps in self._taps.values():
            for tap in taps:
                tap.request_keyframe()

    def _begin_anew(self) -> None:
        """With a key frame; what is on its way is dropped."""
        for taps in self._taps.values():
            for tap in taps:
                tap.flush()
        for encoder in self._encoders.values():
            encoder.flush()

    # --- taps

    @property
    def codecs(self) -> tuple[VideoCodec, ...]:
        """What can be tapped, the preferred one first: of a camera that encodes H.264, for it costs nothing."""
        if self._out.encodes_itself or self.settings.codec == "h264":
            return ("h264", "vp8")
        return ("vp8", "h264")

    def tap(self, codec: VideoCodec, layer: Layer = "high") -> Tap:
        """A new reader. Its first picture is a key frame, asked for now."""
        if self._closed:
            raise RuntimeError("the uplink is closed")
        layer = self._allowed(layer)
        calls = TapCalls(
            lambda: self._request_keyframe((codec, tap.wanted_layer)),
            lambda: self._merge((codec, tap.wanted_layer)),
            self._select,
            self._remove,
        )
        tap = Tap("video", codec, calls, layer)
        self._add((codec, layer), tap)
        return tap

    def target_bitrate_bps(self, codec: VideoCodec, layer: Layer = "high") -> int | None:
        """What this encoder aims at; None while it doesn't run."""
        encoder = self._encoders.get((codec, layer))
        return encoder.bitrate_bps if encoder is not None else None

    def _allowed(self, layer: Layer) -> Layer:
        return layer if self.settings.low_layer else "high"

    def _add(self, encoding: Encoding, tap: Tap) -> None:
        self._taps[encoding] = (*self._taps.get(encoding, ()), tap)
        if encoding not in self._encoders:
            self._start_encoder(encoding)
        self._merge(encoding)
        tap.request_keyframe()

    def _select(self, tap: Tap, layer: Layer) -> None:
        codec, layer = cast(VideoCodec, tap.codec), self._allowed(layer)
        if layer == tap.wanted_layer:
            return
        left, tap.wanted_layer = tap.wanted_layer, layer
        if left != tap.layer:  # back again, before there was a key frame
            self._leave((codec, left), tap)
            self._merge((codec, layer))
        else:
            self._add((codec, layer), tap)

    def _remove(self, tap: Tap) -> None:
        codec = cast(VideoCodec, tap.codec)
        for layer in {tap.layer, tap.wanted_layer}:
            self._leave((codec, layer), tap)

    def _leave(self, encoding: Encoding, tap: Tap) -> None:
        left = self._taps[encoding] = tuple(other for other in self._taps[encoding] if other is not tap)
        if left:
            self._merge(encoding)
        else:
            self._encoders.pop(encoding).stop()
            self._update()

    # --- encoders

    def _start_encoder(self, encoding: Encoding) -> None:
        codec, layer = encoding
        wanted = layer_settings(self.settings, layer)
        ended = asyncio.Event()
        encoder = EncoderThread(
            "-".join(("encode", self._stream, codec, layer)),
            codec,
            layer,
            wanted.size,
            wanted.fps,
            wanted.start_bps,
            self._frame_lock,
            self._sink(encoding),
            lambda: self._call(self._encoder_ended, encoder),
            self._trace,
        )
        self._ending[encoder] = ended
        self._encoders[encoding] = encoder
        self._update()

    def _encoder_ended(self, encoder: EncoderThread) -> None:
        self._ending[encoder].set()
        if not self._closed:
            encoder.thread.join()
            del self._ending[encoder]

    def _update(self) -> None:
        self._out.encoders = tuple(self._encoders.values())
        self._out.units_wanted = ("h264", "high") in self._encoders
        self._want_pictures()

    def _want_pictures(self) -> None:
        if isinstance(self._camera, RawPictures):
            self._camera.want_pictures(any(encoding != ("h264", "high") for encoding in self._encoders))

    def _request_keyframe(self, encoding: Encoding) -> None:
        if encoding == ("h264", "high"):
            self._out.request_keyframe()
        if encoding in self._encoders:
            self._encoders[encoding].request_keyframe()

    def _request_from_camera(self) -> None:
        if self._camera is not None:
            self._camera.request_keyframe()

    def _set_camera_bitrate(self, bps: int) -> None:
        if self._camera is not None:
            logger.debug("camera: %d bit/s", bps)
            self._camera.set_bitrate(bps)

    def _merge(self, encoding: Encoding) -> None:
        if encoding not in self._encoders:
            return
        wanted = layer_settings(self.settings, encoding[1])
        bitrate_bps = merge_bitrate(
            (tap.bitrate for tap in self._taps[encoding] if tap.bitrate is not None),
            wanted.min_bps,
            wanted.start_bps,
            wanted.max_bps,
            self._loop.time(),
        )
        self._encoders[encoding].bitrate_bps = bitrate_bps
        if encoding == ("h264", "high"):
            self._out.want_bitrate(bitrate_bps)

    # --- from the threads to the loop

    def _call(self, function: Callable[..., None], *args: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    def _sink(self, encoding: Encoding) -> Post:
        packetize = self._packetizers[encoding]

        def post(epoch: int, coded: CodedFrame) -> None:
            self._call(self._deliver, encoding, epoch, packetize(coded))

        return post

    def _deliver(self, encoding: Encoding, epoch: int, frame: EncodedFrame) -> None:
        if epoch != self._out.gate.epoch or frame.key is not self._key:
            return  # encoded before the gate moved, or without the key
        codec, layer = encoding
        self._encoded[codec] += 1
        self._trace.since("video-send", frame.captured_s)
        for tap in self._taps.get(encoding, ()):
            if tap.layer != layer:
                if not frame.keyframe:
                    continue
                left, tap.layer = tap.layer, layer
                self._leave((codec, left), tap)
            tap.put(frame)
