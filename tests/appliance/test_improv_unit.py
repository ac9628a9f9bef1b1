from __future__ import annotations

import time
from pathlib import Path

import pytest

from appliance.addresses import page_addresses
from appliance.config_store import ConfigStore
from appliance.improv_unit import ImprovOnUnit
from appliance.onboarding import Onboarding
from provisioning.claim import Claim, ClaimSecrets
from provisioning.hostname import MockHostname
from provisioning.mock_network import MockNetwork
from provisioning.network import NetworkError, NetworkStatus, WifiJoin
from tests.provisioning.improv_unit import quick

CLAIM = ClaimSecrets("4F7K2M9XB", "0123456789ABCDEF")
JOIN = WifiJoin(ssid="Living room", password="right password")


def unit_on(network: MockNetwork, directory: Path, *, is_claimed: bool = False) -> tuple[ImprovOnUnit, Claim]:
    claim = Claim(CLAIM, is_claimed=is_claimed)
    onboarding = Onboarding(network, claim, lambda _event: None, sleep=quick)
    store = ConfigStore(directory / "config.toml")
    pages = lambda addresses: page_addresses("https", 8080, "", addresses)  # noqa: E731
    return ImprovOnUnit(onboarding, claim, store, MockHostname(), pages), claim


async def test_page_with_the_claim_code_until_somebody_owns_the_unit(tmp_path: Path) -> None:
    unit, claim = unit_on(MockNetwork(sleep=quick), tmp_path)
    facts = await unit.facts()
    assert (facts.wifi, facts.ethernet, facts.provisioned, facts.urls) == (True, True, False, ())
    await unit.join(JOIN)
    facts = await unit.facts()
    assert facts.provisioned
    assert facts.urls == ("https://198.51.100.23:8080/setup#code=4F7-K2M-9XB",)
    claim.claimed()
    assert (await unit.facts()).urls == ("https://198.51.100.23:8080/",)
    claim.reopen(time.monotonic())
    assert "#code=" in (await unit.facts()).urls[0]


async def test_ethernet_is_online_without_wifi(tmp_path: Path) -> None:
    unit, _ = unit_on(MockNetwork(ethernet=True, sleep=quick), tmp_path, is_claimed=True)
    facts = await unit.facts()
    assert (facts.provisioned, facts.urls, facts.flags) == (False, ("https://192.0.2.10:8080/",), 7)


async def test_machine_whose_network_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = MockNetwork()

    async def status() -> NetworkStatus:
        return NetworkStatus(available=False, message="NetworkManager does not run here")

    monkeypatch.setattr(network, "status", status)
    monkeypatch.setattr("appliance.improv_unit.own_addresses", lambda: ("192.0.2.7", "2001:db8::7"))
    unit, _ = unit_on(network, tmp_path, is_claimed=True)
    facts = await unit.facts()
    assert (facts.wifi, facts.ethernet) == (False, True)
    assert facts.urls == ("https://192.0.2.7:8080/", "https://[2001:db8::7]:8080/")


async def test_joining_fails_as_the_network_says(tmp_path: Path) -> None:
    unit, _ = unit_on(MockNetwork(sleep=quick), tmp_path)
    with pytest.raises(NetworkError) as caught:
        await unit.join(WifiJoin(ssid="Living room", password="wrong password"))
    assert caught.value.code == "bad-password"
    assert (await unit.scan())[0].ssid == "Living room"


async def test_while_a_network_is_joined_nobody_looks_around(tmp_path: Path) -> None:
    network = MockNetwork(sleep=quick)
    claim = Claim(CLAIM, is_claimed=False)
    onboarding = Onboarding(network, claim, lambda _event: None, sleep=quick)
    unit = ImprovOnUnit(onboarding, claim, ConfigStore(tmp_path / "config.toml"), MockHostname(), list)
    onboarding.joining.start_join(JOIN)
    with pytest.raises(NetworkError, match="joining a network"):
        await unit.scan()
    await onboarding.joining.give_up()


async def test_name_is_a_setting(tmp_path: Path) -> None:
    unit, _ = unit_on(MockNetwork(), tmp_path)
    await unit.set_name("Front door")
    assert unit.name() == "Front door"
    assert "Front door" in (tmp_path / "config.toml").read_text()
    with pytest.raises(ValueError, match=r"device\.name"):
        await unit.set_name("")
    assert unit.name() == "Front door"


def test_what_a_client_shows(tmp_path: Path) -> None:
    unit, _ = unit_on(MockNetwork(), tmp_path)
    info = unit.info
    assert info.firmware == "room-appliance"
    assert info.version
    assert info.chip
    assert info.os_name
