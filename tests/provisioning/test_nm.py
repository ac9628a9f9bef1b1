"""What NetworkManager says and is told: the pure parts."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

import pytest
from dbus_fast import Message, Variant
from hypothesis import given
from hypothesis import strategies as st

from provisioning.network import AccessPoint, Security, StaticAddress, WifiJoin
from provisioning.nm_api import (
    ADD_AND_ACTIVATE,
    KEY_802_1X,
    KEY_OWE,
    KEY_OWE_TRANSITION,
    KEY_PSK,
    KEY_SAE,
    PATH,
    PRIVACY,
)
from provisioning.nm_bus import plain
from provisioning.nm_connect import failure
from provisioning.nm_scan import merge, security_of
from provisioning.nm_settings import (
    Profile,
    access_point_profile,
    ethernet_profile,
    known_ssid,
    wifi_profile,
)
from provisioning.nm_status import describe, devices

OWN = AccessPoint(ssid="Room appliance 0A1B", psk="0123456789ABCDEF", address="10.42.0.1")
STATIC = StaticAddress(address="192.168.1.20/24", gateway="192.168.1.1", dns=("192.168.1.1", "9.9.9.9"))


def marshalled(profile: Profile) -> bytes:
    """As it goes over the bus: fails where a value is not of its type."""
    body = [profile, "/", "/", {}]
    message = Message(path=PATH, member="x", interface="a.b", signature=ADD_AND_ACTIVATE.takes, body=body, serial=1)
    return bytes(message._marshall(False))


@pytest.mark.parametrize(
    ("flags", "keys", "security"),
    [
        (0, 0, "open"),
        (PRIVACY, 0, "unsupported"),  # WEP
        (PRIVACY, KEY_PSK, "wpa2"),
        (PRIVACY, KEY_PSK | KEY_SAE, "wpa2"),
        (PRIVACY, KEY_SAE, "wpa3"),
        (PRIVACY, KEY_802_1X, "unsupported"),
        (0, KEY_OWE_TRANSITION, "open"),
        (PRIVACY, KEY_OWE, "unsupported"),
    ],
)
def test_security(flags: int, keys: int, security: Security) -> None:
    assert security_of(flags, 0, keys) == security


def test_access_points_of_one_name_are_one_network() -> None:
    found = merge(
        [
            {"Ssid": b"Home", "Strength": 40, "Flags": PRIVACY, "RsnFlags": KEY_SAE},
            {"Ssid": b"Home", "Strength": 70, "Flags": PRIVACY, "RsnFlags": KEY_PSK},
            {"Ssid": b"Far", "Strength": 20},
            {"Ssid": b"", "Strength": 99},
            {"Ssid": b"\0\0\0", "Strength": 98},
            {"Ssid": OWN.ssid.encode(), "Strength": 97},
        ],
        {"Home"},
        "Home",
        OWN.ssid,
    )
    assert [(one.ssid, one.signal, one.security, one.known, one.in_use) for one in found] == [
        ("Home", 70, "wpa2", True, True),
        ("Far", 20, "open", False, False),
    ]


@given(
    st.lists(
        st.fixed_dictionaries(
            {"Ssid": st.binary(max_size=32), "Strength": st.integers(0, 255)},
            optional={name: st.integers(0, 2**32 - 1) for name in ("Flags", "WpaFlags", "RsnFlags")},
        )
    )
)
def test_any_access_points_are_merged(access_points: list[dict[str, Any]]) -> None:
    found = merge(access_points, (), None, None)
    assert len({one.ssid for one in found}) == len(found)
    assert [one.signal for one in found] == sorted((one.signal for one in found), reverse=True)
    assert all(0 <= one.signal <= 100 for one in found)


@pytest.mark.parametrize(
    ("security", "password", "key"),
    [
        ("wpa2", "long enough", "wpa-psk"),
        ("wpa3", "long enough", "sae"),
        (None, "long enough", "wpa-psk"),
        (None, "", None),
        ("open", "", None),
        ("open", "not needed", None),
    ],
)
def test_wifi_profile(security: Security | None, password: str, key: str | None) -> None:
    profile = wifi_profile(WifiJoin(ssid="\\xff", password=password, hidden=security is None), security)
    assert marshalled(profile)
    settings = plain(profile)
    assert settings["802-11-wireless"]["ssid"] == b"\xff"
    assert settings["802-11-wireless"]["hidden"] is (security is None)
    assert settings.get("802-11-wireless-security", {}).get("key-mgmt") == key
    assert known_ssid(settings) == "\\xff"
    assert settings["ipv4"]["method"] == settings["ipv6"]["method"] == "auto"


def test_static_addresses_of_both_versions() -> None:
    ipv4 = plain(wifi_profile(WifiJoin(ssid="Home", static=STATIC), "open"))
    assert ipv4["ipv6"]["method"] == "auto"
    assert ipv4["ipv4"]["address-data"] == [{"address": "192.168.1.20", "prefix": 24}]
    assert ipv4["ipv4"]["gateway"] == "192.168.1.1"
    servers = [str(ipaddress.IPv4Address(struct.pack("=I", number))) for number in ipv4["ipv4"]["dns"]]
    assert servers == ["192.168.1.1", "9.9.9.9"]
    six = StaticAddress(address="2001:db8::5/64", gateway="fe80::1", dns=("2001:db8::1", "9.9.9.9"))
    profile = ethernet_profile(six, "eth0")
    assert marshalled(profile)
    ipv6 = plain(profile)
    assert ipv6["ipv4"]["method"] == "auto"
    assert ipv6["ipv6"]["address-data"] == [{"address": "2001:db8::5", "prefix": 64}]
    assert ipv6["ipv6"]["dns"] == [ipaddress.ip_address("2001:db8::1").packed]
    assert ipv6["connection"]["interface-name"] == "eth0"


def test_access_point_profile_is_nobodys_known_network() -> None:
    profile = access_point_profile(OWN)
    assert marshalled(profile)
    settings = plain(profile)
    assert known_ssid(settings) is None
    assert settings["ipv4"] == {"method": "shared", "address-data": [{"address": "10.42.0.1", "prefix": 24}]}


@pytest.mark.parametrize(
    ("settings", "ssid"),
    [
        ({}, None),
        ({"802-3-ethernet": {}}, None),
        ({"802-11-wireless": {"ssid": b"Home"}}, "Home"),
        ({"802-11-wireless": {"ssid": b"Home"}, "connection": {"autoconnect": False}}, None),
        ({"802-11-wireless": {"ssid": b"Home", "mode": "adhoc"}}, None),
    ],
)
def test_known(settings: dict[str, dict[str, Any]], ssid: str | None) -> None:
    assert known_ssid(settings) == ssid


@pytest.mark.parametrize(
    ("device", "active", "has_password", "code"),
    [
        (7, 0, True, "bad-password"),
        (8, 0, True, "bad-password"),
        (0, 9, True, "bad-password"),
        (7, 0, False, "failed"),
        (5, 0, True, "no-address"),
        (17, 0, False, "no-address"),
        (0, 5, False, "no-address"),
        (53, 0, True, "not-found"),
        (11, 0, True, "timeout"),
        (0, 6, True, "timeout"),
        (39, 2, True, "failed"),
    ],
)
def test_failures(device: int, active: int, has_password: bool, code: str) -> None:
    error = failure(device, active, "Home", has_password=has_password)
    assert error.code == code
    assert "Home" in str(error)


NM = "org.freedesktop.NetworkManager"


def test_status_of_everything_network_manager_has() -> None:
    def device(kind: int, name: str, state: int, **more: str) -> dict[str, Any]:
        return {"DeviceType": kind, "Interface": name, "State": state, **more}

    objects = {
        PATH: {NM: {"Connectivity": 4}},
        "/d/1": {f"{NM}.Device": device(1, "eth0", 20), f"{NM}.Device.Wired": {}},
        "/d/2": {
            f"{NM}.Device": device(2, "wlan0", 100, Ip4Config="/4", Ip6Config="/6", ActiveConnection="/a"),
            f"{NM}.Device.Wireless": {"ActiveAccessPoint": "/ap"},
        },
        "/d/3": {f"{NM}.Device": device(2, "wlan1", 10), f"{NM}.Device.Wireless": {}},  # unmanaged
        "/d/4": {f"{NM}.Device": device(14, "lo", 100)},
        "/ap": {f"{NM}.AccessPoint": {"Ssid": b"Home", "Strength": 61}},
        "/4": {
            f"{NM}.IP4Config": {
                "AddressData": [{"address": "192.0.2.9", "prefix": 24}],
                "Gateway": "192.0.2.1",
                "NameserverData": [{"address": "192.0.2.1"}],
            }
        },
        "/6": {
            f"{NM}.IP6Config": {
                "AddressData": [{"address": "fe80::1", "prefix": 64}, {"address": "2001:db8::9", "prefix": 64}],
                "Nameservers": [ipaddress.ip_address("2001:db8::1").packed],
            }
        },
    }
    status = describe(objects, OWN)
    assert [(one.name, one.state) for one in status.interfaces] == [("eth0", "unavailable"), ("wlan0", "connected")]
    assert status.connectivity == "full"
    assert status.access_point is None
    wifi = status.connected("wifi")
    assert wifi is not None
    assert wifi.addresses == ("192.0.2.9/24", "2001:db8::9/64")
    assert wifi.dns == ("192.0.2.1", "2001:db8::1")
    assert (wifi.ssid, wifi.signal) == ("Home", 61)
    assert devices(objects, 2) == ["/d/2"]


def test_plain_takes_variants_away_at_any_depth() -> None:
    nested = {"a": Variant("a{sv}", {"b": Variant("as", ["c"])}), "d": (1, Variant("v", Variant("s", "e")))}
    assert plain(nested) == {"a": {"b": ["c"]}, "d": [1, "e"]}
