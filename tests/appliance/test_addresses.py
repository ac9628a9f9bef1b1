"""Where people find the unit's pages."""

from __future__ import annotations

import pytest

from appliance.addresses import addresses_of, page_addresses
from provisioning.network import InterfaceStatus, NetworkStatus


@pytest.mark.parametrize(
    ("scheme", "port", "first"),
    [
        ("http", 8080, "http://kitchen.local:8080/"),
        ("http", 80, "http://kitchen.local/"),
        ("https", 443, "https://kitchen.local/"),
        ("https", 80, "https://kitchen.local:80/"),
    ],
)
def test_the_name_comes_first(scheme: str, port: int, first: str) -> None:
    assert page_addresses(scheme, port, "kitchen", ["192.168.1.20/24"])[0] == first


def test_only_addresses_that_others_can_use() -> None:
    addresses = ["192.168.1.20/24", "127.0.0.1/8", "169.254.3.4/16", "fe80::1/64", "fd00::7/64", "192.168.1.20/24"]
    assert page_addresses("http", 80, "", addresses) == ["http://192.168.1.20/", "http://[fd00::7]/"]


def test_of_interfaces_that_are_in_a_network() -> None:
    status = NetworkStatus(
        available=True,
        interfaces=(
            InterfaceStatus(name="wlan0", kind="wifi", state="connected", addresses=("fd00::7/64", "10.0.0.7/24")),
            InterfaceStatus(name="eth0", kind="ethernet", state="disconnected", addresses=("10.0.0.8/24",)),
        ),
    )
    assert addresses_of(status) == ["10.0.0.7/24", "fd00::7/64"]
