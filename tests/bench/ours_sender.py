"""The appliance's own media path, from capture to the wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from appliance.media import aiortc_hooks
from appliance.media.far_end import FarEnd
from appliance.media.frames import Kind, Layer
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.room.uplink_leg import UplinkLeg
from hw import Camera
from tests.bench.encoded import BITRATE_BPS, FilmCamera, UnitsCamera, access_units
from tests.bench.end import Recording, lost
from tests.bench.sources import BenchCamera, BenchMicrophone

STOCK_BPS = 1_000_000
FIXED = VideoSettings(min_bitrate_bps=STOCK_BPS, start_bitrate_bps=STOCK_BPS, max_bitrate_bps=STOCK_BPS)


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
        self.begin(self.camera())

    def begin(self, camera: Camera, far_end: FarEnd | None = None) -> None:
        self._uplink = Uplink(self.settings, far_end)
        self._uplink.start(BenchMicrophone(), camera)

    async def offer(self) -> str:
        number = len(self._out)
        layer = self.layers[number % len(self.layers)]
        kinds: tuple[Kind, ...] = ("audio", "video")
        leg = UplinkLeg(f"leg{number}", self._uplink, kinds, layer=layer, ice_servers=(), on_closed=lost)
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

    settings = UplinkSettings(
        VideoSettings(min_bitrate_bps=BITRATE_BPS, max_bitrate_bps=BITRATE_BPS, low_layer=False),
    )
    camera: Callable[[], Camera] = FilmCamera


class PassThroughSender(FilmSender):
    """Sends the film as it is."""

    camera = staticmethod(lambda: UnitsCamera(access_units()))
