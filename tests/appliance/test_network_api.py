"""The routes of the unit's own network, over real HTTP, on the mock network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from appliance.network_api import NetworkApi
from appliance.onboarding import Onboarding
from provisioning.claim import Claim, new_secrets
from provisioning.http_routes import add_routes
from provisioning.mock_network import MockNetwork, MockWifi
from provisioning.network import NetworkError, NetworkStatus, WifiNetwork
from tests.provisioning.clock import Clock

Client = TestClient[web.Request, web.Application]


class Site:
    def __init__(self, http: Client, onboarding: Onboarding, clock: Clock) -> None:
        self.http = http
        self.onboarding = onboarding
        self.clock = clock

    async def post(self, what: str, body: Any) -> tuple[int, Any]:
        response = await self.http.post(f"/api/network/{what}", json=body)
        return response.status, await response.json()

    async def get(self, what: str = "") -> tuple[int, Any]:
        asking = asyncio.create_task(self.http.get(f"/api/network{what}"))
        while not asking.done():
            await self.clock.advance(0.5)
            await asyncio.wait({asking}, timeout=0.02)
        response = await asking
        return response.status, await response.json()


class Absent(MockNetwork):
    async def status(self) -> NetworkStatus:
        return NetworkStatus(available=False, message="NetworkManager does not run here")

    async def scan(self) -> list[WifiNetwork]:
        raise NetworkError("unavailable", "NetworkManager does not run here")


async def serve(network_class: type[MockNetwork]) -> AsyncIterator[Site]:
    clock = Clock()
    networks = (MockWifi("Home", 80), MockWifi("Café", 60, "open", known=True))
    network = network_class(networks, ethernet=True, clock=clock.now, sleep=clock.sleep)
    claim = Claim(new_secrets(), is_claimed=True)
    onboarding = Onboarding(network, claim, lambda _event: None, clock=clock.now, sleep=clock.sleep)
    application = web.Application()
    add_routes(application, NetworkApi(onboarding).routes())
    running = asyncio.create_task(onboarding.run())
    async with TestClient(TestServer(application)) as http:
        yield Site(http, onboarding, clock)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async for site in serve(MockNetwork):
        yield site


@pytest.fixture
async def absent() -> AsyncIterator[Site]:
    async for site in serve(Absent):
        yield site


async def test_what_is(site: Site) -> None:
    await site.clock.advance(1)
    status, body = await site.get()
    assert status == 200
    assert [one["name"] for one in body["interfaces"]] == ["eth0", "wlan0"]
    assert (body["known"], body["access_point"], body["last_attempt"]) == (["Café"], None, None)


async def test_no_answer_holds_the_key_of_the_access_point(site: Site) -> None:
    network = site.onboarding.network
    await network.start_access_point()
    own = (await network.status()).access_point
    assert own is not None
    body = await (await site.http.get("/api/network")).text()
    assert own.ssid in body
    assert own.psk not in body


async def test_scan(site: Site) -> None:
    status, body = await site.get("/scan")
    assert status == 200
    assert [(one["ssid"], one["known"]) for one in body["networks"]] == [("Home", False), ("Café", True)]


@pytest.mark.parametrize(
    ("password", "state", "code"), [("anything else", "joined", None), ("wrong one", "failed", "bad-password")]
)
async def test_connect(site: Site, password: str, state: str, code: str | None) -> None:
    status, body = await site.post("connect", {"ssid": "Home", "password": password})
    assert status == 202
    assert (body["attempt"]["ssid"], body["attempt"]["state"]) == ("Home", "joining")
    assert await site.post("connect", {"ssid": "Home", "password": password}) == (
        409,
        {"error": {"code": "busy", "message": "the unit is joining a network; wait until that is decided"}},
    )
    assert (await site.http.get("/api/network/scan")).status == 409
    await site.clock.advance(30)
    attempt = (await site.get())[1]["last_attempt"]
    assert attempt["state"] == state
    assert (attempt["error"] or {}).get("code") == code
    assert password not in str(attempt)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ssid": "Home", "password": "short"}, "password"),
        ({"ssid": "x" * 33}, "ssid"),
        ({"ssid": ""}, "$.ssid"),
        ({"ssid": "Home", "country": "germany"}, "$.country"),
        ({"ssid": "Home", "static": {"address": "here"}}, "static.address"),
        ({"ssid": "Home", "pasword": "long enough"}, "pasword"),
        ({}, None),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(site: Site, body: Any, field: str | None) -> None:
    status, answer = await site.post("connect", body)
    assert status == 400
    assert answer["error"].get("field") == field
    assert site.onboarding.joining.last is None


async def test_ethernet(site: Site) -> None:
    status, body = await site.post("ethernet", {"static": {"address": "192.0.2.7/24"}})
    assert (status, body["attempt"]["what"]) == (202, "ethernet")
    await site.clock.advance(10)
    [wired, _] = (await site.get())[1]["interfaces"]
    assert wired["addresses"] == ["192.0.2.7/24"]
    assert (await site.post("ethernet", {"static": {"address": "192.0.2.255/24"}}))[0] == 400


async def test_forget(site: Site) -> None:
    assert await site.post("forget", {"ssid": "Café"}) == (200, {"known": []})
    status, body = await site.post("forget", {"ssid": "Café"})
    assert (status, body["error"]["code"], body["error"]["field"]) == (404, "not-found", "ssid")


async def test_where_the_network_is_not_ours(absent: Site) -> None:
    status, body = await absent.get()
    assert (status, body["available"], body["message"]) == (200, False, "NetworkManager does not run here")
    assert (await absent.get("/scan"))[0] == 503
    assert (await absent.post("connect", {"ssid": "Home"}))[0] == 503
