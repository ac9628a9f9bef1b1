"""IP addresses in words, and where the pages of this unit are: by its name on the local network and by them. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from provisioning.network import NetworkStatus

EVERYWHERE = frozenset({"0.0.0.0", "::"})  # a server that listens there is found at every address
_PORTS = {"http": 80, "https": 443}


def is_address(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address, and no name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def page_addresses(scheme: str, port: int, host_name: str, addresses: Iterable[str]) -> list[str]:
    """`http://NAME.local:8080/` first, then one for each address that others can use; addresses may carry a prefix
    length. Without a `host_name` the addresses alone."""
    hosts = [f"{host_name}.local"] if host_name else []
    for text in addresses:
        address = ipaddress.ip_interface(text).ip
        if not (address.is_loopback or address.is_link_local or address.is_unspecified):
            hosts.append(str(address) if address.version == 4 else f"[{address}]")
    ending = "" if _PORTS.get(scheme) == port else f":{port}"
    return [f"{scheme}://{host}{ending}/" for host in dict.fromkeys(hosts)]


def addresses_of(status: NetworkStatus) -> list[str]:
    """Of every interface that is in somebody's network, IPv4 before IPv6."""
    found = [
        address for interface in status.interfaces if interface.state == "connected" for address in interface.addresses
    ]
    return sorted(found, key=lambda text: ":" in text)
