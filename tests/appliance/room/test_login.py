"""The login layer under the room: alone, round a stay, over lost links, and when somebody else takes it (X01, T3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.errors import InvalidStateError, RtcError, TokenInvalidError
from appliance.room.events import ConnectionStateChanged, ErrorRaised, Kicked, LoginStateChanged, PeerLeft, RoomClosed
from tests.appliance.room.house import BRISK, Guest, house


def steps(guest: Guest) -> list[tuple[str, str]]:
    return [(str(event.cur_state), str(event.reason)) for event in guest.of(LoginStateChanged)]


IN = [("CONNECTING", "LOGIN"), ("CONNECTED", "LOGIN_SUCCESS")]


@pytest.mark.row("RS23")
async def test_one_logs_in_without_a_room_and_out_again() -> None:
    async with house() as home:
        a = home.guest()
        assert await a.client.login("a") == "a"
        assert a.client.login_state == "CONNECTED"
        assert a.client.connection_state == "DISCONNECTED"
        assert set(home.hub.rooms.seats) == {"a"}
        with pytest.raises(InvalidStateError, match="log out first"):
            await a.client.login("b")
        await a.client.logout()
        assert not home.hub.rooms.seats
        await a.client.logout()
        assert steps(a) == [*IN, ("DISCONNECTED", "LOGOUT")]
        assert a.of(ConnectionStateChanged) == []


async def test_a_join_uses_the_login_and_leaving_keeps_it() -> None:
    async with house() as home:
        b = await home.joined("b")
        a = home.guest()
        await a.client.login("a", user_name="Anna")
        result = await a.client.join("lobby")
        assert (result.user_id, list(result.peers)) == ("a", ["b"])
        await a.client.leave()
        assert (await b.heard(PeerLeft)).user_name == "Anna"
        await a.client.join("attic")
        assert steps(a) == IN
        assert {room: list(seats.seats) for room, seats in home.hub.rooms.rooms.items()} == {
            "lobby": ["b"],
            "attic": ["a"],
        }


async def test_a_join_makes_a_login_that_outlives_the_room() -> None:
    async with house() as home:
        a = await home.joined("a")
        await a.client.leave()
        assert a.client.login_state == "CONNECTED"
        await a.client.join("lobby", "a")
        assert steps(a) == IN
        await a.client.leave()
        await a.client.join("lobby", "another")  # a login of a join is nobody's: it makes way
        assert set(home.hub.rooms.seats) == {"another"}


async def test_a_join_with_somebody_elses_token_makes_the_login_of_a_join_way() -> None:
    async with house(secure=True) as home:
        a = home.guest()
        await a.client.join("lobby", "", home.token("a"))
        await a.client.leave()
        await a.client.join("lobby", "", home.token("b"))
        assert a.client.user_id == "b"
        assert set(home.hub.rooms.seats) == {"b"}


async def test_a_join_as_somebody_else_is_refused_where_one_logged_in_oneself() -> None:
    async with house() as home:
        a = home.guest()
        await a.client.login("a")
        with pytest.raises(InvalidStateError, match="logged in as 'a'"):
            await a.client.join("lobby", "b")
        assert a.client.login_state == "CONNECTED"


async def test_another_rooms_token_opens_it_on_the_same_login() -> None:
    async with house(secure=True) as home:
        a = home.guest()
        await a.client.login("a", home.token("a", "lobby"))
        with pytest.raises(TokenInvalidError, match="for room 'lobby'"):
            await a.client.join("attic")
        with pytest.raises(TokenInvalidError, match="for user 'b'"):
            await a.client.join("attic", "", home.token("b", "attic"))
        await a.client.join("attic", "", home.token("a", "attic"))
        assert steps(a) == IN


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.row("RS23")
async def test_a_lost_link_is_restored_with_the_same_session(joined: bool) -> None:
    async with house() as home:
        a = home.guest()
        await a.client.login("a")
        if joined:
            await a.client.join("lobby")
        session = home.hub.rooms.seats["a"].session
        await home.proxy.cut()
        await home.proxy.restore()
        await a.heard(LoginStateChanged, 4)
        assert steps(a) == [*IN, ("RECONNECTING", "INTERRUPTED"), ("CONNECTED", "LOGIN_SUCCESS")]
        assert home.hub.rooms.seats["a"].session == session
        if joined:
            await a.state("CONNECTED")


async def test_a_login_that_cannot_come_back_ends_with_one_error() -> None:
    async with house() as home:
        a = home.guest(options=replace(BRISK, reconnect_deadline_s=0.5))
        await a.client.login("a")
        await home.proxy.cut()
        error = (await a.heard(ErrorRaised)).error
        assert error.code == "reconnect-timeout"
        assert steps(a)[-1] == ("DISCONNECTED", "INTERRUPTED")
        await home.proxy.restore()
        await a.client.login("a")


async def test_a_room_left_while_the_link_was_lost_is_left_when_it_is_back() -> None:
    async with house() as home:
        b = await home.joined("b", port=home.port)
        a = home.guest()
        await a.client.login("a")
        await a.client.join("lobby")
        await home.proxy.cut()
        await a.state("RECONNECTING")
        await a.client.leave()
        await home.proxy.restore()
        assert (await b.heard(PeerLeft)).reason == 0
        assert a.client.login_state == "CONNECTED"


@pytest.mark.row("TR15", "TR16")
async def test_another_login_with_the_same_id_aborts_this_one() -> None:  # TR15, TR16
    async with house() as home:
        old = home.guest()
        await old.client.login("a")
        new = home.guest()
        await new.client.login("a")
        await old.heard(LoginStateChanged, 3)
        assert steps(old)[-1] == ("ABORTED", "REMOTE_LOGIN")
        with pytest.raises(RtcError, match="log out first"):
            await old.client.login("a")
        await old.client.logout()
        await old.client.login("b")
        assert new.client.login_state == "CONNECTED"


async def test_a_kick_from_the_room_keeps_the_login() -> None:
    async with house() as home:
        a = await home.joined("a")
        assert await home.admin("POST", "/rooms/lobby/members/a/kick") == 204
        await a.state("DISCONNECTED")
        assert a.names()[-3:] == ["kicked", "DISCONNECTING", "DISCONNECTED"]
        assert a.client.login_state == "CONNECTED"
        await a.client.join("lobby", "a")


@pytest.mark.row("TR15")
async def test_a_ban_ends_the_login_as_well() -> None:
    async with house() as home:
        a = await home.joined("a")
        assert await home.admin("POST", "/rooms/lobby/members/a/ban") == 204
        await a.state("DISCONNECTED")
        assert steps(a)[-1] == ("ABORTED", "BANNED_BY_SERVER")
        assert a.of(Kicked)[0].reason == "banned"


@pytest.mark.parametrize("how", ["kick", "disband"])
async def test_who_is_put_out_while_the_link_is_lost_hears_why(how: str) -> None:
    async with house() as home:
        a = await home.joined("a")
        await home.proxy.cut()
        await a.state("RECONNECTING")
        if how == "kick":
            assert await home.admin("POST", "/rooms/lobby/members/a/kick") == 204
        else:
            assert await home.admin("DELETE", "/rooms/lobby") == 204
        await home.proxy.restore()
        await a.heard(ErrorRaised)
        told = "kicked" if how == "kick" else "room-closed"
        assert a.names()[-4:] == ["RECONNECTING", told, "DISCONNECTED", "error"]
        assert len(a.of(Kicked)) + len(a.of(RoomClosed)) == 1
        assert a.client.login_state == "CONNECTED"
