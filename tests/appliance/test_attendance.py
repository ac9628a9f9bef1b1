"""Into the room, out of it and back, against a real hub."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from appliance import rejoin
from appliance.hub.rooms import Eviction
from appliance.room.events import ConnectionReason, ConnectionState, ConnectionStateChanged
from tests.appliance.unit import MockDevices, hub_at, new_session, running, until

S = ConnectionState


async def test_it_encrypts_its_room_and_again_after_a_leave() -> None:
    async with hub_at() as (hub, url):
        session, _ = new_session(url, MockDevices())
        session.settings = replace(session.settings, encryption="aes-128-gcm", encryption_secret="a secret")
        async with running(session):
            for _ in range(2):
                await until(lambda: session.state is S.CONNECTED)
                assert hub.rooms.rooms["lobby"].seats["unit"].encryption[0] == "aes-128-gcm"
                await session.attendance.leave()
                session.attendance.join()


async def test_leave_and_join_by_a_person() -> None:
    async with hub_at() as (_, url):
        session, _ = new_session(url, MockDevices())
        async with running(session):
            await until(lambda: session.state is S.CONNECTED)
            await session.attendance.leave()
            assert session.state is S.DISCONNECTED
            assert session.attendance.last_change is not None
            assert session.attendance.last_change.reason is ConnectionReason.LEAVE
            await asyncio.sleep(0)
            assert session.attendance.retry_at_s is None  # it stays out
            session.attendance.join()
            await until(lambda: session.state is S.CONNECTED)


async def test_leave_while_it_joins() -> None:
    callers: list[asyncio.StreamWriter] = []
    deaf = await asyncio.start_server(lambda reader, writer: callers.append(writer), "127.0.0.1", 0)
    port = deaf.sockets[0].getsockname()[1]
    session, _ = new_session(f"ws://127.0.0.1:{port}/hub/ws", MockDevices())
    async with running(session):
        await until(lambda: session.state is S.CONNECTING)
        await session.attendance.leave()
        assert session.state is S.DISCONNECTED
        assert session.attendance.retry_at_s is None
    for caller in callers:
        caller.close()
        await caller.wait_closed()
    deaf.close()
    await deaf.wait_closed()


async def test_a_hub_that_is_not_there_is_tried_again_and_at_once_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hub_at() as (_, url):
        port = int(url.split(":")[2].split("/")[0])
    session, _ = new_session(url, MockDevices())
    async with running(session):
        await until(lambda: session.attendance.retry_at_s is not None)
        assert session.attendance.last_change is not None
        assert session.attendance.last_change.error is not None
        assert session.health == "offline: disconnected"
        async with hub_at(port):
            session.attendance.join()
            await until(lambda: session.state is S.CONNECTED, timeout_s=1.5)  # the first wait alone is 1.6 s or more


async def test_it_comes_back_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejoin, "RETRY_DELAYS_S", (0.1,))
    async with hub_at() as (_, url):
        port = int(url.split(":")[2].split("/")[0])
    session, _ = new_session(url, MockDevices())
    async with running(session):
        await until(lambda: session.attendance.retry_at_s is not None)
        async with hub_at(port):
            await until(lambda: session.state is S.CONNECTED)


async def test_a_closed_room_is_joined_again_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejoin, "ROOM_CLOSED_DELAY_S", 0.3)
    async with hub_at() as (hub, url):
        session, bus = new_session(url, MockDevices())
        with bus.subscribe(ConnectionStateChanged, name="test") as events:
            async with running(session):
                await until(lambda: session.state is S.CONNECTED)
                hub._perform(lambda _now_s: hub.rooms.disband("lobby", "closing time"))
                states: list[ConnectionState] = []
                async with asyncio.timeout(5):
                    while states.count(S.CONNECTED) < 2:
                        event = await anext(events)
                        assert isinstance(event, ConnectionStateChanged)
                        states.append(event.cur_state)
                assert S.DISCONNECTED in states


@pytest.mark.parametrize(
    ("how", "delay_s"),
    [("remove", rejoin.ROOM_CLOSED_DELAY_S), ("kick", rejoin.KICKED_DELAY_S), ("ban", rejoin.BANNED_DELAY_S)],
)
async def test_whoever_threw_it_out_is_left_alone_for_a_while(how: Eviction, delay_s: float) -> None:
    async with hub_at() as (hub, url):
        session, _ = new_session(url, MockDevices())
        attendance = session.attendance
        async with running(session):
            await until(lambda: session.state is S.CONNECTED)
            hub._perform(lambda now_s: hub.rooms.evict("lobby", "unit", how, "out", now_s))
            await until(lambda: attendance.retry_at_s is not None)
            assert attendance.retry_at_s is not None
            assert attendance.retry_at_s - time.monotonic() == pytest.approx(delay_s, rel=0.25)
