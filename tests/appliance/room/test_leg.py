"""How a leg ends, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import time

import pytest

from appliance.media import aiortc_hooks
from appliance.media.uplink import Uplink
from appliance.room.signaling_room import IceServer
from appliance.room.uplink_leg import UplinkLeg
from tests.appliance.room.leg_pair import Call, footprint


@pytest.fixture(autouse=True)
def _hooks() -> None:
    aiortc_hooks.install(["127.0.0.1"])


async def test_a_cut_wire_is_found_on_both_sides_within_five_seconds_and_said_once() -> None:
    async with Call() as call:
        up, down = await call.connect()
        call.wire.cut = True
        cut_s = time.monotonic()
        reasons = await asyncio.wait_for(asyncio.gather(*call.closed.values()), 8)
        assert time.monotonic() - cut_s < 5.5
        assert set(reasons) == {"the peer does not answer any more"}
        await up.close()
        await down.close()


@pytest.mark.parametrize("ends", ["up", "down"])
async def test_a_peer_that_closes_is_noticed_at_once_and_our_own_close_says_nothing(ends: str) -> None:
    async with Call() as call:
        up, down = await call.connect()
        leg, other = (up, "down0") if ends == "up" else (down, "up0")
        await leg.close()
        assert await asyncio.wait_for(call.closed[other], 2) == "closed by the peer"
        assert not call.closed[f"{ends}0"].done()


async def test_a_leg_that_nobody_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.room.leg.SETUP_S", 0.2)
    async with Call() as call:
        up, down, _ = call.new_pair()
        offer = await up.offer()
        assert "no connection" in await asyncio.wait_for(call.closed["up0"], 2)
        call.wire.cut = True
        await down.answer(call.wire.route(offer))
        assert "no connection" in await asyncio.wait_for(call.closed["down0"], 2)


@pytest.mark.parametrize("moment", range(6))
async def test_closing_in_the_middle_of_the_set_up_leaves_nothing(moment: int) -> None:
    async with Call() as call:
        before = await footprint()
        up, down, _ = call.new_pair()
        answer = await down.answer(call.wire.route(await up.offer()))
        await up.accept(call.wire.route(answer))
        await asyncio.sleep(moment * 0.012)
        await asyncio.gather(up.close(), down.close())
        call.wire.close()
        after = await footprint()
        assert after == before
        assert not any(future.done() for name, future in call.closed.items() if name == "up0" and moment == 0)


async def test_twenty_legs_leave_no_task_thread_or_socket() -> None:
    async with Call() as call:
        await call.connect()
        for leg in call.pairs.pop():
            await leg.close()
        call.wire.close()
        before = await footprint()
        for _ in range(20):
            await call.connect()
            for leg in call.pairs.pop():
                await leg.close()
            call.wire.close()
        after = await footprint()
        assert after == before


async def test_a_dead_stun_server_costs_two_seconds_at_most() -> None:
    uplink = Uplink()
    server = IceServer(urls=("stun:127.0.0.1:9",))
    leg = UplinkLeg("leg", uplink, ("audio",), ice_servers=(server,), on_closed=lambda reason: None)
    started_s = time.monotonic()
    await leg.offer()
    assert time.monotonic() - started_s < 3.0
    await leg.close()
    await uplink.close()
