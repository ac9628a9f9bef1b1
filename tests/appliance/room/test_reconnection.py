"""Lost links, dead hubs and black holes: the client comes back, or says once that it cannot."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from appliance.errors import ReconnectingError
from appliance.room import LocalStream, RoomOptions
from appliance.room.events import (
    AudioMuted,
    ConnectionStateChanged,
    ErrorRaised,
    Kicked,
    PeerJoined,
    PeerLeft,
    StreamAdded,
    StreamRemoved,
)
from tests.appliance.room.house import BRISK, house, settled
from tests.appliance.room.media import until

BACK = ["RECONNECTING", "RECONNECTED", "CONNECTED"]


@pytest.mark.row("U07", "U08", "TR05", "TR08", "TR09")
async def test_a_cut_of_three_seconds_at_the_real_times() -> None:  # U08
    async with house(heartbeat_s=2.0, lost_after_s=5.0) as home:
        a = await home.joined("a", options=RoomOptions())
        await home.proxy.cut()
        await a.state("RECONNECTING")
        cut_s = time.monotonic()
        await asyncio.sleep(3)
        await home.proxy.restore()
        await a.state("CONNECTED", timeout_s=3)
        assert time.monotonic() - cut_s < 6
        assert a.client.user_id == "a"
        events = a.of(ConnectionStateChanged)[-3:]
        assert [event.cur_state for event in events] == BACK
        assert [event.reason for event in events] == ["INTERRUPTED", "RECONNECTED", "RECONNECTED"]
        assert [(event.will_reconnect, event.reconnect, event.resumed) for event in events] == [
            (True, False, False),
            (False, True, True),
            (False, True, True),
        ]


async def test_a_black_hole_is_found_within_six_seconds() -> None:
    async with house(heartbeat_s=2.0, lost_after_s=5.0) as home:
        a = await home.joined("a", options=RoomOptions())
        home.proxy.black_hole()
        silent_s = time.monotonic()
        await a.state("RECONNECTING", timeout_s=7)
        assert time.monotonic() - silent_s < 6
        await home.proxy.restore()
        await a.state("CONNECTED")


@pytest.mark.row("U08")
async def test_peers_see_nothing_of_a_short_break() -> None:  # X09
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        await b.client.publish(LocalStream())
        await a.heard(StreamAdded)
        await home.proxy.cut()
        await a.state("RECONNECTING")
        await b.state("RECONNECTING")
        await home.proxy.restore()
        await a.state("CONNECTED")
        await b.state("CONNECTED")
        await b.client.mute("audio")
        await a.heard(AudioMuted)
        assert a.names()[-4:] == [*BACK, "audio-muted"]
        assert a.client.peers.keys() == {"b"}


@pytest.mark.row("OR09")
async def test_what_was_missed_comes_once_after_connected() -> None:  # OR09
    async with house() as home:
        b, c = await home.joined("b", options=RoomOptions()), await home.joined("c", options=RoomOptions())
        await b.client.publish(LocalStream())
        a = await home.joined("a", options=replace(BRISK, reconnect_delays_s=(0.6,)))
        assert len(a.client.streams) == 1
        assert a.client._login.line.link is not None
        a.client._login.line.link._lose("the test cuts this link only")
        assert a.client.connection_state == "RECONNECTING"
        await b.client.mute("audio")
        await c.client.leave()
        d = await home.joined("d", options=RoomOptions())
        await d.client.publish(LocalStream())
        before = len(a.names())
        await a.state("CONNECTED")
        await settled()
        assert a.names()[before:] == [
            "RECONNECTED",
            "CONNECTED",
            "peer-left",
            "peer-joined",
            "stream-added",
            "audio-muted",
        ]


@pytest.mark.row("U07", "U09", "U10", "TR10", "OR06", "RS08")
async def test_past_the_deadline_disconnected_and_then_one_error() -> None:  # TR10, OR06, X11
    async with house() as home:
        a = await home.joined("a", options=replace(BRISK, reconnect_deadline_s=0.5))
        await home.proxy.cut()
        await a.state("DISCONNECTED")
        await settled()
        assert a.names()[-3:] == ["RECONNECTING", "DISCONNECTED", "error"]
        (error,) = a.of(ErrorRaised)
        last = a.of(ConnectionStateChanged)[-1]
        assert (last.reason, last.error) == ("ERROR", error.error)
        assert (error.error.code, error.error.name) == ("reconnect-timeout", "RECONNECT_TIMEOUT")
        assert (a.client.user_id, a.client.peers) == (None, {})
        await a.client.leave()
        await home.proxy.restore()
        await a.client.join("lobby", "a")
        await home.proxy.cut()
        await a.heard(ErrorRaised, 2)


async def test_a_black_hole_past_the_deadline_ends_too() -> None:
    async with house() as home:
        a = await home.joined("a", options=replace(BRISK, reconnect_deadline_s=0.7))
        home.proxy.black_hole()
        await a.heard(ErrorRaised)
        assert a.names()[-3:] == ["RECONNECTING", "DISCONNECTED", "error"]


async def test_a_killed_hub_comes_back_and_everybody_with_it() -> None:
    async with house(heartbeat_s=2.0, lost_after_s=5.0) as home:
        slow = RoomOptions()  # the real back-off
        a, b = await home.joined("a", options=slow), await home.joined("b", options=slow)
        await b.client.publish(LocalStream())
        await b.client.mute("audio")
        await a.heard(AudioMuted)
        heard = len(a.names())
        await home.kill()
        await a.state("RECONNECTING")
        await b.state("RECONNECTING")
        await asyncio.sleep(1.5)
        await home.revive()
        back_s = time.monotonic()
        await a.state("CONNECTED", timeout_s=3)
        await b.state("CONNECTED", timeout_s=3)
        assert time.monotonic() - back_s < 3
        assert not a.of(ConnectionStateChanged)[-1].resumed
        (stream,) = a.client.streams
        assert stream.is_muted("audio")
        c = await home.joined("c")
        assert [(one.user_id, one.is_muted("audio")) for one in c.client.streams] == [("b", True)], "published anew"
        await a.heard(PeerJoined, 2)
        assert a.names()[heard:] == [*BACK, "peer-joined"], "nobody seemed to leave"


@pytest.mark.row("RS02")
async def test_who_does_not_come_back_to_a_new_hub_has_left() -> None:
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        await b.client.publish(LocalStream())
        await a.heard(StreamAdded)
        await home.kill()
        await a.state("RECONNECTING")
        leaving = asyncio.create_task(b.client.leave())
        await home.revive()
        await leaving
        assert (await a.heard(PeerLeft)).reason == 1  # RS02: it went with the old hub
        assert a.names()[-5:] == [*BACK, "stream-removed", "peer-left"]
        assert len(a.of(StreamRemoved)) == 1


@pytest.mark.row("IL02", "U49")
async def test_calls_while_reconnecting() -> None:  # IL02
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        await b.client.publish(LocalStream())
        await a.client.publish(LocalStream())
        stream = (await a.heard(StreamAdded)).stream
        await home.proxy.cut()
        await a.state("RECONNECTING")
        for call in (
            a.client.publish(LocalStream()),
            a.client.unpublish("main"),
            a.client.subscribe(stream),
            a.client.unsubscribe(stream),
        ):
            with pytest.raises(ReconnectingError):
                await call
        await a.client.mute("audio")
        assert a.client.is_muted("audio")
        assert list(a.client.peers) == ["b"]
        await home.proxy.restore()
        assert (await b.heard(AudioMuted)).user_id == "a"


@pytest.mark.row("TR11")
async def test_leave_while_reconnecting() -> None:  # TR11
    async with house() as home:
        a = await home.joined("a")
        await home.proxy.cut()
        await a.state("RECONNECTING")
        started_s = time.monotonic()
        await a.client.leave()
        assert time.monotonic() - started_s < 1
        assert a.names()[-3:] == ["RECONNECTING", "DISCONNECTING", "DISCONNECTED"]
        assert a.of(ErrorRaised) == []


@pytest.mark.row("TR13")
async def test_leave_from_within_a_black_hole_is_quick() -> None:  # TR13
    async with house() as home:
        a = await home.joined("a", options=RoomOptions())
        home.proxy.black_hole()
        started_s = time.monotonic()
        await a.client.leave()
        assert time.monotonic() - started_s < 2.5
        assert a.client.connection_state == "DISCONNECTED"


async def test_requests_under_way_end_with_the_link() -> None:
    async with house() as home:
        a = await home.joined("a")
        home.proxy.black_hole()
        with pytest.raises(ReconnectingError):
            await a.client.publish(LocalStream())
        await home.proxy.restore()
        await a.state("CONNECTED")
        await a.client.publish(LocalStream())


async def test_a_rejoin_asks_for_a_fresh_token() -> None:
    async with house(secure=True) as home:
        asked: list[str] = []

        def token() -> str:
            asked.append(home.token("a"))
            return asked[-1]

        a = home.guest()
        await a.client.join("lobby", "a", token)
        await home.kill()
        await a.state("RECONNECTING")
        await home.revive()
        await a.state("CONNECTED")
        assert len(asked) > 1


@pytest.mark.row("TR10")
async def test_a_token_that_expired_meanwhile_ends_the_stay() -> None:  # TR10
    async with house(secure=True) as home:
        tokens = iter([home.token("a")])
        a = home.guest()
        await a.client.join("lobby", "a", lambda: next(tokens, home.token("a", ttl_s=-100)))
        await home.kill()
        await a.state("RECONNECTING")
        await home.revive()
        (error,) = [await a.heard(ErrorRaised)]
        assert error.error.code == "token-expired"
        assert a.of(ConnectionStateChanged)[-1].reason == "TOKEN_EXPIRED"
        assert a.names()[-3:] == ["RECONNECTING", "DISCONNECTED", "error"]


@pytest.mark.row("TR10")
async def test_an_id_that_was_taken_meanwhile_ends_the_stay() -> None:  # TR10
    async with house() as home:
        old = await home.joined("a", options=replace(BRISK, reconnect_delays_s=(0.6,)))
        assert old.client._login.line.link is not None
        old.client._login.line.link._lose("the test cuts this link only")
        new = await home.joined("a")
        await old.heard(ErrorRaised)
        assert old.of(ConnectionStateChanged)[-1].reason == "KICKED"
        assert new.client.connection_state == "CONNECTED"
        assert new.of(Kicked) == []


async def test_ten_breaks_leave_nothing() -> None:
    async with house() as home:
        a = await home.joined("a")
        await a.client.publish(LocalStream())
        await settled()
        tasks = len(asyncio.all_tasks())
        for _ in range(10):
            await home.proxy.cut()
            await a.state("RECONNECTING")
            await home.proxy.restore()
            await a.state("CONNECTED")
        await until(lambda: len(asyncio.all_tasks()) <= tasks, what="tasks")
        assert len(a.of(ErrorRaised)) == 0
