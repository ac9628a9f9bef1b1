"""What a person may ask the network for, checked before anything is touched; SSIDs as text and back.

An SSID is any 1 to 32 bytes (IEEE 802.11 9.4.2.2). As text it is UTF-8 where the bytes are that and can be shown on
one line; else each byte that cannot is `\\xNN`. `ssid_bytes(ssid_text(ssid)) == ssid`, whatever the bytes.
"""

from __future__ import annotations

import ipaddress
import re

from provisioning.network import MAX_SSID_BYTES, NetworkError, StaticAddress, WifiJoin

_ESCAPED = re.compile(rb"\\x([0-9a-fA-F]{2})")
_PSK_HEX = re.compile(r"^[0-9a-fA-F]{64}\Z")


def ssid_text(ssid: bytes) -> str:
    """Any bytes as text that can be shown on one line and sent as JSON."""
    try:
        text = ssid.decode("utf-8")
        if text.isprintable() and not _ESCAPED.search(ssid):
            return text
    except UnicodeDecodeError:
        pass
    return "".join(
        character if character.isprintable() and character != "\\" else _escaped(character)
        for character in ssid.decode("utf-8", "surrogateescape")
    )


def ssid_bytes(text: str) -> bytes:
    """The bytes that `ssid_text` made `text` of. Raises `NetworkError("invalid")` for what is no SSID."""
    try:
        ssid = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode("utf-8"))
    except UnicodeEncodeError as exc:
        raise NetworkError("invalid", "the network's name is no text", "ssid") from exc
    if not 1 <= len(ssid) <= MAX_SSID_BYTES:
        raise NetworkError("invalid", f"a network's name has 1 to {MAX_SSID_BYTES} bytes, not {len(ssid)}", "ssid")
    return ssid


def check_join(join: WifiJoin) -> None:
    """Raises `NetworkError("invalid")` that names the field for what no network can be joined with."""
    ssid_bytes(join.ssid)
    password = join.password
    is_length_good = 8 <= len(password.encode("utf-8", "replace")) <= 63 or _PSK_HEX.match(password)
    if password and not is_length_good:
        raise NetworkError("invalid", "a Wi-Fi password has 8 to 63 characters", "password")
    if not password.isprintable():
        raise NetworkError("invalid", "a Wi-Fi password has no control characters", "password")
    if join.static is not None:
        check_static(join.static)


def check_static(static: StaticAddress) -> None:
    """Raises `NetworkError("invalid")` that names the field."""
    try:
        interface = ipaddress.ip_interface(static.address)
    except ValueError as exc:
        raise NetworkError(
            "invalid", f"{static.address!r} is no address; 192.168.1.20/24 is", "static.address"
        ) from exc
    network = interface.network
    is_unit = not (interface.ip.is_unspecified or interface.ip.is_multicast or interface.ip.is_loopback)
    if "/" not in static.address or not is_unit:
        raise NetworkError("invalid", f"{static.address!r} is no unit's address; 192.168.1.20/24 is", "static.address")
    if interface.version == 4 and network.prefixlen < 31 and interface.ip in (network[0], network[-1]):
        raise NetworkError("invalid", f"{static.address!r} is the network's own address, no unit's", "static.address")
    if static.gateway:
        gateway = _address(static.gateway, "static.gateway")
        if gateway.version != interface.version or (gateway not in network and not gateway.is_link_local):
            raise NetworkError("invalid", f"{static.gateway} is not in the network {network}", "static.gateway")
        if gateway == interface.ip:
            raise NetworkError("invalid", "the gateway is another machine, not this unit", "static.gateway")
    for server in static.dns:
        _address(server, "static.dns")


def _address(text: str, field: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as exc:
        raise NetworkError("invalid", f"{text!r} is no IP address", field) from exc


def _escaped(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
