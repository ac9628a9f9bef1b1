"""Every address that a phone asks for in the set-up network leads to the page."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from provisioning.captive import PROBES, CaptivePortal, captive
from provisioning.setup_network import ADDRESS, own_access_point, wifi_qr_text

PORTAL = CaptivePortal(ADDRESS)


@pytest.mark.parametrize("path", sorted(PROBES))
@pytest.mark.parametrize("host", ["connectivitycheck.gstatic.com", "captive.apple.com", ADDRESS])
def test_probes_lead_to_the_page(host: str, path: str) -> None:
    assert PORTAL.leads_to_page(host, path)


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_of_a_foreign_host_gets_through(host: str, path: str) -> None:
    assert PORTAL.leads_to_page(host, path) or host in (ADDRESS, f"{ADDRESS}:80")


@pytest.mark.parametrize("path", ["/setup", "/api/network", "/static/base.css", "/"])
def test_the_unit_itself_is_served(path: str) -> None:
    assert not PORTAL.leads_to_page(ADDRESS, path)
    assert PORTAL.page == "http://10.42.0.1/setup"


class Unit:
    """An application behind the portal's port and behind another one."""

    def __init__(self, portal: CaptivePortal, other: str, touches: list[None]) -> None:
        self.portal = portal
        self.other = other
        self.touches = touches


@pytest.fixture
async def unit() -> AsyncIterator[Unit]:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text=f"page {request.path}")

    def applied(portal: CaptivePortal | None, touches: list[None]) -> web.Application:
        middlewares = [captive(portal, lambda: touches.append(None))] if portal is not None else []
        application = web.Application(middlewares=middlewares)
        application.router.add_get("/{path:.*}", page)
        return application

    touches: list[None] = []
    ports = []
    first = web.AppRunner(applied(None, touches))  # only to find two free ports
    await first.setup()
    for _ in range(2):
        site = web.TCPSite(first, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        ports.append(int(site._server.sockets[0].getsockname()[1]))  # type: ignore[attr-defined]
    await first.cleanup()
    portal = CaptivePortal("127.0.0.1", ports[0])
    runner = web.AppRunner(applied(portal, touches))
    await runner.setup()
    for port in ports:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    yield Unit(portal, f"http://127.0.0.1:{ports[1]}", touches)
    await runner.cleanup()


async def test_a_phone_is_led_to_the_page(unit: Unit) -> None:
    address = f"http://{unit.portal.host}"
    async with aiohttp.ClientSession() as client:
        for path, host in (("/generate_204", "connectivitycheck.gstatic.com"), ("/api/network", "router.local")):
            answer = await client.get(f"{address}{path}", headers={"Host": host}, allow_redirects=False)
            assert (answer.status, answer.headers["Location"]) == (302, unit.portal.page)
        assert unit.touches == []
        assert await (await client.get(f"{address}/setup")).text() == "page /setup"
        assert len(unit.touches) == 1


async def test_other_ports_are_left_alone(unit: Unit) -> None:
    async with aiohttp.ClientSession() as client:
        answer = await client.get(f"{unit.other}/generate_204", headers={"Host": "foreign.example"})
        assert await answer.text() == "page /generate_204"
    assert unit.touches == []


async def test_captive_portal_api(unit: Unit) -> None:
    url = f"http://{unit.portal.host}/captive-portal/api"
    async with aiohttp.ClientSession() as client:
        answer = await client.get(url, headers={"Accept": "application/captive+json"})
        assert answer.content_type == "application/captive+json"
        assert await answer.json(content_type=None) == {"captive": True, "user-portal-url": unit.portal.page}
        answer = await client.get(url, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, unit.portal.page)


def test_two_units_have_two_names_and_a_phone_can_read_the_code() -> None:
    one, other = own_access_point("A" * 16), own_access_point("B" * 16)
    assert one.ssid != other.ssid
    assert one == own_access_point("A" * 16)
    assert wifi_qr_text(one) == f"WIFI:T:WPA;S:{one.ssid};P:AAAAAAAAAAAAAAAA;;"
    assert "A" * 16 not in repr(one)
