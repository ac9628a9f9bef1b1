"""The appliance's own media path, from the wire to speaker and screen."""

from __future__ import annotations

import asyncio
import time

import av

from appliance.media import aiortc_hooks
from appliance.media.playout import Playout
from appliance.room.downlink_leg import DownlinkLeg
from hw import Speaker
from tests.bench.end import Recording, lost
from tests.bench.sources import BenchSpeaker, BurstListener, frame_age_ms


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
        self._playout.start(self.speaker())

    def speaker(self) -> Speaker:
        return BenchSpeaker(BurstListener(lambda age_ms: self.taken.sounds_ms.append(age_ms)))

    def age_ms(self, frame: av.VideoFrame, now_s: float) -> float | None:
        return frame_age_ms(frame, now_s)

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
            on_closed=lost,
        )
        self._in.append(leg)
        answer = await leg.answer(sdp)
        if self.watches and self._watch is None:  # from the first picture on, as stock's track is read
            self._watch = asyncio.create_task(self._look(), name="bench-watch")
        return answer

    async def sent_bytes(self) -> int:
        return 0

    async def connected(self) -> None:
        """Until the first packet of sound has been decoded for the speaker."""
        audio = self._in[-1].audio
        assert audio is not None
        while audio.stats().delay_ms == 0.0:  # noqa: ASYNC110  # statistics raise no event
            await asyncio.sleep(0.001)

    async def _look(self) -> None:
        video = self._in[0].video
        assert video is not None
        with video.watch():
            while True:
                frame = await video.wait_frame()
                now_s = time.monotonic()
                self.saw(now_s, self.age_ms(frame, now_s))

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
