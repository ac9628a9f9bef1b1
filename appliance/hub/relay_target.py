"""Where a relay may push to: RTMP URLs and the hub's owner's list of hosts. Pure.

A host of a room chooses the URL and the hub connects to it, from inside its owner's network: so without the owner's
word only addresses of the public internet are connected to. The addresses are looked at after the name was resolved,
and the connection goes to the very address that was looked at.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from appliance.errors import InvalidArgumentError

PORTS = {"rtmp": 1935, "rtmps": 443}
EVERYWHERE = "*"
_VISIBLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Target:
    """`app` and `key` as RTMP's connect and publish say them; `shown`: the URL without the key."""

    secure: bool
    host: str
    port: int
    app: str
    key: str

    @property
    def tc_url(self) -> str:
        scheme = "rtmps" if self.secure else "rtmp"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[scheme] else f":{self.port}"
        return f"{scheme}://{host}{port}/{self.app}"

    @property
    def shown(self) -> str:
        return f"{self.tc_url}/..."


def parse_target(url: str) -> Target:
    """Raises `InvalidArgumentError` for what is no rtmp://HOST[:PORT]/APP/KEY or rtmps."""

    def bad(why: str) -> InvalidArgumentError:
        return InvalidArgumentError(f"stream_url: {why}; it looks like rtmp://HOST/APP/KEY")  # never the URL: its key

    if not _VISIBLE.fullmatch(url):
        raise bad("not of visible ASCII characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as exc:
        raise bad("its host or port is wrong") from exc
    if parts.scheme not in PORTS:
        raise bad(f"{parts.scheme[:16]!r} is neither rtmp nor rtmps")
    if parts.username is not None or parts.password is not None:
        raise bad("it has a user name in it")
    if not host or port == 0:
        raise bad("it has no host, or port 0")
    path = parts.path.lstrip("/")
    app, _, key = path.rpartition("/")
    if not app or not key:
        raise bad("an app and a key are needed")
    if parts.query:
        key += f"?{parts.query}"
    return Target(parts.scheme == "rtmps", host, port or PORTS[parts.scheme], app, key)


class Targets:
    """`hosts`: names, addresses and networks that the owner lists; "*": all there are. Empty: public addresses."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._all = False
        self._names: set[str] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for host in hosts:
            if host == EVERYWHERE:
                self._all = True
                continue
            try:
                self._networks.append(ipaddress.ip_network(host.strip("[]"), strict=False))
            except ValueError:
                self._names.add(host.lower().rstrip("."))

    def check(self, target: Target) -> None:
        """Before anything is resolved. Raises `InvalidArgumentError` for a host that no address could make good."""
        if not self._names and not self._networks:
            addresses = _addresses([target.host])
            if addresses and not self.allowed(target, [target.host]):
                raise InvalidArgumentError(f"stream_url: {target.host} is no address that this hub's owner lets it use")
        elif not self._all and not self._networks and target.host.lower().rstrip(".") not in self._names:
            raise InvalidArgumentError(f"stream_url: host {target.host!r} is not in the list of this hub's owner")

    def allowed(self, target: Target, resolved: Sequence[str]) -> list[str]:
        """Those of the `resolved` addresses that may be connected to, in their order."""
        if self._all or target.host.lower().rstrip(".") in self._names:
            return list(resolved)
        is_listed = bool(self._names or self._networks)
        return [
            str(address)
            for address in _addresses(resolved)
            if (any(address in network for network in self._networks) if is_listed else _is_public(address))
        ]


def _addresses(texts: Iterable[str]) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_address(text))
        except ValueError:
            continue
    return found


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Also of an IPv4 address that is wrapped in IPv6: by mapping, 6to4 or NAT64."""
    if isinstance(address, ipaddress.IPv6Address):
        nat64 = ipaddress.IPv6Network("64:ff9b::/96")
        inner = address.ipv4_mapped or address.sixtofour
        if address in nat64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast
