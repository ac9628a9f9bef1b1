"""POST /hub/logs: who may, how much, how often; and behind the unit's door, which takes larger bodies there only."""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from appliance.hub.log_store import LogStore
from appliance.hub.log_uploads import BURST, MAX_TEXT_CHARS
from appliance.hub.server import Hub
from appliance.hub.settings import HubSettings
from appliance.web import MAX_BODY_BYTES
from appliance.web_access import Access, guard
from provisioning import auth
from provisioning.http_routes import add_routes
from tests.appliance.hub.wire import SIGNER


@asynccontextmanager
async def logs_of(tmp_path: Path, *, secure: bool = True) -> AsyncIterator[tuple[str, LogStore]]:
    """The address to post to, behind the door of a unit, and what is kept."""
    hub = Hub(HubSettings(secure=secure), SIGNER, is_api_token=lambda _: False, logs_path=tmp_path / "logs")
    access = Access(auth.load(tmp_path, in_memory=True), frozenset, loopback_only=True)
    application = web.Application(middlewares=[guard(access)], client_max_size=MAX_BODY_BYTES)
    add_routes(application, hub.api_routes())
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", LogStore(tmp_path / "logs")
    finally:
        await runner.cleanup()


def bearer(user_id: str = "anna", **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {SIGNER.sign(user_id, 'lobby', 'host', '', 60, time.time(), **claims)}"}


async def post(url: str, body: bytes, headers: dict[str, str], path: str = "/hub/logs") -> int:
    async with (
        aiohttp.ClientSession() as http,
        http.post(url + path, data=io.BytesIO(body), headers=headers) as response,
    ):
        return response.status


def log(text: str) -> bytes:
    return msgspec.json.encode({"text": text})


async def test_a_room_token_opens_it_and_nothing_else(tmp_path: Path) -> None:
    async with logs_of(tmp_path) as (url, store):
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic x"}):
            assert await post(url, log("x"), headers) == 401
        assert await post(url, log("x"), bearer() | {"Origin": "http://elsewhere.example"}) == 403
        assert store.list() == []
        assert await post(url, log("all is well"), bearer()) == 200
        assert [entry.name for entry in store.list()] == ["00000001-anna.log"]


async def test_an_open_hub_takes_them_from_anybody_but_no_bad_token(tmp_path: Path) -> None:
    async with logs_of(tmp_path, secure=False) as (url, store):
        assert await post(url, log("x"), {}) == 200
        assert await post(url, log("x"), {"Authorization": "Bearer nonsense"}) == 401
        assert [entry.name for entry in store.list()] == ["00000001-anybody.log"]


async def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    async with logs_of(tmp_path) as (url, store):
        for body in (b"", b"text", b"{}", b'{"text":7}', b'{"text":"x","more":1}', log("x" * (MAX_TEXT_CHARS + 1))):
            assert await post(url, body, bearer()) == 400
        assert await post(url, log("x" * 1024 * 1024), bearer()) == 413
        assert store.list() == []
        assert await post(url, log("x" * MAX_TEXT_CHARS), bearer()) == 200
        assert store.list()[0].bytes == MAX_TEXT_CHARS


async def test_too_many_are_refused_with_the_time_to_wait(tmp_path: Path) -> None:
    async with logs_of(tmp_path) as (url, store):
        for _ in range(BURST):
            assert await post(url, log("x"), bearer()) == 200
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{url}/hub/logs", data=log("x"), headers=bearer()) as response,
        ):
            assert (response.status, response.headers["Retry-After"]) == (429, "5")
        assert len(store.list()) == BURST


async def test_a_disk_that_takes_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_store: LogStore, _user_id: str, _text: str) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LogStore, "add", full)
    async with logs_of(tmp_path) as (url, _):
        assert await post(url, log("x"), bearer()) == 507
