"""The hub over real sockets: calls between members, seats, duplicates, who may connect, pages, an orderly end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from appliance.hub.tokens import TokenSigner
from appliance.room.signaling_login import Error, Login, Ok, RenewToken, TokenRenewed
from appliance.room.signaling_room import (
    Join,
    Joined,
    Kicked,
    Leave,
    LegRequest,
    MemberChanged,
    MemberLeft,
    Publish,
    SignalFrom,
    SignalTo,
    StreamInfo,
    TrackInfo,
)
from tests.appliance.hub.wire import SIGNER, DeadWire, client, serving, until

AV = StreamInfo(audio=TrackInfo(), video=TrackInfo(width=640, height=360))


async def test_two_members_see_publish_signal_and_leave() -> None:
    async with serving() as served, client(served.port) as anna, client(served.port) as ben:
        await anna.enter("anna")
        joined = await ben.enter("ben", user_name="Ben")
        assert [member.user_id for member in joined.members] == ["anna"]
        assert (await anna.expect(MemberChanged)).member.user_name == "Ben"
        await ben.ask(Publish(id=3, stream=AV), Ok)
        assert (await anna.expect(MemberChanged)).member.streams == (AV,)
        leg = LegRequest(leg="leg-1")
        await anna.send(SignalTo(to="ben", leg=leg))
        assert await ben.expect(SignalFrom) == SignalFrom(sender="anna", leg=leg)
        await ben.ask(Leave(id=4), Ok)
        assert (await anna.expect(MemberLeft)).reason == 0


async def test_tokens_open_their_room_only() -> None:
    now_s = time.time()
    good = SIGNER.sign("anna", "attic", "host", "Anna", 60, now_s)
    async with serving(secure=True) as served, client(served.port) as anna:
        refused = {
            "": "token-missing",
            "rubbish": "token-invalid",
            good[:-8] + "AAAAAAAA": "token-invalid",
            SIGNER.sign("anna", "attic", "host", "", 60, now_s - 121): "token-expired",
        }
        for token, code in refused.items():
            error = await anna.ask(Login(id=7, token=token), Error)
            assert (error.code, error.id) == (code, 7)
        assert (await anna.login(token=good)).user_id == "anna"
        assert (await anna.ask(Join(id=8, room="cellar"), Error)).code == "token-invalid"
        assert (await anna.ask(Join(id=9, room="attic"), Joined)).user_id == "anna"


async def test_a_second_login_kicks_the_first_and_closes_it() -> None:
    async with serving() as served, client(served.port) as first, client(served.port) as second:
        await first.enter("anna")
        await second.enter("anna")
        assert (await first.expect(Kicked)).reason == "kick"
        assert await first.next() is None
        assert first.close_code == 4003


async def test_reject_new_and_a_full_room() -> None:
    async with (
        serving(duplicate_login="reject_new", room_capacity=2) as served,
        client(served.port) as anna,
        client(served.port) as ben,
        client(served.port) as late,
    ):
        await anna.enter("anna")
        await ben.enter("ben")
        assert (await late.ask(Login(id=1, user_id="anna"), Error)).code == "duplicate-user"
        await late.login("cleo")
        assert (await late.ask(Join(id=2, room="attic"), Error)).code == "room-full"
        await ben.ask(Leave(id=5), Ok)
        await late.ask(Join(id=3, room="attic"), Joined)


async def test_a_broken_link_resumes_its_seat_with_the_room_as_it_is() -> None:
    async with serving() as served, client(served.port) as anna:
        await anna.enter("anna")
        async with client(served.port) as ben:
            await ben.enter("ben")
            await ben.ask(Publish(id=3, stream=AV), Ok)
            session = ben.session
            assert ben.socket._response is not None
            assert ben.socket._response.connection is not None
            assert ben.socket._response.connection.transport is not None
            ben.socket._response.connection.transport.abort()
            await until(lambda: served.hub.rooms.seats["ben"].connection is None)
        await anna.ask(Publish(id=4, stream=AV), MemberChanged)  # ben's join, his stream, and then our Ok
        await anna.expect(MemberChanged)
        await anna.expect(Ok)
        async with client(served.port) as ben:
            assert (await ben.login(session=session)).resumed
            joined = await ben.expect(Joined)
            assert (joined.id, joined.members[0].streams) == (0, (AV,))
            await anna.nothing_heard()


async def test_a_seat_that_nobody_comes_back_to_is_freed() -> None:
    async with serving(seat_grace_s=0.2) as served, client(served.port) as anna:
        await anna.enter("anna")
        async with client(served.port) as ben:
            await ben.enter("ben")
        await anna.expect(MemberChanged)  # he joined; his link ends without a Leave
        assert (await anna.expect(MemberLeft)).reason == 7
        async with client(served.port) as ben:
            await ben.enter("ben")
        assert (await anna.expect(MemberChanged)).rejoined


async def test_a_browser_that_goes_away_has_left() -> None:
    async with serving() as served, client(served.port) as anna:
        await anna.enter("anna")
        async with client(served.port) as ben:
            await ben.enter("ben")
            await anna.expect(MemberChanged)
            await ben.socket.close(code=1001)  # Firefox says this before its page could say a word
            assert (await anna.expect(MemberLeft)).reason == 0
        assert "ben" not in served.hub.rooms.seats
        await served.hub.close()
        assert "anna" in served.hub.rooms.seats, "who echoes our own 1001 has not left"


async def test_a_black_holed_client_is_found_within_6_s() -> None:
    async with serving(seat_grace_s=0.0) as served, client(served.port) as anna, DeadWire().to(served.port) as wire:
        await anna.enter("anna")
        async with client(wire.port) as ben:
            await ben.enter("ben")
            await anna.expect(MemberChanged)
            wire.cut()
            cut_s = time.monotonic()
            assert (await anna.expect(MemberLeft)).reason == 7
            assert 2.5 < time.monotonic() - cut_s < 6.0
            assert anna.pings > 0, "the hub asks after silence"


async def test_a_client_that_answers_pings_stays() -> None:
    async with (
        serving(heartbeat_s=0.05, lost_after_s=0.3) as served,
        client(served.port) as answers,
        client(served.port, answers=False) as mute,
    ):
        await answers.enter("anna")
        await mute.enter("ben")
        await answers.expect(MemberChanged)
        await mute.closed()
        await until(lambda: answers.pings > 10)
        await answers.nothing_heard()


async def test_whoever_never_logs_in_is_told_and_closed() -> None:
    async with serving(login_timeout_s=0.1) as served, client(served.port) as silent:
        assert (await silent.expect(Error)).code == "not-logged-in"
        assert await silent.closed() == 1008


async def test_connections_are_limited_by_address_and_in_all() -> None:
    async with serving(max_connections_per_address=2, max_connections=3) as served:
        async with client(served.port), client(served.port):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await client(served.port).__aenter__()
            assert caught.value.status == 429
        await until(lambda: not served.hub._connections)
        async with client(served.port) as again:
            await again.login("anna")
    async with serving(max_connections=1) as served, client(served.port):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client(served.port).__aenter__()
        assert caught.value.status == 503


async def test_an_address_that_connects_again_and_again_is_slowed_down() -> None:
    async with serving(arrival_burst=3, arrivals_per_s=5.0) as served:
        for _ in range(3):
            async with client(served.port):
                pass
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client(served.port).__aenter__()
        assert caught.value.status == 429
        assert await arrived(served.port)


async def arrived(port: int) -> bool:
    """Whether a connection is taken within a second."""
    async with asyncio.timeout(1):
        while True:
            try:
                async with client(port) as late:
                    await late.login("late")
                    return True
            except aiohttp.WSServerHandshakeError:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://SELF", "Sec-Fetch-Site": "same-origin"}, 101),
        ({"Origin": "https://SELF"}, 101),
        ({}, 101),
    ],
)
async def test_pages_of_other_sites_cannot_connect(headers: dict[str, str], status: int) -> None:
    async with serving() as served:
        headers = {name: value.replace("SELF", f"127.0.0.1:{served.port}") for name, value in headers.items()}
        if status == 101:
            async with client(served.port, headers=headers) as one:
                await one.login("anna")
        else:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await client(served.port, headers=headers).__aenter__()
            assert caught.value.status == status


async def test_closing_says_going_away_and_leaves_nothing() -> None:
    before = {task.get_name() for task in asyncio.all_tasks()}
    async with serving() as served, client(served.port) as anna, client(served.port) as idle:
        await anna.enter("anna")
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert {"hub-clock", "hub-1-read", "hub-1-write", "hub-1-heartbeat"} <= names
        started_s = time.monotonic()
        await served.hub.close()
        assert time.monotonic() - started_s < 1.0
        assert await anna.closed() == await idle.closed() == 1001
    assert {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("hub-")} <= before


async def test_closing_does_not_wait_for_the_dead() -> None:
    async with serving(close_timeout_s=0.2) as served, DeadWire().to(served.port) as wire, client(wire.port) as ben:
        await ben.enter("ben")
        wire.cut()
        started_s = time.monotonic()
        await served.hub.close()
        assert time.monotonic() - started_s < 1.0
        assert not served.hub._connections


async def test_each_start_is_another_hub() -> None:
    ids = set()
    for _ in range(2):
        async with serving() as served, client(served.port) as anna:
            ids.add((await anna.login("anna")).hub)
    assert len(ids) == 2


async def test_turn_credentials_come_with_the_room() -> None:
    turn = {"turn_urls": ("turn:turn.example:3478",), "turn_secret": "s3cret", "stun_urls": ("stun:stun.example",)}
    async with serving(**turn) as served, client(served.port) as anna:
        stun, relay = (await anna.enter("anna")).ice_servers
        assert stun.urls == ("stun:stun.example",)
        assert relay.username.endswith(":anna")
        assert relay.credential
    async with serving() as served, client(served.port) as anna:
        assert (await anna.enter("anna")).ice_servers == ()


async def test_the_demo_hands_tokens_to_pages_of_this_machine_only() -> None:
    async with serving(secure=True, demo_tokens=True) as served, aiohttp.ClientSession(served.url) as http:
        async with http.get("/hub/token", params={"room": "attic", "name": "Ann"}) as response:
            assert response.status == 200
            assert response.headers["Cache-Control"] == "no-store"
            given = await response.json()
        for headers in (
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Host": "rebound.example"},
            {"Host": f"127.0.0.1.evil.example:{served.port}"},
        ):
            async with http.get("/hub/token", params={"room": "attic"}, headers=headers) as response:
                assert response.status == 403, headers
        async with http.get("/hub/token", params={"room": "no such room!"}) as response:
            assert response.status == 400
            assert "room" in (await response.json())["error"]["message"]
        async with client(served.port) as ann:
            assert (await ann.login(token=given["token"])).user_id == given["user_id"]
            assert (await ann.ask(Join(id=2, room="attic"), Joined)).user_id == given["user_id"]


async def test_the_demo_renews_a_guests_token_for_that_guest_only() -> None:
    async with serving(secure=True, demo_tokens=True) as served, aiohttp.ClientSession(served.url) as http:

        async def ask(old: str, room: str = "attic") -> tuple[int, dict[str, Any]]:
            headers = {"Authorization": f"Bearer {old}"} if old else {}
            async with http.get("/hub/token", params={"room": room}, headers=headers) as response:
                return response.status, await response.json()

        _, first = await ask("")
        status, second = await ask(first["token"], room="elsewhere")
        assert status == 200
        assert second["user_id"] == first["user_id"]
        async with client(served.port) as ann:
            await ann.login(token=first["token"])
            await ann.ask(RenewToken(id=2, token=second["token"]), TokenRenewed)
            assert (await ann.ask(Join(id=3, room="attic"), Joined)).may_moderate
        now_s = time.time()
        for other in (
            SIGNER.sign("front-door", "attic", "host", "", 60, now_s),
            SIGNER.sign(first["user_id"], "attic", "host", "", -120, now_s),
            TokenSigner(b"another secret, which the hub has not").sign(
                first["user_id"], "attic", "host", "", 60, now_s
            ),
            "nonsense",
        ):
            assert (await ask(other))[0] == 400


async def test_without_the_demo_no_tokens_are_handed_out() -> None:
    async with (
        serving(secure=True) as served,
        aiohttp.ClientSession(served.url) as http,
        http.get("/hub/token", params={"room": "attic"}) as response,
    ):
        assert response.status == 404
