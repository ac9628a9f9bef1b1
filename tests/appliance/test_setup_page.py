"""First set-up over HTTP: what a stranger, an owner and a half-finished unit are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.typedefs import Handler

from appliance.config_store import ConfigStore
from appliance.setup_page import Finished, SetupPage
from provisioning.auth import Auth
from provisioning.http_routes import add_routes
from provisioning.mock_network import MockNetwork
from provisioning.network import WifiJoin
from provisioning.visitor import Visitor, set_visitor
from tests.integration.programs import free_port
from tests.provisioning.owner import claimed, new_auth

Client = TestClient[web.Request, web.Application]
OWNER = {"Test-Visitor": "admin"}


@web.middleware
async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    if "Test-Visitor" in request.headers:
        set_visitor(request, Visitor("admin"))
    return await handler(request)


async def no_time(_delay_s: float) -> None:
    pass


@asynccontextmanager
async def serving(
    tmp_path: Path, auth: Auth, network: MockNetwork, store: ConfigStore | None = None
) -> AsyncIterator[Client]:
    if store is None:
        store = ConfigStore(tmp_path / "config.toml")
        await store.begin()
    page = SetupPage(
        auth.claim,
        store,
        network,
        Finished(tmp_path),
        lambda _status, _request: ["http://unit.local/", "http://10.0.0.7/"],
    )
    application = web.Application(middlewares=[let_in])
    add_routes(application, page.routes())
    async with TestClient(TestServer(application)) as http:
        yield http


async def get(http: Client, headers: dict[str, str] | None = None) -> dict[str, Any]:
    async with http.get("/api/setup", headers=headers) as response:
        assert response.status == 200
        told: dict[str, Any] = await response.json()
        return told


def network(**values: Any) -> MockNetwork:
    return MockNetwork(sleep=no_time, **values)


async def test_a_stranger_is_told_to_claim_and_nothing_else(tmp_path: Path) -> None:
    async with serving(tmp_path, new_auth(), network()) as http:
        told = await get(http)
    assert told["step"] == "claim"
    assert told.keys() == {"step", "steps"}
    assert [step["name"] for step in told["steps"] if step["may_open"]] == ["claim"]


async def test_the_owner_is_walked_on_by_what_is_so(tmp_path: Path) -> None:
    auth, air = await claimed(new_auth()), network()
    store = ConfigStore(tmp_path / "config.toml")
    await store.begin()
    async with serving(tmp_path, auth, air, store) as http:
        assert (await get(http, OWNER))["step"] == "name"
        await store.change({"device.name": "Room appliance"})  # the default, but chosen
        assert (await get(http, OWNER))["step"] == "network"
        await air.connect(WifiJoin(ssid="Living room", password="right one"))
        assert (await get(http, OWNER))["step"] == "room"
        await store.change({"room.url": "hub:", "room.room": "attic"})
        told = await get(http, OWNER)
        assert told["step"] == "test"
        assert told["room"] == {"url": "hub:", "room": "attic", "own": True}
        async with http.post("/api/setup/finish", headers=OWNER) as response:
            assert (await response.json())["step"] == "done"
        air.remove("Living room")
    async with serving(tmp_path, auth, air, store) as http:  # started anew, and without its network
        told = await get(http, OWNER)
    assert told["step"] == "done"
    assert told["addresses"][0] == "http://unit.local/"
    assert told["qr"].startswith("<svg")


async def test_set_up_mode_that_was_opened_again_asks_for_the_code(tmp_path: Path) -> None:
    auth = await claimed(new_auth())
    async with serving(tmp_path, auth, network(ethernet=True)) as http:
        auth.claim.reopen(10.0**9)
        assert (await get(http))["steps"][0] == {"name": "claim", "done": False, "may_open": True}


async def test_a_cable_is_a_network(tmp_path: Path) -> None:
    auth = await claimed(new_auth())
    async with serving(tmp_path, auth, network(ethernet=True)) as http:
        steps = {step["name"]: step["done"] for step in (await get(http, OWNER))["steps"]}
    assert steps == {"claim": True, "name": False, "network": True, "room": False, "test": False, "done": False}


async def test_an_invitation_is_read_and_its_hub_looked_at(tmp_path: Path) -> None:
    auth, port = await claimed(new_auth()), free_port()
    token = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"
    async with serving(tmp_path, auth, network()) as http:
        body = {"address": f"http://127.0.0.1:{http.port}/join/attic#token={token}&key=a%20secret%26"}
        async with http.post("/api/setup/room", json=body) as response:
            assert await response.json() == {
                "url": f"ws://127.0.0.1:{http.port}",
                "room": "attic",
                "token": token,
                "fingerprint": "",
                "key": "a secret&",
                "certificate": "none",
            }
        body = {"address": f"https://127.0.0.1:{port}/join/attic"}
        async with http.post("/api/setup/room", json=body) as response:
            assert (await response.json())["certificate"] == "unreachable"
        async with http.post("/api/setup/room", json={"address": "two words", "room": "r"}) as response:
            assert response.status == 400
            assert (await response.json())["error"]["field"] == "address"


async def test_an_end_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    auth = await claimed(new_auth())
    store = ConfigStore(tmp_path / "config.toml")
    await store.begin()
    blocked = tmp_path / "file"
    blocked.touch()
    page = SetupPage(auth.claim, store, network(), Finished(blocked), lambda _status, _request: [])
    application = web.Application(middlewares=[let_in])
    add_routes(application, page.routes())
    async with TestClient(TestServer(application)) as http, http.post("/api/setup/finish", headers=OWNER) as response:
        assert response.status == 503
