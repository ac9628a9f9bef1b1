"""Wi-Fi through NetworkManager's D-Bus API: python-dbusmock's template, extended by ours, on a bus of its own."""

from __future__ import annotations

import asyncio
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from provisioning.network import AccessPoint, NetworkError, NetworkStatus, StaticAddress, WifiJoin
from provisioning.nm_api import ACTIVE, METHODS, NM, PATH, PROFILE, PROPERTIES, SIGNALS
from provisioning.nm_bus import ServiceBus
from provisioning.nm_settings import ACCESS_POINT_UUID
from provisioning.radio import set_regulatory_country
from provisioning.wifi import NetworkManagerNetwork
from tests.integration.system_bus import WIFI, Peer, mocked, network_manager, system_bus

OWN = AccessPoint(ssid="Room appliance 0A1B", psk="SECRETSECRET", address="10.42.0.1")
INTROSPECTION = Path("/usr/share/dbus-1/interfaces")
WAIT_S = 5.0


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    worlds: dict[str, dict[str, Any]] = {
        "Home": {"password": "right-one"},
        "Café": {},
        "Dull": {"dhcp": False},
        "Veiled": {"hidden": True, "password": "hidden-one"},
    }
    async with network_manager(tmp_path, worlds) as peer:
        yield peer


@pytest.fixture
async def network(peer: Peer) -> AsyncIterator[NetworkManagerNetwork]:
    network = NetworkManagerNetwork(OWN, address=peer.address)
    try:
        yield network
    finally:
        await network.close()


async def until(network: NetworkManagerNetwork, holds: Callable[[NetworkStatus], bool]) -> NetworkStatus:
    async with asyncio.timeout(WAIT_S):
        while not holds(status := await network.status()):
            await network.wait_changed()
    return status


def is_online(ssid: str) -> Callable[[NetworkStatus], bool]:
    def holds(status: NetworkStatus) -> bool:
        wifi = status.connected("wifi")
        return wifi is not None and wifi.ssid == ssid

    return holds


async def profiles(peer: Peer) -> dict[str, dict[str, Any]]:
    return {path: found[PROFILE] for path, found in (await peer.objects()).items() if PROFILE in found}


async def test_scan_gives_what_is_in_reach_strongest_first(network: NetworkManagerNetwork, peer: Peer) -> None:
    await peer.mock("AddRawAccessPoint", "ssayu", WIFI, "odd", b"\xff\x00", 0x400)
    found = await network.scan()
    assert [(one.ssid, one.security) for one in found] == [
        ("Home", "wpa2"),
        ("Café", "open"),
        ("Dull", "open"),
        ("\\xff\\x00", "wpa3"),
    ]
    assert not any(one.known or one.in_use for one in found)


async def test_join_keeps_the_profile_and_tells_the_address(network: NetworkManagerNetwork, peer: Peer) -> None:
    await network.connect(WifiJoin(ssid="Home", password="right-one"))
    wifi = (await network.status()).connected("wifi")
    assert wifi is not None
    assert (wifi.ssid, wifi.addresses, wifi.gateway) == ("Home", ("192.0.2.77/24",), "192.0.2.1")
    assert [one["Unsaved"] for one in (await profiles(peer)).values()] == [False]
    assert await network.known() == ("Home",)
    [home] = [one for one in await network.scan() if one.in_use]
    assert (home.ssid, home.known) == ("Home", True)
    assert len(await peer.calls(PATH, "CheckpointDestroy")) == 1
    assert await peer.calls(PATH, "CheckpointRollback") == []


@pytest.mark.parametrize(
    ("join", "code"),
    [
        (WifiJoin(ssid="Home", password="wrong-one"), "bad-password"),
        (WifiJoin(ssid="Home"), "bad-password"),
        (WifiJoin(ssid="Dull"), "no-address"),
        (WifiJoin(ssid="Nowhere", password="right-one"), "not-found"),
        (WifiJoin(ssid="Veiled", password="hidden-one"), "not-found"),
    ],
)
async def test_what_fails_is_said_and_leaves_nothing(
    network: NetworkManagerNetwork, peer: Peer, join: WifiJoin, code: str
) -> None:
    with pytest.raises(NetworkError) as caught:
        await network.connect(join)
    assert caught.value.code == code
    assert await profiles(peer) == {}
    assert (await network.status()).connected("wifi") is None


