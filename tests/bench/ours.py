"""The appliance's own media path, from capture to speaker."""

from __future__ import annotations

import asyncio
import time

from appliance.media import aiortc_hooks
from appliance.media.playout import Playout
from appliance.media.uplink import Uplink
from appliance.room.downlink_leg import DownlinkLeg
from appliance.room.uplink_leg import UplinkLeg
from tests.bench.sources import BenchCamera, BenchMicrophone, BenchSpeaker, ClickListener, code_age_ms, code_in


def _lost(reason: str) -> None:
    raise RuntimeError(reason)


class Sender:
    """One Uplink, a leg for every offer."""

    def __init__(self) -> None:
        self.frame_ms: list[float] = []
        self.sound_ms: list[float] = []
        self._legs: list[UplinkLeg] = []

    async def start(self) -> None:
        aiortc_hooks.install(["127.0.0.1"])
        self._uplink = Uplink()
        self._uplink.start(BenchMicrophone(), BenchCamera())

    async def offer(self) -> str:
        leg = UplinkLeg(f"leg{len(self._legs)}", self._uplink, ("audio", "video"), ice_servers=(), on_closed=_lost)
        self._legs.append(leg)
        return await leg.offer()

    async def answer(self, sdp: str) -> str:
        await self._legs[-1].accept(sdp)
        return ""

    async def connected(self) -> None:
        """The receiver knows when media flows."""

    async def sent_bytes(self) -> int:
        return self._legs[0].stats().bytes if self._legs else 0

    async def close(self) -> None:
        for leg in self._legs:
            await leg.close()
        await self._uplink.close()


class Sink:
    """Takes a call and decodes sound only: cheap, and the same for every sender that is measured."""

    watches = False

    def __init__(self) -> None:
        self.frame_ms: list[float] = []
        self._listener = ClickListener()
        self.sound_ms = self._listener.ages_ms
        self._legs: list[DownlinkLeg] = []
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        aiortc_hooks.install(["127.0.0.1"])
        self._playout = Playout()
        self._playout.start(BenchSpeaker(self._listener))

    async def offer(self) -> str:
        raise RuntimeError("a receiver answers")

    async def answer(self, sdp: str) -> str:
        number = len(self._legs)
        leg = DownlinkLeg(
            f"leg{number}",
            f"sender{number}",
            self._playout,
            ice_servers=(),
            on_media=lambda kind: None,
            on_closed=_lost,
        )
        self._legs.append(leg)
        return await leg.answer(sdp)

    async def sent_bytes(self) -> int:
        return 0

    async def connected(self) -> None:
        """Until the first packet of sound has been decoded for the speaker."""
        audio = self._legs[-1].audio
        assert audio is not None
        while audio.stats().delay_ms == 0.0:  # noqa: ASYNC110  # statistics raise no event
            await asyncio.sleep(0.001)
        if self.watches and self._watch is None:
            self._watch = asyncio.create_task(self._look(), name="bench-watch")

    async def _look(self) -> None:
        video = self._legs[0].video
        assert video is not None
        with video.watch():
            while True:
                frame = await video.wait_frame()
                now_s = time.monotonic()
                code = code_in(frame)
                if code is not None:
                    self.frame_ms.append(code_age_ms(code, now_s))

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        for leg in self._legs:
            await leg.close()
        await self._playout.close()


class Receiver(Sink):
    """Takes a call, plays its sound and looks at its pictures."""

    watches = True
