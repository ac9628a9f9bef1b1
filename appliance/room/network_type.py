"""Over what the media goes: the kind of interface that has the legs' own address."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import ifaddr

from appliance.room.statistics import NetworkType

_INTERFACES = Path("/sys/class/net")


def network_type(addresses: Iterable[str | None], interfaces: Path = _INTERFACES) -> NetworkType:
    """Of the first address that an interface has; "other" for tunnels, bridges and the loopback."""
    known = {
        address.ip if isinstance(address.ip, str) else address.ip[0]: str(adapter.name)
        for adapter in ifaddr.get_adapters()
        for address in adapter.ips
    }
    name = next((known[address] for address in addresses if address in known), None)
    if name is None:
        return "unknown"
    if (interfaces / name / "wireless").exists() or (interfaces / name / "phy80211").exists():
        return "wifi"
    return "ethernet" if (interfaces / name / "device").exists() else "other"