async def test_a_failed_join_goes_back_to_the_network_it_came_from(network: NetworkManagerNetwork, peer: Peer) -> None:
    await network.connect(WifiJoin(ssid="Home", password="right-one"))
    for wrong in (WifiJoin(ssid="Dull"), WifiJoin(ssid="Home", password="wrong-one")):
        with pytest.raises(NetworkError):
            await network.connect(wrong)
        await until(network, is_online("Home"))
        assert await network.known() == ("Home",)
    assert len(await profiles(peer)) == 1


async def test_a_hidden_network_is_asked_for_by_name(network: NetworkManagerNetwork) -> None:
    await network.connect(WifiJoin(ssid="Veiled", password="hidden-one", hidden=True))
    await until(network, is_online("Veiled"))


async def test_a_new_password_takes_the_place_of_the_old_one(network: NetworkManagerNetwork, peer: Peer) -> None:
    await network.connect(WifiJoin(ssid="Home", password="right-one"))
    await peer.mock("Behave", "ss", "Home", '{"password": "second-one"}')
    await network.connect(WifiJoin(ssid="Home", password="second-one"))
    assert len(await profiles(peer)) == 1


async def test_a_static_address(network: NetworkManagerNetwork) -> None:
    await network.connect(WifiJoin(ssid="Dull", static=StaticAddress(address="192.0.2.9/25", gateway="192.0.2.1")))
    wifi = (await until(network, is_online("Dull"))).connected("wifi")
    assert wifi is not None
    assert wifi.addresses == ("192.0.2.9/25",)


async def test_ethernet_static_then_dhcp(network: NetworkManagerNetwork, peer: Peer) -> None:
    for static in (StaticAddress(address="192.0.2.10/24"), None, StaticAddress(address="192.0.2.11/24")):
        await network.set_ethernet(static)
        status = await until(network, lambda status: status.connected("ethernet") is not None)
        wired = status.connected("ethernet")
        assert wired is not None
        assert wired.addresses == (static.address if static is not None else "192.0.2.77/24",)
        assert len(await profiles(peer)) == 1


async def test_forget(network: NetworkManagerNetwork, peer: Peer) -> None:
    await network.connect(WifiJoin(ssid="Home", password="right-one"))
    await network.forget("Home")
    assert await profiles(peer) == {}
    with pytest.raises(NetworkError, match="not among the known"):
        await network.forget("Home")


async def test_the_access_point_is_there_until_the_end(network: NetworkManagerNetwork, peer: Peer) -> None:
    await network.start_access_point()
    status = await network.status()
    assert status.access_point == OWN
    assert status.connected("wifi") is None
    [(settings, device, _, options)] = await peer.calls(PATH, "AddAndActivateConnection2")
    assert device == WIFI
    assert options == {"persist": "volatile", "bind-activation": "dbus-client"}
    assert settings["802-11-wireless"]["mode"] == "ap"
    assert settings["802-11-wireless-security"]["psk"] == OWN.psk
    assert OWN.psk not in repr(status)
    assert [one.ssid for one in await network.scan()] == ["Home", "Café", "Dull"]  # of before
    await network.close()
    assert await profiles(peer) == {}
    assert not any(ACTIVE in found for found in (await peer.objects()).values())


async def test_a_join_from_the_access_point_that_fails_brings_it_back(
    network: NetworkManagerNetwork, peer: Peer
) -> None:
    await network.start_access_point()
    with pytest.raises(NetworkError, match="password"):
        await network.connect(WifiJoin(ssid="Home", password="wrong-one"))
    await until(network, lambda status: status.access_point is not None)
    assert await network.known() == ()
    await network.connect(WifiJoin(ssid="Home", password="right-one"))
    status = await until(network, is_online("Home"))
    assert status.access_point is None


async def test_a_join_given_up_is_rolled_back(network: NetworkManagerNetwork, peer: Peer) -> None:
    await network.start_access_point()
    joining = asyncio.create_task(network.connect(WifiJoin(ssid="Home", password="right-one")))
    async with asyncio.timeout(WAIT_S):
        while len(await peer.calls(PATH, "AddAndActivateConnection2")) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # nothing tells of a call on the other side
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    await until(network, lambda status: status.access_point is not None)
    assert await network.known() == ()


async def test_an_access_point_that_is_lowered_lets_a_known_network_in(network: NetworkManagerNetwork) -> None:
    await network.connect(WifiJoin(ssid="Home", password="right-one"))
    await network.start_access_point()
    await network.stop_access_point()
    await until(network, is_online("Home"))


