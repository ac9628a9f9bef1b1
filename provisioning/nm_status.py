"""All of NetworkManager's objects, made into one `NetworkStatus`. Pure."""

from __future__ import annotations

import ipaddress
from typing import Literal

from provisioning.network import AccessPoint, Connectivity, InterfaceStatus, NetworkStatus
from provisioning.network_check import ssid_text
from provisioning.nm_api import (
    ACCESS_POINT,
    ACTIVE,
    CONNECTIVITY,
    DEVICE,
    DEVICE_ACTIVATED,
    DISCONNECTED,
    ETHERNET_TYPE,
    IP4_CONFIG,
    IP6_CONFIG,
    NM,
    PATH,
    PREPARE,
    UNAVAILABLE,
    WIFI_TYPE,
    WIRED,
    WIRELESS,
)
from provisioning.nm_bus import Objects, Properties
from provisioning.nm_settings import ACCESS_POINT_UUID

State = Literal["unavailable", "disconnected", "connecting", "connected"]


def devices(objects: Objects, kind: int) -> list[str]:
    """Paths of the devices of this NMDeviceType that NetworkManager looks after, by the names of their interfaces."""
    found = [
        path
        for path, interfaces in objects.items()
        if interfaces.get(DEVICE, {}).get("DeviceType") == kind
        and (WIRELESS if kind == WIFI_TYPE else WIRED) in interfaces
        and interfaces[DEVICE].get("State", 0) >= UNAVAILABLE
    ]
    return sorted(found, key=lambda path: str(objects[path][DEVICE].get("Interface", "")))


def own_active(objects: Objects) -> str | None:
    """Path of the active connection that is the own access point, coming up or up."""
    for path, interfaces in objects.items():
        active = interfaces.get(ACTIVE, {})
        if active.get("Uuid") == ACCESS_POINT_UUID and active.get("State", 0) in (1, 2):
            return path
    return None


def describe(objects: Objects, own: AccessPoint | None) -> NetworkStatus:
    """`own` is the access point that this program raised, if it did."""
    active = own_active(objects)
    interfaces = [
        _interface(objects, path, "ethernet" if kind == ETHERNET_TYPE else "wifi", active)
        for kind in (ETHERNET_TYPE, WIFI_TYPE)
        for path in devices(objects, kind)
    ]
    number = objects.get(PATH, {}).get(NM, {}).get("Connectivity", 0)
    connectivity: Connectivity = CONNECTIVITY[number] if number in range(len(CONNECTIVITY)) else "unknown"
    is_up = active is not None and objects[active][ACTIVE].get("State") == 2
    return NetworkStatus(
        available=True,
        interfaces=tuple(interfaces),
        connectivity=connectivity,
        access_point=own if is_up else None,
    )


def _interface(objects: Objects, path: str, kind: Literal["wifi", "ethernet"], own: str | None) -> InterfaceStatus:
    device = objects[path][DEVICE]
    name = str(device.get("Interface", ""))
    state = _state(device.get("State", 0))
    if own is not None and device.get("ActiveConnection") == own:
        state = "disconnected"  # from the networks of others
    if state != "connected":
        return InterfaceStatus(name=name, kind=kind, state=state)
    ip4 = objects.get(device.get("Ip4Config", ""), {}).get(IP4_CONFIG, {})
    ip6 = objects.get(device.get("Ip6Config", ""), {}).get(IP6_CONFIG, {})
    access_point = objects.get(objects[path].get(WIRELESS, {}).get("ActiveAccessPoint", ""), {}).get(ACCESS_POINT)
    return InterfaceStatus(
        name=name,
        kind=kind,
        state=state,
        addresses=tuple(_addresses(ip4) + _addresses(ip6)),
        gateway=str(ip4.get("Gateway") or ip6.get("Gateway") or ""),
        dns=tuple(
            [str(server["address"]) for server in ip4.get("NameserverData", []) if "address" in server]
            + [str(ipaddress.ip_address(bytes(server))) for server in ip6.get("Nameservers", [])]
        ),
        ssid=ssid_text(bytes(access_point["Ssid"])) if access_point and access_point.get("Ssid") else None,
        signal=int(access_point["Strength"]) if access_point and "Strength" in access_point else None,
    )


def _state(state: int) -> State:
    if state < DISCONNECTED:
        return "unavailable"
    if state == DEVICE_ACTIVATED:
        return "connected"
    return "connecting" if PREPARE <= state < DEVICE_ACTIVATED else "disconnected"


def _addresses(config: Properties) -> list[str]:
    """Global ones; a link-local one is no address to give to a person."""
    found = [f"{entry['address']}/{entry['prefix']}" for entry in config.get("AddressData", []) if "address" in entry]
    return [address for address in found if not ipaddress.ip_interface(address).is_link_local]
