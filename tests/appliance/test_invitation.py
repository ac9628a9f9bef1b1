"""The way into the unit's own room, for somebody's phone."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from appliance.config import Config
from appliance.config_sections import Hub, Room
from appliance.hub.tokens import TokenSigner
from appliance.invitation import Invitations, qr_svg
from provisioning.http_routes import add_routes
from provisioning.room_link import parse_room_link

SIGNER = TokenSigner(bytes(range(32)))


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    application = web.Application()
    add_routes(application, Invitations(lambda: config, SIGNER).routes())
    async with TestClient(TestServer(application)) as http:
        yield http


async def test_a_link_that_the_own_hub_and_another_units_set_up_take() -> None:
    config = Config(room=Room(room="a~b"), hub=Hub(token_ttl=3600))
    async with serving(config) as http, http.post("/api/invitation") as response:
        told = await response.json()
        link = parse_room_link(told["url"])
        assert link.url == f"ws://127.0.0.1:{http.port}"
    claims = SIGNER.verify(link.token, time.time())
    assert (claims.sub, claims.room, claims.role) == ("", "a~b", "host")  # any number of guests
    assert link.room == "a~b"
    left_s = (datetime.fromisoformat(told["expires_at"]) - datetime.now(UTC)).total_seconds()
    assert 3590 < left_s <= 3600
    assert told["qr"].startswith("<svg")


@pytest.mark.parametrize("secret", ["correct horse", "&=#%+/?"])
async def test_a_link_into_an_encrypted_room_has_its_key_behind_the_hash(secret: str) -> None:
    config = Config(room=Room(encryption="aes-128-gcm", encryption_secret=secret))
    async with serving(config) as http, http.post("/api/invitation") as response:
        url = (await response.json())["url"]
    assert parse_room_link(url).key == secret
    assert "key" not in url.partition("#")[0]


async def test_another_units_room_invites_nobody_from_here() -> None:
    config = Config(room=Room(url="wss://other.local:8080"))
    async with serving(config) as http, http.post("/api/invitation") as response:
        assert response.status == 409
        assert (await response.json())["error"]["code"] == "other-hub"


def test_a_qr_code_fills_its_place_and_needs_no_style() -> None:
    svg = qr_svg("https://unit.local/")
    assert "viewBox" in svg
    assert "style=" not in svg
    assert "<script" not in svg
