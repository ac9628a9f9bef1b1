"""U52, U53: who speaks and who is loudest, of several microphones through real legs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import numpy as np
import pytest

from appliance.media import aiortc_hooks
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.room import LocalStream
from appliance.room.events import ActiveSpeaker, StreamSubscribed, VolumeIndicator
from appliance.room.levels import EVALUATE_S
from hw import AudioBlock, HardwareError
from hw.synthetic import SyntheticMicrophone
from tests.appliance.room.house import Guest, house
from tests.appliance.room.media import playout, until


class Talker(SyntheticMicrophone):
    """A tone at `gain` of a quarter of full scale."""

    def __init__(self, gain: float) -> None:
        super().__init__(tone_hz=440)
        self._gain = gain

    def start(self, sink: Callable[[AudioBlock], None], on_lost: Callable[[HardwareError], None]) -> None:
        def quieter(block: AudioBlock) -> None:
            sink(AudioBlock((block.samples * self._gain).astype(np.int16), block.captured_s))

        super().start(quieter, on_lost)


@asynccontextmanager
async def talking(**gains: float) -> AsyncIterator[tuple[Guest, dict[str, Guest]]]:
    """The one who listens, and everybody who talks, by name."""
    aiortc_hooks.install(["127.0.0.1"], loopback=True)
    async with AsyncExitStack() as stack:
        uplinks = {}
        for name, gain in gains.items():
            uplinks[name] = Uplink(UplinkSettings())
            stack.push_async_callback(uplinks[name].close)
            uplinks[name].start(Talker(gain), None)
        player = await stack.enter_async_context(playout())
        home = await stack.enter_async_context(house())
        listener = await home.joined("z", playout=player, auto_subscribe=True)
        talkers = {name: await home.joined(name, uplink=uplinks[name]) for name in gains}
        for talker in talkers.values():
            await talker.client.publish(LocalStream(video=False))
        await listener.heard(StreamSubscribed, len(gains), 10)
        yield listener, talkers


@pytest.mark.row("U53", "U54")
async def test_the_three_loudest_of_four_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.room.reports.INDICATE_S", 0.1)
    async with talking(a=0.1, b=2.0, c=0.03, d=0.5) as (listener, _):
        assert listener.of(VolumeIndicator) == []
        listener.client.enable_top_n_audio(True)

        def told() -> bool:
            last = listener.of(VolumeIndicator)[-1:]
            return [user.user_id for event in last for user in event.users] == ["b", "d", "a"]

        await until(told, what="b, d and a")
        volumes = [user.volume for user in listener.of(VolumeIndicator)[-1].users]
        assert volumes == sorted(volumes, reverse=True)
        assert all(10 < volume <= 100 for volume in volumes)


@pytest.mark.row("U52")
async def test_the_active_speaker_follows_who_is_louder_and_nobody_in_silence() -> None:
    async with talking(b=1.0, c=0.1) as (listener, talkers):
        await until(lambda: [event.user_id for event in listener.of(ActiveSpeaker)] == ["b"], what="b is louder")
        await talkers["b"].client.mute("audio")
        await until(lambda: listener.of(ActiveSpeaker)[-1].user_id == "c", what="c alone")
        await talkers["b"].client.unmute("audio")
        await until(lambda: listener.of(ActiveSpeaker)[-1].user_id == "b", what="b again")
        for talker in talkers.values():
            await talker.client.mute("audio")
        spoken = len(listener.of(ActiveSpeaker))
        await asyncio.sleep(2.5 * EVALUATE_S)  # two elections
        assert len(listener.of(ActiveSpeaker)) == spoken
        assert [event.user_id for event in listener.of(ActiveSpeaker)] == ["b", "c", "b"]
