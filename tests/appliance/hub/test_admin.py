"""The administrator's REST API against a running hub."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from yarl import URL

from appliance.room.signaling_login import Error, Login, Ok
from appliance.room.signaling_room import (
    Join,
    Joined,
    Kicked,
    MemberChanged,
    MemberLeft,
    MuteForced,
    Publish,
    RoomClosed,
    StreamInfo,
    TrackInfo,
)
from tests.appliance.hub.wire import API_TOKEN, Served, client, serving

BEARER = {"Authorization": f"Bearer {API_TOKEN}"}


async def call(served: Served, method: str, path: str, *, headers: dict[str, str] = BEARER, data: Any = None) -> Any:
    """(status, JSON body or None)."""
    url = URL(served.url + path, encoded=True)
    async with aiohttp.ClientSession() as http, http.request(method, url, headers=headers, data=data) as response:
        return response.status, await response.json() if response.content_length else None


ROUTES = [
    ("GET", "/admin/rooms"),
    ("GET", "/admin/rooms/attic"),
    ("GET", "/admin/logs"),
    ("GET", "/admin/logs/00000001-anna.log"),
    ("DELETE", "/admin/rooms/attic"),
    ("POST", "/admin/rooms/attic/members/anna/kick"),
    ("POST", "/admin/rooms/attic/members/anna/ban"),
    ("POST", "/admin/rooms/attic/members/anna/remove"),
    ("DELETE", "/admin/rooms/attic/bans/anna"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_nothing_happens_without_an_api_token(method: str, path: str) -> None:
    async with serving() as served, client(served.port) as anna:
        await anna.enter("anna")
        for value in ("", "Bearer", "Bearer wrong", f"Basic {API_TOKEN}", API_TOKEN):
            status, body = await call(served, method, path, headers={"Authorization": value})
            assert (status, body["error"]["code"]) == (401, "unauthorized")
        await anna.nothing_heard()


async def test_rooms_and_members_are_listed() -> None:
    async with serving() as served, client(served.port) as anna, client(served.port) as zoe:
        assert await call(served, "GET", "/admin/rooms") == (200, {"rooms": []})
        session_id = (await anna.enter("anna", user_name="Anna")).session_id
        await zoe.enter("zoe", "cellar")
        status, body = await call(served, "GET", "/admin/rooms")
        assert (status, [room["room"] for room in body["rooms"]]) == (200, ["attic", "cellar"])
        member = {
            "user_id": "anna",
            "user_name": "Anna",
            "role": "host",
            "streams": [],
            "data": "",
            "priority": 100,
            "forced": [],
            "session_id": session_id,
            "link": "up",
        }
        attic = {"room": "attic", "profile": "rtc", "capacity": 8, "members": [member], "banned": [], "kept": False}
        attic["tasks"] = []
        assert await call(served, "GET", "/admin/rooms/attic") == (200, attic)


@pytest.mark.parametrize(("how", "reason", "code"), [("kick", "kick", 5), ("remove", "removed", 9)])
async def test_a_member_is_put_out_and_may_come_back(how: str, reason: str, code: int) -> None:
    async with serving() as served, client(served.port) as anna, client(served.port) as ben:
        await anna.enter("anna")
        await ben.enter("ben")
        await anna.expect(MemberChanged)
        path = f"/admin/rooms/attic/members/ben/{how}"
        assert await call(served, "POST", path, data=b'{"message":"enough"}') == (204, None)
        kicked = await ben.expect(Kicked)
        assert (kicked.reason, kicked.message, kicked.code) == (reason, "enough", code)
        assert (await anna.expect(MemberLeft)).reason == code
        status, body = await call(served, "POST", path)
        assert (status, body["error"]["code"]) == (404, "peer-not-found")
        await ben.ask(Join(id=3, room="attic"), Joined)


async def test_a_banned_member_stays_out_until_the_ban_is_lifted() -> None:
    async with serving() as served, client(served.port) as ben:
        await ben.enter("ben")
        assert (await call(served, "POST", "/admin/rooms/attic/members/ben/ban"))[0] == 204
        assert (await ben.expect(Kicked)).reason == "banned"
        async with client(served.port) as again:
            error = await again.ask(Login(id=1, session=ben.session), Error)
            assert error.code == "banned"
            await again.login("ben")
            assert (await again.ask(Join(id=2, room="attic"), Error)).code == "banned"
            assert (await call(served, "DELETE", "/admin/rooms/attic/bans/ben"))[0] == 204
            assert (await call(served, "DELETE", "/admin/rooms/attic/bans/ben"))[0] == 404
            await again.ask(Join(id=3, room="attic"), Joined)


async def test_a_disbanded_room_closes_for_everybody_and_a_later_join_makes_a_new_one() -> None:
    async with serving() as served, client(served.port) as anna, client(served.port) as ben:
        stay = (await anna.enter("anna")).session_id
        await ben.enter("ben")
        await anna.expect(MemberChanged)
        assert (await call(served, "DELETE", "/admin/rooms/attic", data=b'{"message":"good night"}'))[0] == 204
        for member in (anna, ben):
            assert (await member.expect(RoomClosed)).message == "good night"
        assert (await call(served, "DELETE", "/admin/rooms/attic"))[0] == 404
        joined = await anna.ask(Join(id=3, room="attic"), Joined)
        assert joined.members == ()
        assert joined.session_id != stay


async def test_a_screen_is_muted_and_allowed_again() -> None:
    async with serving() as served, client(served.port) as anna, client(served.port) as zoe:
        await anna.enter("anna")
        await zoe.enter("zoe")
        await anna.expect(MemberChanged)
        await anna.ask(Publish(id=3, stream=StreamInfo(name="screen", video=TrackInfo())), Ok)
        path = "/admin/rooms/attic/members/anna/"
        for how, muted in (("mute", True), ("unmute", False)):
            assert (await call(served, "POST", path + how, data=b'{"kind":"screen"}'))[0] == 204
            told = await anna.expect(MuteForced)
            assert (told.kind, told.muted, told.by) == ("screen", muted, "")
            _, room = await call(served, "GET", "/admin/rooms/attic")
            member = room["members"][0]
            assert member["forced"] == (["screen"] if muted else [])
            assert member["streams"][0]["video"]["muted"], "its own user opens it"
        assert (await call(served, "POST", path + "mute", data=b'{"kind":"smell"}'))[0] == 400


async def test_names_with_slashes_and_umlauts_can_be_kicked() -> None:
    async with serving() as served, client(served.port) as odd:
        await odd.enter("a/b ü?")
        assert (await call(served, "POST", "/admin/rooms/attic/members/a%2Fb%20%C3%BC%3F/kick"))[0] == 204
        await odd.expect(Kicked)


@pytest.mark.parametrize(
    "body", [b"rubbish", b"[]", b'{"message":5}', b'{"reason":"x"}', b"\xff", b'{"message":"%s"}' % (b"x" * 300)]
)
async def test_a_wrong_body_is_refused_and_nobody_kicked(body: bytes) -> None:
    async with serving() as served, client(served.port) as anna:
        await anna.enter("anna")
        status, answer = await call(served, "POST", "/admin/rooms/attic/members/anna/kick", data=body)
        assert (status, answer["error"]["code"]) == (400, "invalid-argument")
        await anna.nothing_heard()


async def test_a_huge_body_is_refused() -> None:
    async with serving() as served:
        status, answer = await call(served, "POST", "/admin/rooms/attic/members/anna/ban", data=b" " * 100_000)
        assert (status, answer["error"]["code"]) == (400, "invalid-argument")
