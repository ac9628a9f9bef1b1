"""The wishes about the mute gates, in a session and against a real hub."""

from __future__ import annotations

import pytest

from appliance.room.events import AudioMuted, ConnectionState
from appliance.unit_events import MuteChanged
from tests.appliance.test_session import visitor
from tests.appliance.unit import MockDevices, hub_at, new_session, running, until

S = ConnectionState


@pytest.mark.row("U49")
async def test_mute_works_out_of_a_room_and_is_known_in_it() -> None:
    async with hub_at() as (_, url):
        session, bus = new_session(url, MockDevices(), auto_join=False)
        async with running(session), visitor(url) as client:
            await until(lambda: bus.latest(MuteChanged) is not None)
            await session.gates.set("audio", True)
            assert session.is_muted("audio")
            assert bus.latest(MuteChanged) == MuteChanged(audio=True, video=False, screen=False)
            session.attendance.join()
            await until(lambda: client.streams and client.streams[0].is_muted("audio"))
            assert not client.streams[0].is_muted("video")
            await session.gates.set("audio", False)
            await until(lambda: not client.streams[0].is_muted("audio"))
            muted: list[AudioMuted] = []
            client.on(AudioMuted, muted.append)
            await session.gates.toggle()
            await until(lambda: muted)
            assert muted[0].user_id == "unit"


async def test_a_host_of_the_room_mutes_the_unit_and_only_a_host_lifts_it() -> None:
    async with hub_at() as (hub, url):
        session, bus = new_session(url, MockDevices())
        async with running(session):
            await until(lambda: session.state is S.CONNECTED and session.has("audio"))
            hub._perform(lambda _now_s: hub.rooms.force_mute("lobby", "unit", "audio", True, by="a host"))
            await until(lambda: session.is_muted("audio"))
            assert (told := bus.latest(MuteChanged)) is not None
            assert told.audio
            await session.gates.toggle()
            assert session.is_muted("audio")
            hub._perform(lambda _now_s: hub.rooms.force_mute("lobby", "unit", "audio", False))
            await until(lambda: not session.gates.forced)
            assert session.is_muted("audio")
            await session.gates.toggle()
            assert not session.is_muted("audio")


async def test_a_mute_outlives_a_restart_of_the_session() -> None:
    session, _ = new_session("ws://127.0.0.1:9/hub/ws", MockDevices(), auto_join=False)
    async with running(session):
        await until(lambda: session.has("audio"))
        await session.gates.set("audio", True)
        assert session.is_muted("audio")
    async with running(session):
        await until(lambda: session.has("audio"))
        assert session.is_muted("audio")
