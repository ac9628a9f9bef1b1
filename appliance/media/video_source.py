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
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import cast

from appliance.media.e2ee import FrameKey
from appliance.media.frames import CodedFrame, EncodedFrame, Layer, StreamName, VideoCodec
from appliance.media.layer_choice import LegView
from appliance.media.packetizer import Packetizer
from appliance.media.pass_through import CameraCalls
from appliance.media.sei import SeiPayload
from appliance.media.tap import Tap, TapCalls
from appliance.media.trace import Trace
from appliance.media.video_control import ENCODINGS, Encoding, VideoControl
from appliance.media.video_encoder import fit
from appliance.media.video_out import EncoderThread, Post, VideoOut
from appliance.media.video_settings import VideoSettings, layer_settings
from hw import Camera, HardwareError, RawPictures

logger = logging.getLogger(__name__)

LOOK_S = 0.25  # between two looks at what the legs may send
REPORT_LOOK_S = 0.1  # after a report


@dataclass(frozen=True, slots=True)
class EncodingStats:
    """One encoder that runs, or the camera that encodes in its place. `pictures` and `keyframes` grow."""

    stream: StreamName
    codec: VideoCodec
    layer: Layer
    width: int
    height: int
    fps: int
    bitrate_bps: int
    pictures: int
    keyframes: int
    took_ms: float  # one picture, smoothed

    @property
    def load(self) -> float:
        """The encoder's share of the time from picture to picture; over 1 it leaves pictures out."""
        return self.took_ms * self.fps / 1000


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
        self._control = VideoControl(settings)
        self._looked_s = float("-inf")
        self._next_look: asyncio.TimerHandle | None = None
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
        self._pictures: Counter[Encoding] = Counter()
        self._keyframes: Counter[Encoding] = Counter()
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
    def captured(self) -> int:
        """Pictures that came so far, sent or not."""
        return self._out.captured

    @property
    def refused(self) -> int:
        """How much of what cameras delivered was no picture, and went nowhere."""
        return self._out.refused

    def _drop_camera(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()
            self._out.newest = None  # nothing of it goes out any more

    def _lost(self, camera: Camera, error: HardwareError) -> None:
        if camera is self._camera:
            self._drop_camera()
            self._on_lost(error)

    async def close(self) -> None:
        """Closes the camera, the taps and every thread. Idempotent."""
        self._closed = True
        self._look()  # the last one: it only ends the timer
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
        if replace(settings, codec=self.settings.codec) != self.settings:
            self._control.change(settings)
        self.settings = settings
        self._look()

    @property
    def strain(self) -> int:
        """How many rungs of the ladder the machine is to be spared."""
        return self._control.strain

    @strain.setter
    def strain(self, rungs: int) -> None:
        self._control.strain = rungs
        self._look()

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

    def send_sei(self, payload: SeiPayload) -> None:
        """With the next picture of the high layer, once for all legs; nowhere while nobody takes it."""
        for (codec, layer), taps in self._taps.items():
            if layer == "high" and taps:
                self._packetizers[codec, layer].add_sei(payload)

    def _begin_anew(self) -> None:
        """With a key frame; what is on its way is dropped."""
        for packetizer in self._packetizers.values():
            packetizer.clear_sei()
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
        calls = TapCalls(lambda: self._request_keyframe((codec, tap.next_layer)), self._reported, self._remove)
        tap = Tap("video", codec, calls, layer if self.settings.low_layer else "high", self._control.new_leg())
        tap.wanted_layer = layer
        self._add((codec, tap.layer), tap)
        self._look()
        return tap

    def target_bitrate_bps(self, codec: VideoCodec, layer: Layer = "high") -> int | None:
        """What this encoder aims at; None while it doesn't run."""
        encoder = self._encoders.get((codec, layer))
        return encoder.bitrate_bps if encoder is not None else None

    def encodings(self) -> tuple[EncodingStats, ...]:
        """Each encoder that runs."""
        return tuple(
            EncodingStats(
                self._stream,
                *encoding,
                *self._made_by(encoding),
                encoder.bitrate_bps,
                self._pictures[encoding],
                self._keyframes[encoding],
                round(1000 * encoder.took_s, 2),
            )
            for encoding, encoder in self._encoders.items()
        )

    def _made_by(self, encoding: Encoding) -> tuple[int, int, int]:
        camera, rung = self._camera, self._encoders[encoding].rung
        if camera is not None and self._out.encodes_itself and encoding == ("h264", "high"):
            return camera.width, camera.height, camera.fps
        return rung.width, rung.height, rung.fps

    def max_bitrate_bps(self, layer: Layer) -> int:
        """What this layer's encoder aims at where nothing limits it."""
        return layer_settings(self.settings, layer).max_bps

    def sent_size(self, codec: VideoCodec, layer: Layer) -> tuple[int, int]:
        """Width and height that this encoder makes; 0 and 0 while it doesn't run."""
        if (codec, layer) not in self._encoders:
            return (0, 0)
        width, height, _ = self._made_by((codec, layer))
        return fit(*self._out.size, width, height) if self._out.size is not None else (width, height)

    def _add(self, encoding: Encoding, tap: Tap) -> None:
        self._taps[encoding] = (*self._taps.get(encoding, ()), tap)
        if encoding not in self._encoders:
            self._start_encoder(encoding)
        self._request_keyframe(encoding)

    def _move(self, tap: Tap, layer: Layer) -> None:
        codec, left = _codec(tap), tap.next_layer
        tap.next_layer = layer
        if left != tap.layer:  # back again, before there was a key frame
            self._leave((codec, left), tap)
        else:
            self._add((codec, layer), tap)

    def _remove(self, tap: Tap) -> None:
        for layer in {tap.layer, tap.next_layer}:
            self._leave((_codec(tap), layer), tap)
        self._look()

    def _leave(self, encoding: Encoding, tap: Tap) -> None:
        left = self._taps[encoding] = tuple(other for other in self._taps[encoding] if other is not tap)
        if not left:
            self._encoders.pop(encoding).stop()
            self._packetizers[encoding].clear_sei()
            self._update()

    # --- control

    @property
    def link_bps(self) -> float | None:
        """The least that a leg of it may send, of sound and pictures together; None without a leg."""
        controls = [tap.control for taps in self._taps.values() for tap in taps if tap.control is not None]
        return min((control.target_bps for control in controls), default=None)

    def _reported(self) -> None:
        wait_s = self._looked_s + REPORT_LOOK_S - self._loop.time()
        if wait_s <= 0:
            self._look()
        elif self._next_look is None and not self._closed:
            self._next_look = self._loop.call_later(wait_s, self._look)

    def _look(self) -> None:
        """What the legs may send now -> their layers and the encoders' aims."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        if self._closed:
            return
        now_s = self._looked_s = self._loop.time()
        legs: dict[Hashable, LegView] = {}
        for tap in {tap for taps in self._taps.values() for tap in taps}:
            assert tap.control is not None
            legs[tap] = LegView(tap.wanted_layer, tap.control.look(now_s), tap.control.congested_s)
        for leg, layer in self._control.choose(legs, now_s).items():
            assert isinstance(leg, Tap)
            if layer != leg.next_layer:
                self._move(leg, layer)
            if leg.control is not None and (bps := self._control.restart_bps(leg, _codec(leg), now_s)) is not None:
                logger.info("a slow receiver is tried on the high layer again")
                leg.control.restart(bps)
        for encoding, encoder in self._encoders.items():
            targets = [
                (tap, tap.media_share * tap.control.target_bps)
                for tap in self._taps[encoding]
                if tap.control is not None and tap.next_layer == encoding[1]
            ]
            aim = self._control.aim(encoding, targets, now_s)
            if aim.rung != encoder.rung:
                logger.info("%s: %s at %d bit/s", encoder.thread.name, aim.rung, aim.bitrate_bps)
            encoder.bitrate_bps = aim.bitrate_bps
            encoder.limit(aim.rung, paced=aim.paced)
            if encoding == ("h264", "high"):
                self._out.want_bitrate(aim.bitrate_bps)

    # --- encoders

    def _start_encoder(self, encoding: Encoding) -> None:
        codec, layer = encoding
        aim = self._control.start(encoding)
        ended = asyncio.Event()
        encoder = EncoderThread(
            "-".join(("encode", self._stream, codec, layer)),
            codec,
            layer,
            aim.rung,
            aim.bitrate_bps,
            self._frame_lock,
            self._sink(encoding),
            lambda: self._call(self._encoder_ended, encoder),
            self._trace,
        )
        encoder.limit(aim.rung, paced=aim.paced)
        self._out.begin(encoder)
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
        self._pictures[encoding] += 1
        self._keyframes[encoding] += frame.keyframe
        self._trace.since("video-send", frame.captured_s)
        if self._loop.time() - self._looked_s >= LOOK_S:
            self._look()
        for tap in self._taps.get(encoding, ()):
            if tap.layer != layer:
                if not frame.keyframe:
                    continue
                left, tap.layer = tap.layer, layer
                self._leave((codec, left), tap)
            tap.put(frame)


def _codec(tap: Tap) -> VideoCodec:
    return cast(VideoCodec, tap.codec)
