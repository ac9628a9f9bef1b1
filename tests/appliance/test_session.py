"""The session against a real hub, with a real second member, on mock hardware."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from appliance import devices as devices_module
from appliance import session as session_module
from appliance.errors import LeaveReason
from appliance.events import Event
from appliance.media.playout import Playout
from appliance.room.client import RoomClient
from appliance.room.events import (
    CameraChanged,
    ConnectionState,
    ConnectionStateChanged,
    NetworkQuality,
    NetworkQualityChanged,
    PeerJoined,
    PeerLeft,
    StreamUpdated,
)
from tests.appliance.unit import MockDevices, hub_at, new_session, running, token, until

S = ConnectionState


@asynccontextmanager
async def visitor(url: str, *, auto_subscribe: bool = False) -> AsyncIterator[RoomClient]:
    playout = Playout()
    playout.start(None)
    client = RoomClient(url, playout=playout, auto_subscribe=auto_subscribe)
    await client.join("lobby", token=token("visitor"))
    try:
        yield client
    finally:
        await client.destroy()
        await playout.close()


async def test_it_joins_by_itself_and_publishes_what_works() -> None:
    devices = MockDevices()
    async with hub_at() as (_, url):
        session, bus = new_session(url, devices)
        seen: list[Event] = []
        with bus.subscribe(ConnectionStateChanged, PeerJoined, name="test") as events:
            async with running(session):
                await until(lambda: session.state is S.CONNECTED)
                async with visitor(url) as client:
                    await until(lambda: any(set(stream.kinds) == {"audio", "video"} for stream in client.streams))
                    assert client.peers["unit"].user_name == "The unit"
                    await until(lambda: "visitor" in session.peers)
                    while not seen or not isinstance(seen[-1], PeerJoined):
                        seen.append(await anext(events))
        assert session.state is S.DISCONNECTED
    states = [event.cur_state for event in seen if isinstance(event, ConnectionStateChanged)]
    assert states == [S.CONNECTING, S.CONNECTED]


async def test_a_camera_that_goes_is_withdrawn_and_one_that_comes_back_is_published_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices_module, "REOPEN_DELAYS_S", (0.05,))
    devices = MockDevices()
    async with hub_at() as (_, url):
        session, bus = new_session(url, devices)
        with bus.subscribe(CameraChanged, name="test") as events:
            async with running(session), visitor(url) as client:
                changes: list[StreamUpdated] = []
                client.on(StreamUpdated, changes.append)
                await until(lambda: any("video" in stream.kinds for stream in client.streams))
                devices.camera.unplug()
                await until(lambda: changes and changes[-1].removed == ("video",))
                assert not session.has("video")
                assert session.has("audio")
                assert session.health.startswith("degraded: no video")
                devices.camera.plug_in()
                await until(lambda: changes[-1].added == ("video",))
                assert session.health == "ok"
            states: list[str] = []
            while states[-2:] != ["REMOVE", "ADD"]:
                event = await anext(events)
                assert isinstance(event, CameraChanged)
                states.append(event.state)


async def test_a_camera_that_stalls_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_module, "REOPEN_DELAYS_S", (0.05,))
    monkeypatch.setitem(devices_module.STALL_S, "camera", 0.5)
    devices = MockDevices()
    session, bus = new_session("ws://127.0.0.1:9/hub/ws", devices, auto_join=False)
    with bus.subscribe(CameraChanged, name="test") as events:
        async with asyncio.timeout(8), running(session):
            assert (await anext(events)).state == "ADD"  # type: ignore[attr-defined]
            devices.camera.stalled = True
            gone = await anext(events)
            assert isinstance(gone, CameraChanged)
            assert gone.state == "REMOVE"
            assert "nothing came for 0.5 s" in gone.message
            devices.camera.stalled = False
            while (await anext(events)).state != "ADD":  # type: ignore[attr-defined]
                pass


async def test_a_new_name_is_seen_in_the_room_at_once() -> None:
    async with hub_at() as (hub, url):
        mock = MockDevices()
        session, _ = new_session(url, mock)
        async with running(session):
            await until(lambda: session.state is S.CONNECTED)
            async with visitor(url) as client:
                session.change(replace(session.settings, user_name="Back door"), mock.drivers, ())
                await until(lambda: client.peers["unit"].user_name == "Back door")
            assert hub.rooms.seats["unit"].user_name == "Back door"


async def test_what_the_network_was_like_is_forgotten_with_the_call() -> None:
    async with hub_at() as (_, url):
        session, bus = new_session(url, MockDevices())
        async with running(session):
            await until(lambda: session.state is S.CONNECTED)
            bus.publish(NetworkQualityChanged(uplink=NetworkQuality.DOWN, downlink=NetworkQuality.BAD))
            await session.attendance.leave()
            quality = bus.latest(NetworkQualityChanged)
            assert quality is not None
            assert (quality.uplink, quality.downlink, quality.changed) == (0, 0, True)


async def test_after_it_no_task_thread_or_device_is_left() -> None:
    devices = MockDevices()
    async with hub_at() as (_, url):
        tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
        session, _ = new_session(url, devices)
        async with running(session):
            async with visitor(url, auto_subscribe=True) as client:
                await until(lambda: any(stream.audio is not None for stream in client.streams))
            await until(lambda: devices.speaker.blocks)
        await until(lambda: {task for task in asyncio.all_tasks() - tasks if "hub" not in task.get_name()} <= set())
    left = {thread for thread in set(threading.enumerate()) - threads if not thread.name.startswith("asyncio")}
    assert not left


@pytest.mark.row("RS05")
async def test_a_fault_of_the_session_is_no_leave_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = asyncio.Event()

    async def fail(*_arguments: object) -> None:
        await broken.wait()
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(session_module, "keep_published", fail)
    async with hub_at() as (_, url), visitor(url) as client:
        left: list[PeerLeft] = []
        client.on(PeerLeft, left.append)
        session, _ = new_session(url, MockDevices())
        task = asyncio.create_task(session.run(), name="session under test")
        await until(lambda: "unit" in client.peers)
        broken.set()
        with pytest.raises(ExceptionGroup, match="unhandled"):
            await task
        await until(lambda: left)
        assert (left[0].user_id, left[0].reason) == ("unit", LeaveReason.INTERNAL_ERROR)
