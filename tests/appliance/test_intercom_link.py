"""Calls between units on mock hardware, through a real hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace

import pytest

from appliance import intercom as intercom_module
from appliance.errors import InvalidStateError, NotLoggedInError
from appliance.events import Bus
from appliance.intercom import CallEnd, CallPhase, CallRules
from appliance.intercom_link import IntercomLink
from appliance.intercom_settings import IntercomSettings
from appliance.room.events import ConnectionState, LoginState
from appliance.session import Session
from appliance.unit_events import CallChanged
from tests.appliance.unit import MockDevices, hub_at, settings, token, until
from tests.tcp_proxy import tcp_proxy

P, S = CallPhase, ConnectionState


@dataclass
class Unit:
    session: Session
    intercom: IntercomLink
    bus: Bus
    devices: MockDevices

    @property
    def phase(self) -> CallPhase:
        return self.intercom.phase

    @property
    def end(self) -> CallEnd | None:
        return self.intercom.call_info.end

    @property
    def is_reachable(self) -> bool:
        return self.session.client is not None and self.session.client.login_state is LoginState.CONNECTED

    def hears(self, user_id: str) -> bool:
        user = self.session.peers.get(user_id)
        main = user.streams.get("main") if user is not None else None
        return main is not None and main.audio is not None and bool(main.audio.level)


@asynccontextmanager
async def unit_at(
    url: str, user_id: str, *, auto_join: bool = False, mints: bool = True, **options: object
) -> AsyncIterator[Unit]:
    rules = CallRules(**{key: options.pop(key) for key in list(options) if key in CallRules.__slots__})  # type: ignore[arg-type]
    call = IntercomSettings(rules=rules, mint=token if mints else None, **options)  # type: ignore[arg-type]
    devices, bus = MockDevices(), Bus()
    session = Session(settings(url, auto_join=auto_join, user_id=user_id), replace(devices.drivers, camera=None), bus)
    intercom = IntercomLink(session, bus, call)
    tasks = [
        asyncio.create_task(session.run(), name=f"session of {user_id}"),
        asyncio.create_task(intercom.run(), name=f"intercom of {user_id}"),
    ]
    unit = Unit(session, intercom, bus, devices)
    try:
        await until(lambda: unit.is_reachable)
        yield unit
    finally:
        for task in reversed(tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until_phase(unit: Unit, phase: CallPhase) -> None:
    await until(lambda: unit.phase is phase, f"{unit.session.settings.user_id} {phase}")


def is_ringing(unit: Unit) -> bool:
    return unit.session.playout is not None and unit.session.playout.level > 0


async def test_a_call_from_the_ring_to_the_end() -> None:
    async with hub_at() as (_, url), unit_at(url, "door", peers=("desk",)) as door, unit_at(url, "desk") as desk:
        assert door.session.state is S.DISCONNECTED
        door.intercom.press()
        assert door.phase is P.RINGING_OUT
        await until_phase(desk, P.RINGING_IN)
        await until(lambda: is_ringing(desk) and is_ringing(door), "both hear it ring")
        assert desk.intercom.call_info.peer_name == "The unit"
        assert desk.session.state is S.DISCONNECTED  # nobody is heard before the answer
        desk.intercom.press()
        await until(lambda: door.hears("desk") and desk.hears("door"), "both hear each other")
        assert door.phase is desk.phase is P.IN_CALL
        assert (told := desk.bus.latest(CallChanged)) is not None
        assert (told.phase, told.peer_id, told.room) == ("in-call", "door", "lobby")
        await door.intercom.hold()
        await until(lambda: door.session.state is desk.session.state is S.DISCONNECTED)
        assert (door.end, desk.end) == (CallEnd.HUNG_UP, CallEnd.PEER_HUNG_UP)
        assert door.is_reachable
        assert desk.is_reachable
        assert await desk.intercom.missed_calls() == ()


async def test_the_first_of_a_group_wins_and_nobody_has_missed_it() -> None:
    async with (
        hub_at() as (_, url),
        unit_at(url, "door", peers=("desk", "shop")) as door,
        unit_at(url, "desk") as desk,
        unit_at(url, "shop") as shop,
    ):
        door.intercom.press()
        await until_phase(desk, P.RINGING_IN)
        await until_phase(shop, P.RINGING_IN)
        shop.intercom.answer()
        await until_phase(desk, P.IDLE)
        assert desk.end is CallEnd.ANSWERED_ELSEWHERE
        await until(lambda: door.intercom.call_info.peer_id == "shop" and "shop" in door.session.peers)
        assert await desk.intercom.missed_calls() == ()


async def test_two_that_answer_at_once_are_one_too_many() -> None:
    async with (
        hub_at() as (_, url),
        unit_at(url, "door", peers=("desk", "shop")) as door,
        unit_at(url, "desk") as desk,
        unit_at(url, "shop") as shop,
    ):
        door.intercom.press()
        await until_phase(desk, P.RINGING_IN)
        await until_phase(shop, P.RINGING_IN)
        desk.intercom.answer()
        shop.intercom.answer()
        await until(lambda: len(door.session.peers) == 1 and {desk.phase, shop.phase} == {P.IDLE, P.IN_CALL})
        loser = desk if desk.phase is P.IDLE else shop
        assert loser.end is CallEnd.ANSWERED_ELSEWHERE


async def test_missed_calls_are_kept_by_the_hub() -> None:
    async with hub_at() as (_, url), unit_at(url, "door", peers=("desk",), ring_s=0.5) as door:
        door.intercom.press()
        await until(lambda: door.end is CallEnd.UNREACHABLE)
        async with unit_at(url, "desk") as desk:
            await until(lambda: desk.intercom.missed == 1)
            door.intercom.press()
            await until_phase(desk, P.RINGING_IN)
            await until(lambda: door.end is CallEnd.NO_ANSWER)
            await until(lambda: desk.end is CallEnd.MISSED and desk.intercom.missed == 2)
            desk.intercom.change(IntercomSettings(rules=CallRules(do_not_disturb=True)))
            door.intercom.press()
            await until(lambda: door.end is CallEnd.DO_NOT_DISTURB)
            assert desk.phase is P.IDLE
            await until(lambda: desk.intercom.missed == 3)
            assert [call.sender for call in await desk.intercom.missed_calls()] == ["door"] * 3
            await desk.intercom.clear_missed_calls()
            assert desk.intercom.missed == 0


async def test_a_call_into_a_room_that_only_the_caller_s_hub_opens() -> None:
    async with (
        hub_at() as (_, url),
        unit_at(url, "door", peers=("desk",), room="porch") as door,
        unit_at(url, "desk", mints=False, auto_join=True, auto_answer=frozenset({"door"})) as desk,
    ):
        await until(lambda: desk.session.state is S.CONNECTED)
        assert desk.session.attendance.room == "lobby"
        door.intercom.press()
        await until(lambda: "desk" in door.session.peers)
        assert desk.session.attendance.room == door.session.attendance.room == "porch"
        assert desk.intercom.call_info.was_automatic
        door.intercom.hang_up()
        await until(lambda: desk.session.state is S.CONNECTED and desk.session.attendance.room_now == "lobby")
        assert door.session.attendance.room_now is None


async def test_both_call_each_other() -> None:
    async with (
        hub_at() as (_, url),
        unit_at(url, "door", peers=("desk",)) as door,
        unit_at(url, "desk", peers=("door",), room="office") as desk,
    ):
        door.intercom.press()
        desk.intercom.press()
        await until(lambda: "desk" in door.session.peers and "door" in desk.session.peers)
        assert door.session.attendance.room == desk.session.attendance.room == "office"  # of the smaller user id
        assert await door.intercom.missed_calls() == await desk.intercom.missed_calls() == ()


async def test_busy_and_refused() -> None:
    async with (
        hub_at() as (_, url),
        unit_at(url, "door", peers=("desk",)) as door,
        unit_at(url, "shop", peers=("desk",)) as shop,
        unit_at(url, "desk") as desk,
    ):
        door.intercom.press()
        await until_phase(desk, P.RINGING_IN)
        shop.intercom.press()
        await until(lambda: shop.end is CallEnd.BUSY)
        await desk.intercom.hold()
        await until(lambda: door.end is CallEnd.DECLINED)
        door.intercom.press()
        await until_phase(desk, P.RINGING_IN)
        door.intercom.press()  # while ringing out: cancel
        await until(lambda: desk.end is CallEnd.MISSED)
        assert door.end is CallEnd.CANCELED


async def test_a_button_in_nervous_hands() -> None:
    async with hub_at() as (_, url), unit_at(url, "door", peers=("desk",)) as door, unit_at(url, "desk") as desk:
        for _ in range(9):
            door.intercom.press()
            desk.intercom.press()
            await asyncio.sleep(0)
            await desk.intercom.hold()
        if door.phase is P.RINGING_OUT:
            door.intercom.press()
        await until(lambda: door.phase is desk.phase is P.IDLE)
        door.intercom.press()
        await until_phase(desk, P.RINGING_IN)
        desk.intercom.press()
        await until(lambda: "desk" in door.session.peers)


async def test_who_never_comes_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intercom_module, "PARTNER_S", 0.5)
    async with (
        hub_at() as (_, url),
        unit_at(url, "door", peers=("desk",), room="porch", mints=False) as door,
        unit_at(url, "desk", mints=False) as desk,
    ):
        door.intercom.press()
        await until_phase(desk, P.RINGING_IN)
        desk.intercom.press()
        await until_phase(desk, P.IDLE)  # neither has a token for the porch
        await until_phase(door, P.IDLE)
        assert {door.end, desk.end} & {CallEnd.FAILED}
        await until(lambda: door.is_reachable and desk.is_reachable)


async def test_the_hub_goes_while_it_rings() -> None:
    async with AsyncExitStack() as first:
        _, url = await first.enter_async_context(hub_at())
        port = int(url.split(":")[2].partition("/")[0])
        async with unit_at(url, "door", peers=("desk",)) as door, unit_at(url, "desk") as desk:
            door.intercom.press()
            await until_phase(desk, P.RINGING_IN)
            await first.aclose()
            await until(lambda: not door.is_reachable and not desk.is_reachable)
            with pytest.raises(InvalidStateError):
                door.intercom.call(["desk"])
            async with hub_at(port):
                await until(lambda: door.is_reachable and desk.is_reachable, "back at the hub", 20)
                await until(lambda: door.phase is desk.phase is P.IDLE)
                door.intercom.press()
                await until_phase(desk, P.RINGING_IN)
                desk.intercom.press()
                await until(lambda: "desk" in door.session.peers)


async def test_an_answer_waits_for_the_link() -> None:
    async with hub_at() as (_, url), tcp_proxy(int(url.split(":")[2].partition("/")[0])) as wire:
        far = f"ws://127.0.0.1:{wire.port}/hub/ws"
        async with unit_at(url, "door", peers=("desk",)) as door, unit_at(far, "desk") as desk:
            door.intercom.press()
            await until_phase(desk, P.RINGING_IN)
            await wire.cut()
            await until(lambda: not desk.is_reachable)
            desk.intercom.press()
            assert door.phase is P.RINGING_OUT
            await wire.restore()
            await until(lambda: "desk" in door.session.peers and door.phase is desk.phase is P.IN_CALL)


async def test_a_call_outlives_a_lost_link() -> None:
    async with hub_at() as (_, url), tcp_proxy(int(url.split(":")[2].partition("/")[0])) as wire:
        far = f"ws://127.0.0.1:{wire.port}/hub/ws"
        everybody = frozenset({"*"})
        async with (
            unit_at(url, "door", peers=("desk",)) as door,
            unit_at(far, "desk", auto_answer=everybody) as desk,
        ):
            door.intercom.press()
            await until(lambda: "desk" in door.session.peers and "door" in desk.session.peers)
            await wire.cut()
            await until(lambda: desk.session.state is S.RECONNECTING)
            await wire.restore()
            await until(lambda: desk.session.state is S.CONNECTED)
            assert door.phase is desk.phase is P.IN_CALL
            door.intercom.hang_up()
            await until_phase(desk, P.IDLE)


async def test_whom_and_when_one_cannot_call() -> None:
    async with hub_at() as (_, url), unit_at(url, "door") as door:
        with pytest.raises(InvalidStateError, match="nobody to call"):
            door.intercom.call(["door"])
        door.intercom.press()  # without peers: into the room
        await until(lambda: door.session.state is S.CONNECTED)
        assert door.phase is P.IDLE
        await door.intercom.hold()
        assert door.session.state is S.DISCONNECTED
    session = Session(settings(url), MockDevices().drivers, Bus())
    with pytest.raises(NotLoggedInError):
        IntercomLink(session, Bus(), IntercomSettings()).call(["desk"])
