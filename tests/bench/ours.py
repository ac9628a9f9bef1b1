"""The appliance's own media path, from capture to speaker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from appliance.media import aiortc_hooks
from appliance.media.frames import Kind, Layer
from appliance.media.playout import Playout
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.room.downlink_leg import DownlinkLeg
from appliance.room.uplink_leg import UplinkLeg
from hw import Camera
from tests.bench.encoded import BITRATE_BPS, EncodedCamera, FilmCamera
from tests.bench.end import Recording
from tests.bench.sources import BenchCamera, BenchMicrophone, BenchSpeaker, BurstListener, frame_age_ms

STOCK_BPS = 1_000_000
FIXED = VideoSettings(min_bitrate_bps=STOCK_BPS, start_bitrate_bps=STOCK_BPS, max_bitrate_bps=STOCK_BPS)


def _lost(reason: str) -> None:
    raise RuntimeError(reason)


class Sender(Recording):
    """One Uplink, a leg for every offer."""

    settings = UplinkSettings()
    camera: Callable[[], Camera] = BenchCamera
    layers: Sequence[Layer] = ("high",)  # of the legs in turn

    def __init__(self) -> None:
        super().__init__()
        self._out: list[UplinkLeg] = []

    async def start(self) -> None:
        aiortc_hooks.install(["127.0.0.1"])
        self._uplink = Uplink(self.settings)
        self._uplink.start(BenchMicrophone(), self.camera())

    async def offer(self) -> str:
        number = len(self._out)
        layer = self.layers[number % len(self.layers)]
        kinds: tuple[Kind, ...] = ("audio", "video")
        leg = UplinkLeg(f"leg{number}", self._uplink, kinds, layer=layer, ice_servers=(), on_closed=_lost)
        self._out.append(leg)
        return await leg.offer()

    async def answer(self, sdp: str) -> str:
        raise RuntimeError("a sender offers")

    async def accept(self, sdp: str) -> None:
        await self._out[-1].accept(sdp)

    async def connected(self) -> None:
        """The receiver knows when media flows."""

    async def sent_bytes(self) -> int:
        return self._out[0].stats().bytes if self._out else 0

    async def close(self) -> None:
        for leg in self._out:
            await leg.close()
        await self._uplink.close()


class FixedSender(Sender):
    """At the rate that stock aiortc starts with, and which it keeps without a receiver that estimates."""

    settings = UplinkSettings(replace(FIXED, low_layer=False))


class LayersSender(Sender):
    """The second leg takes the low layer."""

    settings = UplinkSettings(FIXED)
    layers = ("high", "low")


class FilmSender(Sender):
    """Encodes the film at its own rate."""

    settings = UplinkSettings(VideoSettings(min_bitrate_bps=BITRATE_BPS, max_bitrate_bps=BITRATE_BPS, low_layer=False))
    camera = FilmCamera


class PassThroughSender(FilmSender):
    """Sends the film as it is."""

    camera = EncodedCamera


class Sink(Recording):
    """Takes a call and decodes sound only: cheap, and the same for every sender that is measured."""

    watches = False

    def __init__(self) -> None:
        super().__init__()
        self._in: list[DownlinkLeg] = []
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        aiortc_hooks.install(["127.0.0.1"])
        self._playout = Playout()
        listener = BurstListener(lambda age_ms: self.taken.sounds_ms.append(age_ms))
        self._playout.start(BenchSpeaker(listener))

    async def offer(self) -> str:
        raise RuntimeError("a receiver answers")

    async def accept(self, sdp: str) -> None:
        raise RuntimeError("a receiver answers")

    async def answer(self, sdp: str) -> str:
        number = len(self._in)
        leg = DownlinkLeg(
            f"leg{number}",
            f"sender{number}",
            self._playout,
            ice_servers=(),
            on_media=lambda kind: None,
            on_closed=_lost,
        )
        self._in.append(leg)
        return await leg.answer(sdp)

    async def sent_bytes(self) -> int:
        return 0

    async def connected(self) -> None:
        """Until the first packet of sound has been decoded for the speaker."""
        audio = self._in[-1].audio
        assert audio is not None
        while audio.stats().delay_ms == 0.0:  # noqa: ASYNC110  # statistics raise no event
            await asyncio.sleep(0.001)
        if self.watches and self._watch is None:
            self._watch = asyncio.create_task(self._look(), name="bench-watch")

    async def _look(self) -> None:
        video = self._in[0].video
        assert video is not None
        with video.watch():
            while True:
                frame = await video.wait_frame()
                now_s = time.monotonic()
                self.saw(now_s, frame_age_ms(frame, now_s))

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        for leg in self._in:
            await leg.close()
        await self._playout.close()


class Receiver(Sink):
    """Takes a call, plays its sound and looks at its pictures."""

    watches = True


class Party(Receiver):
    """Both at once: what a call costs."""

    def __init__(self) -> None:
        super().__init__()
        self._sender = Sender()

    async def start(self) -> None:
        await super().start()
        await self._sender.start()

    async def offer(self) -> str:
        return await self._sender.offer()

    async def accept(self, sdp: str) -> None:
        await self._sender.accept(sdp)

    async def connected(self) -> None:
        if self._in:
            await super().connected()

    async def sent_bytes(self) -> int:
        return await self._sender.sent_bytes()

    async def close(self) -> None:
        await super().close()
        await self._sender.close()
