"""NetworkManager's connection profiles, as they are made here. Pure.

Source: NetworkManager's `nm-settings-dbus` manual page.
"""

from __future__ import annotations

import ipaddress
import struct
import uuid
from collections.abc import Mapping
from typing import Any

from dbus_fast import Variant

from provisioning.network import AccessPoint, Security, StaticAddress, WifiJoin
from provisioning.network_check import ssid_bytes, ssid_text

Profile = dict[str, dict[str, Variant]]

WIFI = "802-11-wireless"
WIFI_SECURITY = "802-11-wireless-security"
ETHERNET = "802-3-ethernet"
ACCESS_POINT_UUID = str(uuid.uuid5(uuid.NAMESPACE_URL, "room-appliance:set-up-network"))
DHCP_S = 20  # a home router answers within 5 s; who waits at a phone for it does so for less than a minute
_FOREVER = 0  # connection.autoconnect-retries


def wifi_profile(join: WifiJoin, security: Security | None) -> Profile:
    """For joining. `security` is what the network offers; None when it cannot be seen (hidden).

    "wpa-psk" means WPA2 and WPA3 in one, SAE where both sides have it; "sae" is WPA3 alone.
    """
    profile: Profile = {
        "connection": {
            "id": Variant("s", join.ssid),
            "type": Variant("s", WIFI),
            "autoconnect": Variant("b", True),
            "autoconnect-retries": Variant("i", _FOREVER),  # a router may be away for an hour
        },
        WIFI: {
            "ssid": Variant("ay", ssid_bytes(join.ssid)),
            "mode": Variant("s", "infrastructure"),
            "hidden": Variant("b", join.hidden),
        },
        "ipv4": _ip(join.static, 4),
        "ipv6": _ip(join.static, 6),
    }
    if join.password and security != "open":
        profile[WIFI_SECURITY] = {
            "key-mgmt": Variant("s", "sae" if security == "wpa3" else "wpa-psk"),
            "psk": Variant("s", join.password),
        }
    return profile


def access_point_profile(own: AccessPoint) -> Profile:
    """The unit's own network: WPA2 on 2.4 GHz, which every phone can join; the unit gives out addresses and names."""
    address = ipaddress.ip_interface(f"{own.address}/24")
    return {
        "connection": {
            "id": Variant("s", own.ssid),
            "uuid": Variant("s", ACCESS_POINT_UUID),
            "type": Variant("s", WIFI),
            "autoconnect": Variant("b", False),
        },
        WIFI: {
            "ssid": Variant("ay", ssid_bytes(own.ssid)),
            "mode": Variant("s", "ap"),
            "band": Variant("s", "bg"),
        },
        WIFI_SECURITY: {
            "key-mgmt": Variant("s", "wpa-psk"),
            "proto": Variant("as", ["rsn"]),
            "pairwise": Variant("as", ["ccmp"]),
            "group": Variant("as", ["ccmp"]),
            "pmf": Variant("i", 1),  # off: the Pi's radio refuses some phones with it
            "psk": Variant("s", own.psk),
        },
        "ipv4": {
            "method": Variant("s", "shared"),
            "address-data": Variant("aa{sv}", [_address_data(address)]),
        },
        "ipv6": {"method": Variant("s", "disabled")},
    }


def ethernet_profile(static: StaticAddress | None, interface: str) -> Profile:
    return {
        "connection": {
            "id": Variant("s", f"Room appliance {interface}"),
            "type": Variant("s", ETHERNET),
            "interface-name": Variant("s", interface),
            "autoconnect": Variant("b", True),
            "autoconnect-priority": Variant("i", 10),  # before the profile that NetworkManager makes by itself
            "autoconnect-retries": Variant("i", _FOREVER),
        },
        ETHERNET: {},
        "ipv4": _ip(static, 4),
        "ipv6": _ip(static, 6),
    }


def known_ssid(settings: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The network that a saved profile (without its variants) joins by itself; None for any other profile."""
    wifi = settings.get(WIFI, {})
    connection = settings.get("connection", {})
    if wifi.get("mode", "infrastructure") != "infrastructure" or not connection.get("autoconnect", True):
        return None
    ssid = bytes(wifi.get("ssid", b""))
    return ssid_text(ssid) if ssid else None


def _ip(static: StaticAddress | None, version: int) -> dict[str, Variant]:
    interface = None if static is None else ipaddress.ip_interface(static.address)
    if static is None or interface is None or interface.version != version:
        automatic = {"method": Variant("s", "auto"), "dhcp-timeout": Variant("i", DHCP_S)}
        return automatic | ({"ra-timeout": Variant("i", DHCP_S)} if version == 6 else {})
    settings = {
        "method": Variant("s", "manual"),
        "address-data": Variant("aa{sv}", [_address_data(interface)]),
    }
    if static.gateway:
        settings["gateway"] = Variant("s", static.gateway)
    servers = [server for server in map(ipaddress.ip_address, static.dns) if server.version == version]
    if servers and version == 4:  # numbers in network byte order
        settings["dns"] = Variant("au", [struct.unpack("=I", server.packed)[0] for server in servers])
    elif servers:
        settings["dns"] = Variant("aay", [server.packed for server in servers])
    return settings


def _address_data(interface: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> dict[str, Variant]:
    return {"address": Variant("s", str(interface.ip)), "prefix": Variant("u", interface.network.prefixlen)}
