"""From the box into the home network by phone: a whole unit, its own network, the captive portal, a wrong password.

The radio is python-dbusmock's NetworkManager; the cable to the phone gets the set-up network's address when that is
up, as NetworkManager would give it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from provisioning.claim import ClaimSecrets
from provisioning.nm_api import PATH
from provisioning.setup_network import ADDRESS, own_access_point
from tests.integration.netns import Namespace, cable
from tests.integration.programs import POLL_S, Unit, free_port, program
from tests.integration.system_bus import Peer, network_manager

CONFIG = """
[audio]
driver = "none"
[video]
driver = "none"
[gpio]
driver = "none"
[web]
port = {port}
"""
WAIT_S = 30.0


@asynccontextmanager
async def phone_beside(phone: Namespace) -> AsyncIterator[aiohttp.ClientSession]:
    """Every name is the unit for it, as the set-up network's DNS has it."""
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of addresses too
    async with aiohttp.ClientSession(connector=phone.connector(), cookie_jar=jar) as session:
        yield session


async def until(look: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    deadline_s = time.monotonic() + WAIT_S
    while not holds(found := await look()):
        assert time.monotonic() < deadline_s, f"never so: {found}"
        await asyncio.sleep(POLL_S)
    return found


async def test_from_the_box_into_the_home_network(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(port=port))
    state_dir = tmp_path / "state"
    async with cable() as (left, right), network_manager(tmp_path, {"Home": {"password": "right-one"}}) as peer:
        right._ip("address", "add", "10.42.0.77/24", "dev", "cable")
        environ = {"DBUS_SYSTEM_BUS_ADDRESS": peer.address}
        arguments = ("run", "--config", str(config))
        async with (
            program(state_dir, port, *arguments, where=left, environ=environ, scheme="https") as unit,
            phone_beside(right) as phone,
        ):
            await opens(unit, peer, left, state_dir)
            csrf = await claims(phone, state_dir)
            await joins(unit, phone, csrf)


async def opens(unit: Unit, peer: Peer, left: Namespace, state_dir: Path) -> None:
    """Nobody knows a network: the unit opens its own, with the key of its label."""

    async def look() -> Any:
        return await unit.get("/api/network")

    network = await until(look, lambda network: network["access_point"] is not None)
    assert network["setup_mode"] == "access-point"
    secrets = read_secrets(state_dir)
    assert network["access_point"]["ssid"] == own_access_point(secrets.key).ssid
    [(settings, *_)] = await peer.calls(PATH, "AddAndActivateConnection2")
    assert settings["802-11-wireless-security"]["psk"] == secrets.key
    assert secrets.key not in json.dumps(network)
    assert secrets.key not in unit.log.read_text()
    left._ip("address", "add", f"{ADDRESS}/24", "dev", "cable")


async def claims(phone: aiohttp.ClientSession, state_dir: Path) -> str:
    """The phone looks for the internet, finds the page, and claims the unit; gives its CSRF token."""
    probe = {"Host": "captive.apple.com"}
    answer = await phone.get(f"http://{ADDRESS}/hotspot-detect.html", headers=probe, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (302, f"http://{ADDRESS}/setup")
    page = await phone.get(answer.headers["Location"])
    assert page.status == 200
    assert page.content_type == "text/html"
    body = {"code": read_secrets(state_dir).shown, "password": "a long enough password"}
    origin = {"Origin": f"http://{ADDRESS}"}
    claimed = await phone.post(f"http://{ADDRESS}/api/setup/claim", json=body, headers=origin)
    assert claimed.status < 300, await claimed.text()
    return next(cookie.value for cookie in phone.cookie_jar if "csrf" in cookie.key)


async def joins(unit: Unit, phone: aiohttp.ClientSession, csrf: str) -> None:
    headers = {"Origin": f"http://{ADDRESS}", "X-CSRF-Token": csrf}

    async def look() -> Any:
        return await unit.get("/api/network")

    for password, state in (("wrong-one", "failed"), ("right-one", "joined")):
        wish = {"ssid": "Home", "password": password}
        begun = await phone.post(f"http://{ADDRESS}/api/network/connect", json=wish, headers=headers)
        assert begun.status == 202, await begun.text()
        network = await until(look, lambda network: network["last_attempt"]["state"] != "joining")
        assert network["last_attempt"]["state"] == state
        assert password not in unit.log.read_text()
        if state == "failed":  # the phone is back, and reads why
            await until(look, lambda network: network["access_point"] is not None)
            told = await (await phone.get(f"http://{ADDRESS}/api/network")).json()
            assert told["last_attempt"]["error"]["code"] == "bad-password"
    network = await until(look, lambda network: network["setup_mode"] == "idle")
    assert network["access_point"] is None
    assert network["last_attempt"]["addresses"] == ["192.0.2.77/24"]
    assert network["known"] == ["Home"]


def read_secrets(state_dir: Path) -> ClaimSecrets:
    return ClaimSecrets(**json.loads((state_dir / "claim.json").read_text()))
