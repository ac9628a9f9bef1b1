"""How a leg ends, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiortc import RTCDtlsTransport

from appliance.media import aiortc_hooks
from appliance.media.uplink import Uplink
from appliance.room.leg import Leg
from appliance.room.signaling_room import IceServer
from appliance.room.uplink_leg import UplinkLeg
from tests.appliance.room.leg_pair import Call, footprint
from tests.appliance.room.media import until


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


@pytest.mark.parametrize(("turns", "servers"), [(3, 0), (4, 0), (5, 0), (9, 1)])
async def test_an_offer_that_is_cancelled_while_it_gathers_leaves_no_socket(turns: int, servers: int) -> None:
    aiortc_hooks.install(["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    uplink = Uplink()
    before = await footprint()
    dead = [IceServer(urls=("stun:127.0.0.1:9",))] * servers
    leg = UplinkLeg("leg", uplink, ("audio",), ice_servers=dead, on_closed=lambda reason: None)
    offering = asyncio.create_task(leg.offer(), name="offering")
    for _ in range(turns):
        await asyncio.sleep(0)
    offering.cancel()
    await asyncio.gather(offering, return_exceptions=True)
    await leg.close()
    assert await footprint() == before
    await uplink.close()


@pytest.mark.parametrize("turns", range(4))
async def test_a_packet_that_comes_with_the_close_does_not_stop_it(turns: int) -> None:
    """In the middle of a DTLS handshake, whose `asyncio.wait_for` then loses the cancellation before Python 3.12."""
    async with Call() as call:
        before = await footprint()
        up, down, _ = call.new_pair()
        answer = await down.answer(call.wire.route(await up.offer()))
        aiortc_hooks.ice_agent(down.pc).data_received = lambda data, component: None  # no ServerHello
        await up.accept(call.wire.route(answer))
        await until(lambda: any(transport.state == "connecting" for transport in dtls(up)))
        aiortc_hooks.ice_agent(up.pc).data_received(b"\x16", 1)
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await asyncio.gather(up.close(), down.close())
        call.wire.close()
        assert await footprint() == before


def dtls(leg: Leg) -> list[RTCDtlsTransport]:
    return [transceiver.receiver.transport for transceiver in leg.pc.getTransceivers()]


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