async def test_an_access_point_left_behind_by_a_program_that_died_is_replaced(
    network: NetworkManagerNetwork, peer: Peer
) -> None:
    await network.start_access_point()
    other = NetworkManagerNetwork(OWN, address=peer.address)
    await other.start_access_point()
    actives = [found[ACTIVE] for found in (await peer.objects()).values() if ACTIVE in found]
    assert [active["Uuid"] for active in actives] == [ACCESS_POINT_UUID]
    await other.close()


async def test_a_radio_that_is_off_is_switched_on(network: NetworkManagerNetwork, peer: Peer) -> None:
    await peer.mock("UpdateProperties", "sa{sv}", NM, {"WirelessEnabled": _variant("b", False)}, path=PATH)
    await network.connect(WifiJoin(ssid="Café"))
    assert await peer.bus.get(PATH, NM, "WirelessEnabled") is True


async def test_no_network_manager_is_said_and_not_raised(tmp_path: Path) -> None:
    async with system_bus(tmp_path) as address:
        for where in (address, f"unix:path={tmp_path}/nothing"):
            network = NetworkManagerNetwork(OWN, address=where)
            status = await network.status()
            assert not status.available
            assert status.message
            with pytest.raises(NetworkError) as caught:
                await network.scan()
            assert caught.value.code == "unavailable"
            await network.close()


async def test_a_network_manager_that_comes_and_goes(tmp_path: Path) -> None:
    async with system_bus(tmp_path) as address:
        network = NetworkManagerNetwork(OWN, address=address)
        assert not (await network.status()).available
        changed = asyncio.create_task(network.wait_changed())
        template = str(Path(__file__).parent / "networkmanager_template.py")
        async with mocked(address, "org.freedesktop.NetworkManager", "--template", template):
            async with asyncio.timeout(WAIT_S):
                await changed
            assert (await network.status()).available
        await until(network, lambda status: not status.available)
        await network.close()


async def test_a_bus_that_ends_is_said_and_found_again(tmp_path: Path) -> None:
    async with network_manager(tmp_path, {"Home": {}}) as peer:
        network = NetworkManagerNetwork(OWN, address=peer.address)
        assert (await network.status()).available
    async with asyncio.timeout(WAIT_S):
        while (await network.status()).available:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # its end takes a moment to be seen
    (tmp_path / "bus").unlink(missing_ok=True)
    async with network_manager(tmp_path, {"Home": {}}):
        assert [one.ssid for one in await network.scan()] == ["Home"]
        await network.close()


async def test_country_goes_to_wpa_supplicant(tmp_path: Path) -> None:
    name, path = "fi.w1.wpa_supplicant1", "/fi/w1/wpa_supplicant1"
    interface = f"{path}/Interfaces/0"
    async with system_bus(tmp_path) as address, mocked(address, name, name, path, name) as peer:
        await peer.mock(
            "AddMethod", "sssss", name, "GetInterface", "s", "o", f"ret = dbus.ObjectPath('{interface}')", path=path
        )
        await peer.mock(
            "AddObject",
            "ssa{sv}a(ssss)",
            interface,
            f"{name}.Interface",
            {"Country": _variant("s", "00")},
            [],
            path=path,
        )
        await set_regulatory_country("wlan0", "DE", address)
        bus = ServiceBus(name, address)
        await bus.connect()
        assert await bus.get(interface, f"{name}.Interface", "Country") == "DE"
        bus.close()
        with pytest.raises(NetworkError, match="two capitals"):
            await set_regulatory_country("wlan0", "de", address)


def test_signatures_are_those_of_network_manager() -> None:
    """Against the introspection files of Debian's network-manager-dev."""
    if not (INTROSPECTION / f"{NM}.xml").exists():
        message = "Debian packages are missing: network-manager-dev"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    for method in METHODS:
        [found] = _members(method.interface, "method", method.name)
        for direction, signature in (("in", method.takes), ("out", method.gives)):
            arguments = [one.get("type", "") for one in found.iter("arg") if one.get("direction", "in") == direction]
            assert "".join(arguments) == signature, method
    for (interface, name), signature in PROPERTIES.items():
        [found] = _members(interface, "property", name)
        assert found.get("type") == signature, (interface, name)
    for (interface, name), signature in SIGNALS.items():
        [found] = _members(interface, "signal", name)
        assert "".join(one.get("type", "") for one in found.iter("arg")) == signature, (interface, name)


def _members(interface: str, kind: str, name: str) -> list[ElementTree.Element]:
    tree = ElementTree.parse(INTROSPECTION / f"{interface}.xml")
    return [one for one in tree.iter(kind) if one.get("name") == name]


def _variant(signature: str, value: Any) -> Any:
    from dbus_fast import Variant

    return Variant(signature, value)
