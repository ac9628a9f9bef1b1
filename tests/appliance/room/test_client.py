"""RoomClient against the real hub, without media: events and their order, illegal calls, joins refused, ways out."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from typing import Any

import pytest

from appliance.errors import (
    AlreadyJoinedError,
    BannedError,
    ClientDestroyedError,
    DuplicateUserError,
    EmptyStreamError,
    InvalidArgumentError,
    InvalidStateError,
    JoinCancelledError,
    JoinTimeoutError,
    LeaveReason,
    NotJoinedError,
    RoleError,
    RoomFullError,
    RtcError,
    RtcErrorCode,
    ServiceUnavailableError,
    StreamNotFoundError,
    TokenExpiredError,
    TokenInvalidError,
    TokenMissingError,
    UnknownEventError,
)
from appliance.room import LocalStream, RoomClient, RoomOptions
from appliance.room.events import (
    AudioMuted,
    AudioTrackEnded,
    AudioUnmuted,
    AudioVolume,
    CameraChanged,
    ConnectionState,
    ConnectionStateChanged,
    ErrorRaised,
    Kicked,
    NetworkQualityChanged,
    PeerJoined,
    PeerLeft,
    RoomClosed,
    RtcErrorInfo,
    StreamAdded,
    StreamRemoved,
    StreamUpdated,
    VideoMuted,
    VideoUnmuted,
)
from tests.appliance.room.house import BRISK, Guest, house, settled
from tests.appliance.room.media import until

LEAVING = ["DISCONNECTING", "DISCONNECTED"]


# --- joining and leaving


@pytest.mark.row("U03", "U04", "U06", "U07", "TR01", "TR02", "TR12", "TR13", "IL30", "RS01")
async def test_join_leave_and_join_again() -> None:
    async with house() as home:
        a = home.guest()
        assert (a.client.connection_state, a.client.user_id, a.client.peers) == ("DISCONNECTED", None, {})
        result = await a.client.join("lobby", "a", user_name="Anna")
        assert (result.user_id, result.room, result.peers, result.streams) == ("a", "lobby", {}, [])
        assert (a.client.connection_state, a.client.user_id) == ("CONNECTED", "a")
        await a.client.leave()
        await a.client.leave()
        assert (a.client.connection_state, a.client.user_id) == ("DISCONNECTED", None)
        assert a.names() == ["CONNECTING", "CONNECTED", *LEAVING]
        assert [event.reason for event in a.of(ConnectionStateChanged)] == ["JOIN", "JOIN_SUCCESS", "LEAVE", "LEAVE"]
        await a.client.join("lobby", "a")


@pytest.mark.row("U20")
async def test_an_empty_user_id_is_chosen_by_the_hub_and_a_number_is_a_name() -> None:  # U20, X04
    async with house() as home:
        a, b = home.guest(), home.guest()
        assert (await a.client.join("lobby")).user_id
        assert (await b.client.join("lobby", 7)).user_id == "7"


@pytest.mark.row("U02", "U03", "U32", "U43", "OR01", "OR02")
async def test_what_the_second_sees_of_the_first() -> None:  # OR02, X16
    async with house() as home:
        a = await home.joined("a")
        await a.client.publish(LocalStream(width=640, height=480))
        await a.client.mute("audio")
        b = home.guest()
        at_connected: list[bool] = []
        b.client.once(ConnectionStateChanged, lambda event: None)
        b.client.on(PeerJoined, lambda event: at_connected.append(b.client.connection_state == "CONNECTED"))
        result = await b.client.join("lobby", "b")
        assert b.names() == ["CONNECTING", "CONNECTED", "peer-joined", "stream-added", "audio-muted"]
        assert at_connected == [True]
        assert list(result.peers) == ["a"]
        (stream,) = result.streams
        assert (stream.user_id, stream.name, stream.kinds) == ("a", "main", ("audio", "video"))
        assert stream.is_muted("audio")
        assert not stream.is_muted("video")


@pytest.mark.row("U14", "U15", "U28", "U29", "U32", "U33", "U34", "U43", "U44", "U45", "U49", "OR03", "RS01")
async def test_what_the_first_sees_of_the_second() -> None:  # U14, U15, U28 to U34, U43 to U46
    async with house() as home:
        a, b = await home.joined("a"), home.guest()
        await b.client.join("lobby", "b", user_name="Berta")
        joined = await a.heard(PeerJoined)
        assert (joined.user_id, joined.user_name, joined.role, joined.rejoined) == ("b", "Berta", "host", False)
        await b.client.publish(LocalStream(video=False))
        added = await a.heard(StreamAdded)
        assert (added.stream.user_id, added.kinds) == ("b", ("audio",))
        await b.client.publish(LocalStream(width=640, height=480))
        assert (await a.heard(StreamUpdated)).added == ("video",)
        await b.client.publish(LocalStream(width=1280, height=720))
        assert (await a.heard(StreamUpdated, 2)).video_spec == (1280, 720)
        await b.client.mute("audio")
        await b.client.mute("audio")
        await b.client.unmute("audio")
        muted, unmuted = await a.heard(AudioMuted), await a.heard(AudioUnmuted)
        assert (muted.room_id, muted.user_id, muted.status, muted.reason) == ("lobby", "b", "UNAVAILABLE", 1)
        assert (unmuted.status, unmuted.reason) == ("AVAILABLE", 2)
        await b.client.unpublish("main", ("video",))
        assert (await a.heard(StreamUpdated, 3)).removed == ("video",)
        assert (await a.heard(VideoMuted)).reason == 0
        await b.client.unpublish("main")
        assert (await a.heard(StreamRemoved)).reason == "unpublished"
        await b.client.publish(LocalStream())
        await b.client.leave()
        left = await a.heard(PeerLeft)
        assert (left.user_id, left.user_name, left.reason) == ("b", "Berta", LeaveReason.USER_LEFT)
        assert a.names()[-3:] == ["stream-added", "stream-removed", "peer-left"]  # OR03
        assert a.client.peers == {}
        assert len(a.of(AudioMuted)) == 1


@pytest.mark.row("U45", "U46", "U49")
async def test_a_camera_that_is_muted_and_shown_again() -> None:
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        await b.client.publish(LocalStream())
        await a.heard(StreamAdded)
        for _ in range(2):
            await b.client.mute("video")
        for _ in range(2):
            await b.client.unmute("video")
        muted, unmuted = await a.heard(VideoMuted), await a.heard(VideoUnmuted)
        assert (muted.room_id, muted.user_id, muted.status, muted.reason) == ("lobby", "b", "UNAVAILABLE", 1)
        assert (unmuted.room_id, unmuted.user_id, unmuted.status, unmuted.reason) == ("lobby", "b", "AVAILABLE", 2)
        await b.client.unpublish("main")
        await a.heard(StreamRemoved)
        assert a.names()[-4:] == ["stream-added", "video-muted", "video-unmuted", "stream-removed"]


@pytest.mark.row("U03")
async def test_what_a_member_says_of_itself_reaches_the_others_and_outlives_a_hub() -> None:
    async with house() as home:
        a, b = await home.joined("a"), home.guest()
        await b.client.join("lobby", "b", data='{"door": 3}')
        await a.heard(PeerJoined)
        c = await home.joined("c")
        assert [guest.client.peers["b"].data for guest in (a, c)] == ['{"door": 3}'] * 2
        assert c.client.peers["a"].data == ""
        await home.kill()
        await home.revive()
        for guest in (a, b):
            await guest.heard(ConnectionStateChanged, 5)
        d = await home.joined("d")
        assert d.client.peers["b"].data == '{"door": 3}'


@pytest.mark.row("U27")
async def test_a_room_is_there_with_its_first_member_and_gone_with_its_last() -> None:
    async with house() as home:
        assert await home.admin("GET", "/rooms/attic") == 404
        a = await home.joined("a", room="attic")
        b = await home.joined("b", room="attic")
        assert list(b.client.peers) == ["a"]
        _, rooms = await home.asked("GET", "/rooms")
        assert [room["room"] for room in json.loads(rooms)["rooms"]] == ["attic"]
        await a.client.leave()
        await b.client.leave()
        assert await home.admin("GET", "/rooms/attic") == 404


async def test_who_comes_back_has_rejoined() -> None:
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        await b.client.leave()
        await b.client.join("lobby", "b")
        assert (await a.heard(PeerJoined, 2)).rejoined


async def agrees(guest: Guest, members: set[str]) -> None:
    await until(lambda: {guest.client.user_id, *guest.client.peers} == members)


@pytest.mark.row("U16")
async def test_rosters_agree_after_churn() -> None:  # U16
    async with house() as home:
        guests = [await home.joined(user_id) for user_id in "abcd"]
        await guests[1].client.leave()
        await guests[3].client.publish(LocalStream())
        await guests[2].client.leave()
        await guests[2].client.join("lobby", "c")
        members = {"a", "c", "d"}
        for guest in (guests[0], guests[2], guests[3]):
            await agrees(guest, members)


async def test_rooms_do_not_hear_each_other() -> None:
    async with house() as home:
        a, b = await home.joined("a", room="one"), await home.joined("b", room="two")
        await b.client.publish(LocalStream())
        c = await home.joined("c", room="one")
        await c.client.publish(LocalStream())
        await a.heard(StreamAdded)
        assert [event.user_id for event in a.of(PeerJoined)] == ["c"]


@pytest.mark.row("U14", "U15", "U21", "IL03")
async def test_a_hidden_audience_is_silent() -> None:  # U21
    async with house() as home:
        a, b = home.guest(), home.guest()
        await a.client.join("show", "a", profile="live")
        await b.client.join("show", "b", profile="live", role="audience")
        assert list(b.client.peers) == ["a"]
        with pytest.raises(RoleError):
            await b.client.publish(LocalStream())
        await b.client.leave()
        c = home.guest()
        await c.client.join("show", "c", profile="live")
        await a.heard(PeerJoined)
        assert [event.user_id for event in a.of(PeerJoined)] == ["c"]


# --- refused joins: TR03, no error event, and the next join works


async def refused(guest: Guest, *arguments: Any, **keywords: Any) -> RtcError:
    before = len(guest.events)
    with pytest.raises(RtcError) as caught:
        await guest.client.join(*arguments, **keywords)
    states = [event for event in guest.events[before:] if isinstance(event, ConnectionStateChanged)]
    assert [event.cur_state for event in states] == ["CONNECTING", "DISCONNECTED"]
    assert states[-1].reason == "ERROR"
    assert states[-1].error is not None
    assert states[-1].error.code == caught.value.code
    assert guest.of(ErrorRaised) == []
    assert caught.value.operation == "join"
    assert guest.client.user_id is None
    return caught.value


@pytest.mark.row("U26", "TR03", "RS16")
async def test_a_full_room() -> None:
    async with house(room_capacity=2) as home:
        a, _, c = await home.joined("a"), await home.joined("b"), home.guest()
        assert isinstance(await refused(c, "lobby", "c"), RoomFullError)
        await a.client.leave()
        await c.client.join("lobby", "c")


@pytest.mark.row("U72", "TR03", "RS13", "RS14", "RS15")
async def test_tokens() -> None:
    async with house(secure=True) as home:
        a = home.guest()
        assert isinstance(await refused(a, "lobby", "a"), TokenMissingError)
        assert isinstance(await refused(a, "lobby", "a", "no.such.token"), TokenInvalidError)
        assert isinstance(await refused(a, "lobby", "b", home.token("a")), TokenInvalidError)
        assert isinstance(await refused(a, "attic", "a", home.token("a")), TokenInvalidError)
        assert isinstance(await refused(a, "lobby", "a", home.token("a", ttl_s=-61)), TokenExpiredError)
        assert (await a.client.join("lobby", "", home.token("a"))).user_id == "a"
    async with house(secure=False) as home:
        assert (await home.guest().client.join("lobby", "a")).user_id == "a"


async def test_a_token_may_come_from_a_function_plain_or_async() -> None:
    async with house(secure=True) as home:
        a, b, c = home.guest(), home.guest(), home.guest()

        async def fetch() -> str:
            await asyncio.sleep(0)
            return home.token("b")

        def broken() -> str:
            raise OSError("the token service is down")

        await a.client.join("lobby", "a", lambda: home.token("a"))
        await b.client.join("lobby", "b", fetch)
        error = await refused(c, "lobby", "c", broken)
        assert isinstance(error, ServiceUnavailableError)
        assert "the token service is down" in str(error)


@pytest.mark.row("TR03", "RS17")
async def test_a_duplicate_is_refused_where_the_hub_says_so() -> None:
    async with house(duplicate_login="reject_new") as home:
        a, b = await home.joined("a"), home.guest()
        assert isinstance(await refused(b, "lobby", "a"), DuplicateUserError)
        assert a.client.connection_state == "CONNECTED"


@pytest.mark.row("TR03", "RS04")
async def test_no_hub_there() -> None:
    async with house() as home:
        a = home.guest()
        await home.proxy.cut()
        assert isinstance(await refused(a, "lobby", "a"), ServiceUnavailableError)
        b = Guest(RoomClient(f"http://127.0.0.1:{home.proxy.port}/elsewhere", options=BRISK))
        await home.proxy.restore()
        assert isinstance(await refused(b, "lobby", "b"), ServiceUnavailableError)


@pytest.mark.row("TR03", "RS19")
async def test_a_hub_that_never_answers() -> None:
    async with house() as home:
        a = home.guest(RoomOptions(join_timeout_s=0.3))
        home.proxy.black_hole()
        assert isinstance(await refused(a, "lobby", "a"), JoinTimeoutError)


@pytest.mark.row("TR04")
async def test_leave_cancels_a_join() -> None:  # TR04
    async with house() as home:
        a = home.guest()
        home.proxy.black_hole()
        joining = asyncio.create_task(a.client.join("lobby", "a"))
        await a.state("CONNECTING")
        await a.client.leave()
        assert a.client.connection_state == "DISCONNECTED"
        with pytest.raises(JoinCancelledError):
            await joining
        assert a.names() == ["CONNECTING", *LEAVING]
        await home.proxy.restore()
        await a.client.join("lobby", "a")


async def test_who_cancels_a_join_itself_is_out_of_it() -> None:
    async with house() as home:
        a = home.guest()
        home.proxy.black_hole()
        joining = asyncio.create_task(a.client.join("lobby", "a"))
        await a.state("CONNECTING")
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining
        assert a.names() == ["CONNECTING", "DISCONNECTED"]
        await home.proxy.restore()
        await a.client.join("lobby", "a")


# --- thrown out


@pytest.mark.row("U07", "U15", "U24", "TR14", "OR05", "RS06")
async def test_kicked_before_the_end_and_nothing_after_it() -> None:  # TR14, OR05, U24
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        assert await home.admin("POST", "/rooms/lobby/members/b/kick") < 300
        await b.state("DISCONNECTED")
        assert b.names()[-3:] == ["kicked", *LEAVING]
        (kicked,) = b.of(Kicked)
        assert (kicked.user_id, kicked.reason, kicked.code) == ("b", "kick", LeaveReason.KICKED)
        assert [event.reason for event in b.of(ConnectionStateChanged)[-2:]] == ["KICKED", "KICKED"]
        assert (await a.heard(PeerLeft)).reason == LeaveReason.KICKED
        heard = len(b.events)
        await a.client.publish(LocalStream())
        await settled()
        assert len(b.events) == heard
        assert b.of(ErrorRaised) == []
        await b.client.join("lobby", "b")


@pytest.mark.row("OR05")
def test_only_errors_are_heard_outside_a_room() -> None:  # OR05
    guest = Guest(RoomClient("ws://127.0.0.1:1/"))
    guest.client._emit(PeerJoined(user_id="late"))
    guest.client._emit(ErrorRaised(error=RtcErrorInfo(RtcErrorCode.INTERNAL, "INTERNAL", "")))
    assert guest.names() == ["error"]


@pytest.mark.row("U15", "U24", "RS06", "RS10")
async def test_banned_and_removed() -> None:
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        await home.admin("POST", "/rooms/lobby/members/b/ban")
        assert (await b.heard(Kicked)).reason == "banned"
        await b.state("DISCONNECTED")
        assert isinstance(await refused(b, "lobby", "b"), BannedError)
        await home.admin("POST", "/rooms/lobby/members/a/remove")
        removed = await a.heard(Kicked)
        assert (removed.reason, removed.code) == ("removed", LeaveReason.REMOVED)


@pytest.mark.row("U24", "RS06")
async def test_a_second_login_evicts_the_first() -> None:  # X21
    async with house() as home:
        a, old = await home.joined("a"), await home.joined("b")
        await home.joined("b")
        await old.state("DISCONNECTED")
        assert old.names()[-3:] == ["kicked", *LEAVING]
        assert (await a.heard(PeerLeft)).reason == LeaveReason.KICKED


@pytest.mark.row("U25", "TR14", "RS11")
async def test_a_disbanded_room() -> None:  # U25, X22
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        assert await home.admin("DELETE", "/rooms/lobby") < 300
        for guest in (a, b):
            await guest.state("DISCONNECTED")
            assert guest.names()[-3:] == ["room-closed", *LEAVING]
            (closed,) = guest.of(RoomClosed)
            assert (closed.room_id, closed.reason) == ("lobby", LeaveReason.ROOM_DISMISSED)
            assert guest.of(Kicked) == []
            assert guest.of(PeerLeft) == []
            assert guest.of(ConnectionStateChanged)[-1].reason == "ROOM_CLOSED"
        assert (await a.client.join("lobby", "a")).peers == {}


# --- illegal calls: a typed error, no I/O, nothing changed


async def raises(error: type[RtcError], call: Any, operation: str) -> None:
    with pytest.raises(error) as caught:
        await call
    assert caught.value.operation == operation


@pytest.mark.row("U13", "IL02", "IL30")
async def test_calls_outside_a_room() -> None:  # IL02, IL30
    async with house() as home:
        a = home.guest()
        await raises(NotJoinedError, a.client.publish(LocalStream()), "publish")
        await raises(NotJoinedError, a.client.unpublish("main"), "unpublish")
        b = await home.joined("b")
        await b.client.publish(LocalStream())
        c = await home.joined("c")
        (stream,) = c.client.streams
        await raises(NotJoinedError, a.client.subscribe(stream), "subscribe")
        await raises(NotJoinedError, a.client.unsubscribe(stream), "unsubscribe")
        await a.client.leave()
        assert a.events == []
        assert home.proxy.connections == 2, "no I/O"


@pytest.mark.row("U13", "IL01")
async def test_join_while_joined_or_joining() -> None:  # IL01
    async with house() as home:
        a = home.guest()
        joining = asyncio.create_task(a.client.join("lobby", "a"))
        await asyncio.sleep(0)
        assert a.client.connection_state == "CONNECTING"
        await raises(AlreadyJoinedError, a.client.join("lobby", "a"), "join")
        await joining
        await raises(AlreadyJoinedError, a.client.join("attic", "a"), "join")
        leaving = asyncio.create_task(a.client.leave())
        await asyncio.sleep(0)
        assert a.client.connection_state == "DISCONNECTING"
        await raises(AlreadyJoinedError, a.client.join("lobby", "a"), "join")
        await leaving
        assert a.names() == ["CONNECTING", "CONNECTED", *LEAVING]


async def test_of_two_joins_while_a_login_ends_the_first_is_the_one() -> None:
    async with house() as home:
        a = await home.joined("a")
        await a.client.leave()
        joining = asyncio.create_task(a.client.join("lobby", "b"))
        await asyncio.sleep(0)
        assert a.client.connection_state == "DISCONNECTED"
        await raises(AlreadyJoinedError, a.client.join("lobby", "c"), "join")
        assert (await joining).user_id == "b"


@pytest.mark.parametrize(
    ("room", "user", "keywords"),
    [
        ("", "a", {}),
        ("x" * 65, "a", {}),
        ("a room", "a", {}),
        ("lobby/../x", "a", {}),
        ("lobby\n", "a", {}),
        ("lobby", "x" * 65, {}),
        ("lobby", "ü" * 33, {}),
        ("lobby", "\ud800" * 33, {}),
        ("lobby", "a", {"user_name": "x" * 257}),
        ("lobby", "a", {"role": "owner"}),
        ("lobby", "a", {"profile": "cinema"}),
        ("lobby", "a", {"data": "x" * 1025}),
    ],
)
@pytest.mark.row("IL29")
async def test_arguments_outside_their_range(room: str, user: str, keywords: dict[str, Any]) -> None:  # IL29
    client = RoomClient("ws://127.0.0.1:1/", options=BRISK)
    with pytest.raises(InvalidArgumentError) as caught:
        await client.join(room, user, **keywords)
    assert re.search(r"room id|user id|user name|role|profile|data of", str(caught.value))
    assert client.connection_state is ConnectionState.DISCONNECTED


@pytest.mark.row("U31", "IL04", "IL05", "IL06")
async def test_streams_that_are_none() -> None:  # IL04, IL05, IL06
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        await raises(EmptyStreamError, a.client.publish(LocalStream(audio=False, video=False)), "publish")
        await a.client.unpublish("main")
        await a.client.publish(LocalStream(video=False))
        stream = (await b.heard(StreamAdded)).stream
        await a.client.unpublish("main", ("video",))
        await raises(InvalidStateError, b.client.subscribe(stream), "subscribe")  # no playout
        await b.client.unsubscribe(stream)
        b.client._playout = object()  # type: ignore[assignment]
        await raises(StreamNotFoundError, b.client.subscribe(stream, audio=False), "subscribe")
        await raises(InvalidArgumentError, b.client.subscribe(stream, False, False, False), "subscribe")
        await a.client.unpublish("main")
        await b.heard(StreamRemoved)
        await raises(StreamNotFoundError, b.client.subscribe(stream), "subscribe")
        await b.client.unsubscribe(stream)
        b.client._playout = None


@pytest.mark.row("IL28")
async def test_kinds_and_events_that_do_not_exist() -> None:
    client = RoomClient("ws://127.0.0.1:1/")
    await raises(InvalidArgumentError, client.mute("smell"), "mute")  # type: ignore[arg-type]
    with pytest.raises(UnknownEventError):
        client.on("peer-sneezed", print)
    with pytest.raises(InvalidArgumentError):
        client.enable_audio_volume_evaluation(99)


@pytest.mark.row("U05", "TR12", "IL27")
async def test_nothing_after_destroy() -> None:  # IL27, U05
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        await b.client.destroy()
        assert (await a.heard(PeerLeft)).reason == LeaveReason.USER_LEFT
        assert b.client.listener_count("peer-joined") == 0
        await raises(ClientDestroyedError, b.client.join("lobby", "b"), "join")
        await raises(ClientDestroyedError, b.client.leave(), "leave")
        await raises(ClientDestroyedError, b.client.mute("audio"), "mute")
        with pytest.raises(ClientDestroyedError):
            b.client.on("peer-joined", print)
        await b.client.destroy()


# --- listeners, reports, and what is left


async def test_calls_from_within_listeners() -> None:
    async with house() as home:
        a, b = await home.joined("a"), home.guest()
        gone = asyncio.Event()

        async def leave(event: PeerJoined) -> None:
            await b.client.leave()
            gone.set()

        b.client.on("peer-joined", leave)
        await b.client.join("lobby", "b")
        async with asyncio.timeout(2):
            await gone.wait()
        assert b.client.connection_state == "DISCONNECTED"
        await a.heard(PeerLeft)


async def test_a_listener_that_fails_does_not_harm_the_room(caplog: pytest.LogCaptureFixture) -> None:
    async with house() as home:
        a = await home.joined("a")
        a.client.on(PeerJoined, lambda event: 1 / 0)  # type: ignore[arg-type,return-value]
        b = await home.joined("b")
        await b.client.publish(LocalStream())
        await a.heard(StreamAdded)
        assert "ZeroDivisionError" in caplog.text


@pytest.mark.row("U50", "U51", "U55")
async def test_reports_start_with_the_room_and_end_with_it() -> None:  # U50, U51, U55
    async with house() as home:
        a = home.guest()
        a.client.enable_audio_volume_evaluation(100)
        await a.client.join("lobby", "a")
        await a.heard(NetworkQualityChanged, 2)
        assert a.of(NetworkQualityChanged)[0].uplink == 0, "unknown: no media"
        volume = await a.heard(AudioVolume, 2)
        assert [(item.user_id, item.volume, item.is_local) for item in volume.result] == [("a", 0, True)]
        a.client.enable_audio_volume_evaluation(0)
        await settled()
        count = len(a.of(AudioVolume))
        await a.heard(NetworkQualityChanged, len(a.of(NetworkQualityChanged)) + 2)
        assert len(a.of(AudioVolume)) == count
        await a.client.leave()
        count = len(a.events)
        await asyncio.sleep(0.3)  # longer than any report's interval: none comes
        assert len(a.events) == count


async def test_twenty_joins_and_leaves_leave_nothing() -> None:
    async with house(heartbeat_s=2.0, lost_after_s=10.0) as home:  # `a` must miss nothing on a loaded machine
        a = await home.joined("a", options=RoomOptions(lost_after_s=10.0))
        await a.client.publish(LocalStream())
        b = home.guest()
        await b.client.join("lobby", "b")
        await b.client.leave()
        await settled()
        tasks, threads = len(asyncio.all_tasks()), threading.active_count()
        for _ in range(20):
            await b.client.join("lobby", "b")
            await b.client.publish(LocalStream())
            await b.client.leave()
        await until(lambda: len(asyncio.all_tasks()) <= tasks, what="tasks")
        assert threading.active_count() <= threads
        await until(lambda: len(a.of(PeerLeft)) == 21, what="the last leave")
        assert len(a.of(PeerJoined)) == 21


@pytest.mark.row("U41", "U66", "U69")
async def test_what_its_maker_reports_of_the_devices_is_heard_in_a_room_and_out_of_one() -> None:
    async with house() as home:
        guest = home.guest()
        guest.client.report(CameraChanged(device_id="usb", state="REMOVE", label="Camera"))
        assert guest.of(CameraChanged)[0].state == "REMOVE"
        heard: list[str] = []
        guest.client.on("audio-track-ended", lambda event: heard.append(event.stream))
        await guest.client.join("lobby", "a")
        guest.client.report(AudioTrackEnded(device_id="usb", stream="main"))
        assert heard == ["main"]
