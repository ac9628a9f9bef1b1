"""What this unit sends: the microphone, the main camera and a screen, each behind a mute gate, each encoded once.

microphone -> NearEnd -> AudioOut -> Packetizer -----------+
camera --> VideoSource: encoders by (codec, layer) --------+--> event loop -> a tap for each leg
screen --> VideoSource: the same --------------------------+
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

from appliance.media.audio_out import AudioOut
from appliance.media.audio_rate import AudioRate, packet_length, wanted_bps
from appliance.media.e2ee import FrameEncryptor, FrameKey, make_encryptor
from appliance.media.echo import NearEnd, NearEndSettings
from appliance.media.far_end import FarEnd
from appliance.media.frames import CodedFrame, EncodedFrame, Kind, Layer, SourceName, StreamName, VideoCodec
from appliance.media.merge import merge_loss
from appliance.media.opus_encoder import LONG_FRAMES
from appliance.media.packetizer import Packetizer
from appliance.media.sei import SeiPayload
from appliance.media.tap import Tap, TapCalls
from appliance.media.trace import Trace
from appliance.media.video_settings import VideoSettings
from appliance.media.video_source import EncodingStats, VideoSource
from hw import AudioBlock, Camera, HardwareError, Microphone
from hw.level import SILENCE_DBOV

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    video: VideoSettings = field(default_factory=VideoSettings)
    screen: VideoSettings = field(default_factory=lambda: VideoSettings(1920, 1080, fps=15, detail=True))
    near_end: NearEndSettings = field(default_factory=NearEndSettings)
    low_delay: bool = True  # packets of sound of 10 ms in place of 20, where every link has room


class Uplink:
    """Made and used on the event loop. `far_end`: what this unit's speaker plays, whose echo is to be cancelled."""

    def __init__(self, settings: UplinkSettings | None = None, far_end: FarEnd | None = None) -> None:
        self.settings = settings or UplinkSettings()
        self.on_device_lost: Callable[[SourceName, HardwareError], None] = _log_lost
        self.on_screen_ended: Callable[[], None] = lambda: None  # its source is gone, taken away or lost
        self.trace = Trace()
        self.encoded: Counter[str] = Counter()  # frames by codec, each counted once however many legs take it
        self._loop = asyncio.get_running_loop()
        self.near_end = NearEnd(self.settings.near_end, far_end or FarEnd(), self.trace)
        self._audio = AudioOut(self._post, self.trace)
        self._packetize = Packetizer("opus")
        self._key: FrameKey | None = None
        self._sealer: FrameEncryptor | None = None  # of messages
        self._video: dict[StreamName, VideoSource] = {
            "main": VideoSource(
                "main", self.settings.video, self.trace, self.encoded, lambda exc: self.on_device_lost("video", exc)
            ),
            "screen": VideoSource("screen", self.settings.screen, self.trace, self.encoded, self._screen_lost),
        }
        self._audio_rate = AudioRate()
        self._taps: tuple[Tap, ...] = ()
        self._microphone: Microphone | None = None
        self._closed = False
        self._merge()

    # --- devices

    def start(self, microphone: Microphone | None, camera: Camera | None) -> None:
        """Takes these devices in place of the ones before; None is an absent one. Owns them from now on.

        One that cannot be opened is reported like one that got lost, and the other works without it.
        """
        if microphone is not self._microphone:
            self._drop_microphone()
            self.near_end.restart(microphone)
            if microphone is not None:
                self._microphone = microphone
                try:
                    microphone.start(self._hear, lambda exc: self._call(self._lost, microphone, exc))
                except HardwareError as exc:
                    self._loop.call_soon(self._lost, microphone, exc)
        self._video["main"].start(camera)

    def start_screen(self, camera: Camera | None) -> None:
        """As `start`, for the pictures of the stream `screen`."""
        had_one = self.has("screen")
        self._video["screen"].start(camera)
        if had_one and camera is None:
            self.on_screen_ended()

    def _screen_lost(self, error: HardwareError) -> None:
        self.on_device_lost("screen", error)
        self.on_screen_ended()

    def has(self, source: SourceName) -> bool:
        """Whether there is a device for this that works as far as is known."""
        return self._microphone is not None if source == "audio" else self._source(source).has_camera

    def _source(self, source: SourceName) -> VideoSource:
        return self._video["screen" if source == "screen" else "main"]

    def _drop_microphone(self) -> None:
        microphone, self._microphone = self._microphone, None
        if microphone is not None:
            microphone.close()

    def _lost(self, microphone: Microphone, error: HardwareError) -> None:
        if microphone is self._microphone:
            self._drop_microphone()
            self.on_device_lost("audio", error)

    async def close(self) -> None:
        """Closes the devices, the taps and every thread."""
        if self._closed:
            return
        self._closed = True
        for tap in self._taps:
            tap.close()
        microphone, self._microphone = self._microphone, None
        closing = [source.close() for source in self._video.values()]
        if microphone is not None:
            closing.append(asyncio.to_thread(microphone.close))  # may take a second
        await asyncio.gather(*closing)

    def change(self, settings: UplinkSettings) -> None:
        """Other pictures from now on, for every leg that is there; a codec counts for legs to come."""
        self.settings = settings
        self.near_end.change(settings.near_end)
        self._video["main"].change(settings.video)
        self._video["screen"].change(settings.screen)
        self._merge()

    # --- gates

    def set_muted(self, source: SourceName, muted: bool) -> None:
        """Moves a gate. When this returns, nothing captured before a mute and not yet sent will be sent."""
        if source != "audio":
            self._source(source).set_muted(muted)
            return
        gate = self._audio.gate.set(muted, self._loop.time())
        if gate is not self._audio.gate:
            self._audio.gate = gate
            self.near_end.is_open = not muted
            for tap in self._taps:
                tap.flush()

    def is_muted(self, source: SourceName) -> bool:
        """The gate itself, not the wish; False without a device: see `has`."""
        return self.has(source) and (self._audio.gate.muted if source == "audio" else self._source(source).muted)

    def protect(self, key: FrameKey | None) -> None:
        """Encrypts every stream with `key` from now on, once for all legs; None: nothing any more.

        When this returns, nothing that was encoded before and not yet sent will be sent.
        """
        if key is self._key:
            return
        self._key = key
        self._sealer = make_encryptor(key) if key is not None else None
        self._packetize.protect(key)
        for tap in self._taps:
            tap.flush()
        for source in self._video.values():
            source.protect(key)

    def send_sei(self, payload: SeiPayload) -> None:
        """With the next picture of the main stream, encrypted as that is."""
        if self._sealer is not None:
            payload = replace(payload, data=self._sealer.seal("message", payload.data))
        self._video["main"].send_sei(payload)

    @property
    def level(self) -> int:
        """Local volume 0..100, behind the gate."""
        return self._audio.level if self.has("audio") else 0

    @property
    def dbov(self) -> float:
        """The same, -127 to 0 dBov."""
        return self._audio.dbov if self.has("audio") else SILENCE_DBOV

    # --- taps

    def max_bitrate_bps(self, *, stream: StreamName = "main", layer: Layer = "high") -> int:
        """What this layer's encoder aims at where nothing limits it."""
        return self._video[stream].max_bitrate_bps(layer)

    def captured(self, stream: StreamName) -> int:
        """Pictures that came of a camera so far, sent or not."""
        return self._video[stream].captured

    def sent_size(self, codec: VideoCodec, *, stream: StreamName = "main", layer: Layer = "high") -> tuple[int, int]:
        """Width and height that this encoder makes; 0 and 0 while it doesn't run."""
        return self._video[stream].sent_size(codec, layer)

    @property
    def refused(self) -> int:
        """How much of what cameras delivered was no picture, and went nowhere."""
        return sum(source.refused for source in self._video.values())

    def video_codecs(self, stream: StreamName = "main") -> tuple[VideoCodec, ...]:
        """What can be tapped, the preferred one first."""
        return self._video[stream].codecs

    def tap(self, kind: Kind, codec: str, *, stream: StreamName = "main", layer: Layer = "high") -> Tap:
        """A new reader of "opus", "h264" or "vp8". Its first picture is a key frame, asked for now.

        Sound has no layers, and the stream `screen` has no sound of a device.
        """
        if codec not in (("opus",) if kind == "audio" else ("h264", "vp8")):
            raise ValueError(f"no {kind} codec {codec!r}: opus, or h264 and vp8")
        if kind == "video":
            return self._video[stream].tap(cast(VideoCodec, codec), layer)
        if stream != "main":
            raise ValueError(f"the stream {stream} has no sound of a device")
        if self._closed:
            raise RuntimeError("the uplink is closed")
        tap = Tap("audio", "opus", TapCalls(lambda: None, self._merge, self._remove))
        self._taps = (*self._taps, tap)
        self._audio.wanted = self._audio.newcomer = True
        return tap

    @property
    def audio_bitrate_bps(self) -> int:
        """What the encoder of the sound aims at."""
        return self._audio_rate.bps

    def target_bitrate_bps(
        self, codec: VideoCodec, *, stream: StreamName = "main", layer: Layer = "high"
    ) -> int | None:
        """What this encoder aims at; None while it doesn't run."""
        return self._video[stream].target_bitrate_bps(codec, layer)

    def encodings(self) -> tuple[EncodingStats, ...]:
        """Each video encoder that runs."""
        return tuple(stats for source in self._video.values() for stats in source.encodings())

    def set_strain(self, rungs: int) -> None:
        """How many rungs of the ladder of sizes and rates the machine is to be spared."""
        for source in self._video.values():
            source.strain = rungs

    def _remove(self, tap: Tap) -> None:
        self._taps = tuple(other for other in self._taps if other is not tap)
        self._audio.wanted = bool(self._taps)
        self._merge()

    def _merge(self) -> None:
        now_s = self._loop.time()
        loss = merge_loss((tap.loss for tap in self._taps if tap.loss is not None), now_s)
        links = [source.link_bps for source in self._video.values() if source.link_bps is not None]
        link_bps = min(links, default=None)
        self._audio_rate = self._audio_rate.toward(wanted_bps(loss, link_bps), now_s)
        self._audio.loss, self._audio.bitrate_bps = loss or 0.0, self._audio_rate.bps
        length = packet_length(loss, link_bps, self._audio.frame_frames) if self.settings.low_delay else LONG_FRAMES
        self._audio.frame_frames = length

    # --- from the microphone's thread to the loop

    def _hear(self, block: AudioBlock) -> None:
        """The microphone's sink, in its thread."""
        self._audio.on_block(self.near_end.process(block))

    def _call(self, function: Callable[..., None], *args: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    def _post(self, epoch: int, coded: CodedFrame) -> None:
        self._call(self._deliver, epoch, self._packetize(coded))

    def _deliver(self, epoch: int, frame: EncodedFrame) -> None:
        if epoch != self._audio.gate.epoch or frame.key is not self._key:
            return  # encoded before the gate moved, or without the key
        self.encoded["opus"] += 1
        self.trace.since("audio-send", frame.captured_s)
        for tap in self._taps:
            tap.put(frame)


def _log_lost(source: SourceName, error: HardwareError) -> None:
    logger.warning("%s device lost: %s", source, error)
