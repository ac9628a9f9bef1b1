"""Being a member: role, name, profile, moderation, everybody's quality; through real WebSockets."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from appliance.errors import (
    ApiOrderError,
    BannedError,
    InvalidArgumentError,
    InvalidStateError,
    NotJoinedError,
    RoleError,
    RtcError,
)
from appliance.room import LocalStream
from appliance.room.events import (
    AudioMuted,
    ConnectionStateChanged,
    Kicked,
    MuteForced,
    PeerJoined,
    PeerLeft,
    PeerNameChanged,
    RoleChanged,
    RoomClosed,
    RoomNetworkQuality,
    ScreenMuted,
    ScreenUnmuted,
    StreamAdded,
    StreamRemoved,
    VolumeIndicator,
)
from tests.appliance.room.house import BRISK, Guest, House, house
from tests.appliance.room.media import until


async def show(home: House) -> tuple[Guest, Guest]:
    """Two hosts of a live room; the second one publishes."""
    a, b = home.guest(), home.guest()
    for guest, name in ((a, "a"), (b, "b")):
        guest.client.set_channel_profile("live")
        await guest.client.join("show", name)
    await b.client.publish(LocalStream())
    await a.heard(StreamAdded)
    return a, b


@pytest.mark.row("U14", "U15", "U22", "U23", "U33", "IL03", "OR08", "RS12")
async def test_host_to_audience_and_back_publishes_again() -> None:  # U22, U23, OR08
    async with house() as home:
        a, b = await show(home)
        await b.client.set_client_role("audience")
        left = await a.heard(PeerLeft)
        assert (left.reason, left.role_change) == (11, True)
        assert a.of(StreamRemoved)[0].reason == "role_changed"
        assert a.names("peer-joined", "stream-added")[-2:] == ["stream-removed", "peer-left"]
        assert b.client.published == []
        with pytest.raises(RoleError):
            await b.client.publish(LocalStream())
        await b.client.set_client_role("audience")
        await b.client.set_client_role("host")
        await a.heard(StreamAdded, 2)
        assert a.names()[-2:] == ["peer-joined", "stream-added"]
        assert [event.role for event in b.of(RoleChanged)] == ["audience", "host"]
        assert len(b.client.published) == 1


@pytest.mark.row("U22")
async def test_a_role_set_outside_is_for_the_next_join() -> None:
    async with house() as home:
        a, _ = await show(home)
        c = home.guest()
        await c.client.set_client_role("audience")
        assert c.of(RoleChanged) == []
        await c.client.join("show", "c")
        assert c.client.role == "audience"
        assert [user for user in a.client.peers] == ["b"]
        assert set(c.client.peers) == {"a", "b"}


@pytest.mark.row("IL10")
async def test_a_role_outlives_a_lost_link_and_a_hub() -> None:
    async with house() as home:
        _, b = await show(home)
        await b.client.set_client_role("audience")
        await home.kill()
        await b.state("RECONNECTING")
        with pytest.raises(InvalidStateError):
            await b.client.set_client_role("host")
        await home.revive()
        await b.state("CONNECTED")
        assert b.client.role == "audience"
        assert home.hub.rooms.seats["b"].role == "audience"


@pytest.mark.row("U13", "U19", "U21", "IL07", "IL08", "IL09", "IL20")
async def test_roles_and_profiles_that_are_refused() -> None:
    async with house() as home:
        a = home.guest()
        for bad in ("king", "", None):
            with pytest.raises(InvalidArgumentError):
                await a.client.set_client_role(bad)  # type: ignore[arg-type]
            with pytest.raises(InvalidArgumentError):
                a.client.set_channel_profile(bad)  # type: ignore[arg-type]
        with pytest.raises(NotJoinedError):
            a.client.get_channel_info()
        await a.client.join("lobby", "a")
        with pytest.raises(ApiOrderError):
            a.client.set_channel_profile("live")


@pytest.mark.row("IL10")
async def test_a_role_while_joining_and_while_leaving() -> None:
    async with house() as home:
        a = home.guest()
        joining = asyncio.create_task(a.client.join("lobby", "a"))
        await asyncio.sleep(0)
        assert a.client.connection_state == "CONNECTING"
        with pytest.raises(InvalidStateError):
            await a.client.set_client_role("audience")
        await joining
        leaving = asyncio.create_task(a.client.leave())
        await asyncio.sleep(0)
        assert a.client.connection_state == "DISCONNECTING"
        with pytest.raises(InvalidStateError):
            await a.client.set_client_role("audience")
        await leaving
        assert a.client.role == "host"


async def test_an_audiences_token_makes_no_host() -> None:
    async with house(secure=True) as home:
        token = home.signer.sign("a", "lobby", "audience", "", 60, time.time())
        a = home.guest()
        await a.client.join("lobby", "a", token)
        assert a.client.role == "audience"
        with pytest.raises(RoleError):
            await a.client.set_client_role("host")
        assert a.client.role == "audience"


@pytest.mark.row("U19")
async def test_channel_info() -> None:  # U19
    async with house() as home:
        a = home.guest()
        before_s = time.time()
        await a.client.join("lobby", "a", profile="live")
        info = a.client.get_channel_info()
        assert (info.room_id, info.user_id, info.profile) == ("lobby", "a", "live")
        assert info.session_id == home.hub.rooms.seats["a"].session_id
        assert before_s <= info.joined_at <= time.time()


@pytest.mark.row("U17", "U18", "IL29")
async def test_a_new_name_reaches_everybody_and_who_comes_later() -> None:  # U17, U18
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        await b.client.set_user_name("x" * 256)
        event = await a.heard(PeerNameChanged)
        assert (event.room_id, event.user_id, event.user_name) == ("lobby", "b", "x" * 256)
        with pytest.raises(InvalidArgumentError):
            await b.client.set_user_name("x" * 257)
        with pytest.raises(InvalidArgumentError, match="control"):
            await b.client.set_user_name("bell\x07")
        await b.client.set_user_name("x" * 256)
        c = await home.joined("c")
        assert c.client.peers["b"].user_name == "x" * 256
        await home.kill()
        await home.revive()
        await a.heard(ConnectionStateChanged, 5)
        assert a.client.peers["b"].user_name == "x" * 256
        assert len(a.of(PeerNameChanged)) == 1


@pytest.mark.row("U15", "U24", "RS06", "RS10")
async def test_a_host_kicks_bans_and_removes() -> None:  # U24
    async with house() as home:
        a = await home.joined("a")
        assert a.client.may_moderate
        for action, reason, code in (("kick", "kick", 5), ("remove", "removed", 9), ("ban", "banned", 5)):
            b = await home.joined("b")
            await getattr(a.client, action)("b", "enough")
            kicked = await b.heard(Kicked)
            assert (kicked.reason, kicked.message, kicked.code) == (reason, "enough", code)
            await b.state("DISCONNECTED")
            assert a.of(PeerLeft)[-1].reason == code
        with pytest.raises(BannedError):
            await home.joined("b")


async def test_a_ban_ends_by_itself() -> None:
    async with house() as home:
        a = await home.joined("a")
        await a.client.ban("b", seconds=0.2)
        b = home.guest()
        with pytest.raises(BannedError):
            await b.client.join("lobby", "b")
        await until(lambda: not home.hub.rooms.exclusions.banned("lobby", time.monotonic()))
        await b.client.join("lobby", "b")


async def test_a_forced_mute_shuts_the_gate_until_it_is_lifted() -> None:
    async with house() as home:
        a, b, c = [await home.joined(name) for name in "abc"]
        await b.client.publish(LocalStream())
        await c.heard(StreamAdded)
        await a.client.mute_peer("b", message="echo")
        forced = await b.heard(MuteForced)
        assert (forced.kind, forced.muted, forced.by, forced.message) == ("audio", True, "a", "echo")
        assert b.client.is_muted("audio")
        assert (await c.heard(AudioMuted)).user_id == "b"
        with pytest.raises(RoleError, match="muted by a host"):
            await b.client.unmute("audio")
        assert b.client.is_muted("audio"), "the gate stays shut"
        await a.client.unmute_peer("b")
        await b.heard(MuteForced, 2)
        assert b.client.is_muted("audio"), "its own user opens it"
        await b.client.unmute("audio")
        assert not b.client.is_muted("audio")


@pytest.mark.row("U47", "U48", "U49")
async def test_a_host_mutes_a_screen_beside_a_camera_that_stays() -> None:
    async with house() as home:
        a, b, c = [await home.joined(name) for name in "abc"]
        screen = LocalStream(name="screen", audio=True)
        for stream in (LocalStream(), screen):
            await b.client.publish(stream)
        await c.heard(StreamAdded, 2)
        await a.client.mute_peer("b", "screen", "not now")
        forced = await b.heard(MuteForced)
        assert (forced.kind, forced.muted, forced.message) == ("screen", True, "not now")
        assert b.client.forced_mutes == {"screen"}
        assert [b.client.is_muted(kind) for kind in ("audio", "video", "screen")] == [False, False, True]
        for one in (a, c):
            assert (await one.heard(ScreenMuted)).user_id == "b"
            main, shared = one.client.peers["b"].streams["main"], one.client.peers["b"].streams["screen"]
            assert [main.is_muted("audio"), main.is_muted("video")] == [False, False]
            assert [shared.is_muted("audio"), shared.is_muted("video")] == [True, True]
        with pytest.raises(RoleError, match="screen was muted by a host"):
            await b.client.unmute("screen")
        await b.client.unpublish("screen")
        await c.heard(StreamRemoved)
        await b.client.publish(screen)
        await c.heard(StreamAdded, 3)
        assert c.client.peers["b"].streams["screen"].is_muted("video"), "shared anew, and still not seen"
        await a.client.unmute_peer("b", "screen")
        await b.heard(MuteForced, 2)
        assert c.of(ScreenUnmuted) == [], "its own user opens it"
        await b.client.unmute("screen")
        await c.heard(ScreenUnmuted)


@pytest.mark.row("U25", "RS11")
async def test_a_moderator_ends_the_room() -> None:  # U25
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        await a.client.disband("good night")
        for guest in (a, b):
            assert (await guest.heard(RoomClosed)).message == "good night"
            await guest.state("DISCONNECTED")
            assert guest.of(PeerLeft) == []
        await a.client.join("lobby", "a")


async def test_who_may_not_moderate() -> None:
    async with house(secure=True) as home:
        a, b = home.guest(), home.guest()
        await a.client.join("lobby", "a", home.token("a"))
        moderator = home.signer.sign("b", "lobby", "host", "", 60, time.time(), moderator=True)
        await b.client.join("lobby", "b", moderator)
        assert (a.client.may_moderate, b.client.may_moderate) == (False, True)
        for refused in (a.client.kick("b"), a.client.mute_peer("b"), a.client.disband()):
            with pytest.raises(RoleError):
                await refused
        for nonsense in (b.client.kick("b"), b.client.kick("a", "x" * 300), b.client.ban("a", seconds=-1)):
            with pytest.raises(InvalidArgumentError):
                await nonsense
        with pytest.raises(InvalidArgumentError, match="no text"):
            await b.client.set_user_name("half of \ud83d")
        with pytest.raises(RtcError, match="nobody called"):
            await b.client.kick("c")
        await b.client.set_client_role("audience")
        with pytest.raises(RoleError):
            await b.client.kick("a")
        assert a.client.connection_state == "CONNECTED"


@pytest.mark.row("U56")
async def test_everybodys_quality_reaches_everybody(monkeypatch: pytest.MonkeyPatch) -> None:  # U56
    monkeypatch.setattr("appliance.hub.room_quality.PERIOD_S", 0.2)
    async with house() as home:
        a, _ = await show(home)
        c = home.guest()
        await c.client.join("show", "c", role="audience", profile="live")
        await a.heard(RoomNetworkQuality, 5)
        await c.heard(RoomNetworkQuality)
        assert {item.user_id for item in a.of(RoomNetworkQuality)[-1].items} == {"a", "b"}, "no audience in live"
        assert all(0 <= item.uplink <= 6 for item in a.of(RoomNetworkQuality)[-1].items)


@pytest.mark.row("U54")
async def test_the_loudest_are_indicated_while_wanted(monkeypatch: pytest.MonkeyPatch) -> None:  # U53, U54
    monkeypatch.setattr("appliance.room.reports.INDICATE_S", 0.05)
    async with house() as home:
        a = await home.joined("a")
        for bad in (0, 17):
            with pytest.raises(InvalidArgumentError):
                a.client.enable_top_n_audio(True, bad)
        a.client.enable_top_n_audio(True)
        await a.heard(VolumeIndicator, 2)
        a.client.enable_top_n_audio(False)
        count = len(a.of(VolumeIndicator))
        assert [user.user_id for user in a.of(VolumeIndicator)[0].users] == ["a"]
        await a.client.set_user_name("a round trip")
        assert len(a.of(VolumeIndicator)) == count


@pytest.mark.row("TR06", "TR07")
async def test_the_intermediate_disconnected_of_trtc() -> None:  # TR06, TR07
    async with house() as home:
        a = await home.joined("a", options=replace(BRISK, trtc_transitions=True))
        await home.proxy.cut()
        await home.proxy.restore()
        await a.heard(ConnectionStateChanged, 6)
        steps = [(str(event.cur_state), event.will_reconnect) for event in a.of(ConnectionStateChanged)]
        assert steps == [
            ("CONNECTING", False),
            ("CONNECTED", False),
            ("DISCONNECTED", True),
            ("RECONNECTING", True),
            ("RECONNECTED", False),
            ("CONNECTED", False),
        ]
        assert a.client.user_id == "a"


@pytest.mark.row("U14")
async def test_late_and_early_members_see_each_other_once() -> None:  # U14
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        await a.heard(PeerJoined)
        assert [event.user_id for event in (*a.of(PeerJoined), *b.of(PeerJoined))] == ["b", "a"]
