"""The network: addresses, gateway, names, UDP, and the hub that is to be joined."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import ifaddr

from appliance.addresses import is_address
from appliance.config import Config
from appliance.doctor.finding import Fact, Finding
from appliance.doctor.hub import check_hub

TIMEOUT_S = 5.0
UDP_S = 1.0
_UDP_TRIES = 3
_REACHABLE = 0x2  # ATF_COM of net/if_arp.h: the address answered


@dataclass(frozen=True, slots=True)
class Gateway:
    """`is_silent`: it was asked for and did not answer."""

    interface: str
    address: str
    is_silent: bool


def check(config: Config) -> Iterator[Finding]:
    """Talks to what `config` names: the hub, name servers for its names, STUN and TURN servers; and to itself."""
    addresses = own_addresses()
    needs_network = not config.room.is_own
    yield judge_addresses(addresses, needs_network)
    yield judge_gateway(gateway(), needs_network)
    yield asyncio.run(check_names(names(config)))
    yield asyncio.run(check_udp([address for found in addresses.values() for address in found] or ["127.0.0.1"]))
    servers = [url for url in (*config.hub.ice_servers, *config.hub.turn_urls) if "tcp" not in url]
    if servers:
        yield asyncio.run(check_stun(servers))
    if needs_network:
        yield from asyncio.run(check_hub(config.room.url, config.room.fingerprint))
    else:
        yield Finding("hub", "skipped", "the unit's own")


def own_addresses() -> dict[str, list[str]]:
    """By interface, without loopback and link-local ones."""
    found: dict[str, list[str]] = {}
    for adapter in ifaddr.get_adapters():
        texts = [ip.ip if isinstance(ip.ip, str) else ip.ip[0] for ip in adapter.ips]
        useful = [text for text in texts if not _is_local(text)]
        if useful:
            found[adapter.nice_name] = useful
    return found


def judge_addresses(addresses: dict[str, list[str]], needed: bool) -> Finding:
    if addresses:
        words = "; ".join(f"{name} {', '.join(found)}" for name, found in addresses.items())
        return Finding("address", "ok", words, facts={"addresses": [a for found in addresses.values() for a in found]})
    remedy = "plug in the cable, or give it a Wi-Fi: the page of the unit, or nmcli device wifi connect SSID --ask"
    return Finding("address", "failed" if needed else "warning", "no network gave this machine an address", remedy)


def gateway(root: Path = Path("/")) -> Gateway | None:
    """The default route of IPv4, else of IPv6, and what the neighbor table says about the former."""
    for line in _lines(root / "proc/net/route")[1:]:
        words = line.split()
        if len(words) > 7 and words[1] == "00000000" and words[7] == "00000000" and words[2] != "00000000":
            with contextlib.suppress(ValueError):
                address = str(ipaddress.IPv4Address(int(words[2], 16).to_bytes(4, "little")))
                return Gateway(words[0], address, _is_silent(address, root))
    for line in _lines(root / "proc/net/ipv6_route"):
        words = line.split()
        if len(words) > 9 and words[0] == "0" * 32 and words[1] == "00" and words[4] != "0" * 32:
            with contextlib.suppress(ValueError):
                return Gateway(words[9], str(ipaddress.IPv6Address(bytes.fromhex(words[4]))), False)
    return None


def judge_gateway(found: Gateway | None, needed: bool) -> Finding:
    if found is None:
        remedy = "only its own network is in reach: is there a router, and does it give addresses (DHCP)?"
        return Finding("gateway", "warning" if needed else "ok", "no default route", remedy if needed else "")
    facts: dict[str, Fact] = {"address": found.address, "interface": found.interface}
    words = f"{found.address} on {found.interface}"
    if found.is_silent:
        return Finding("gateway", "warning", f"{words} does not answer", "look at the router and the cable", facts)
    return Finding("gateway", "ok", words, facts=facts)


def names(config: Config) -> list[str]:
    """Every host name, not address, that the configuration wants to reach."""
    urls = [config.room.url, config.mqtt.url, *config.hub.ice_servers, *config.hub.turn_urls]
    hosts = dict.fromkeys(host_port(url)[0] for url in urls if url and url != "hub:")
    return [host for host in hosts if host and not is_address(host)]


async def check_names(hosts: Sequence[str]) -> Finding:
    if not hosts:
        return Finding("names", "skipped", "the configuration names no other host")
    loop = asyncio.get_running_loop()
    lost, found = [], []
    for host in hosts:
        try:
            answers = await asyncio.wait_for(loop.getaddrinfo(host, None, type=socket.SOCK_STREAM), TIMEOUT_S)
            found.append(f"{host} = {answers[0][4][0]}")
        except (OSError, TimeoutError, UnicodeError) as exc:
            lost.append(f"{host}: {getattr(exc, 'strerror', None) or 'no answer'}")
    if lost:
        remedy = (
            "is the name right? Names ending in .local need mDNS (libnss-mdns); resolvectl status shows the servers"
        )
        return Finding("names", "failed", "; ".join(lost), remedy, {"lost": lost})
    return Finding("names", "ok", "; ".join(found))


async def check_udp(addresses: Sequence[str]) -> Finding:
    """A datagram from each own address to itself: what a firewall on this machine drops never reaches a call."""
    shut = [address for address in addresses if not await _answers(address, 0, b"room-appliance", echo=True)]
    if shut:
        remedy = "a firewall on this machine drops UDP: nft list ruleset; media needs UDP in and out"
        return Finding("udp", "failed", f"nothing comes through on {', '.join(shut)}", remedy, {"shut": shut})
    return Finding("udp", "ok", f"comes through on {', '.join(addresses)}")


async def check_stun(urls: Sequence[str]) -> Finding:
    """A STUN binding request (RFC 8489) to each STUN and TURN server over UDP."""
    from aioice import stun

    silent = []
    for url in urls:
        host, port = host_port(url)
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        if not await _answers(host, port or 3478, bytes(request)):
            silent.append(url)
    if silent:
        remedy = "does the server run, and does the network let UDP out? Other networks than this one may need it"
        return Finding("stun", "failed", f"no answer from {', '.join(silent)}", remedy, {"silent": silent})
    return Finding("stun", "ok", f"{', '.join(urls)} answer over UDP")


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str | None, int]) -> None:
        if not self.got.done():
            self.got.set_result(data)


async def _answers(host: str, port: int, data: bytes, *, echo: bool = False) -> bool:
    """Whether a datagram to `host` brings one back, or, with `echo`, comes back to the socket that sent it."""
    loop = asyncio.get_running_loop()
    local = (host, 0) if echo else None
    remote = None if echo else (host, port)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            transport, protocol = await loop.create_datagram_endpoint(_Datagrams, local, remote)
    except (OSError, TimeoutError):
        return False
    try:
        target = transport.get_extra_info("sockname") if echo else None
        deadline_s = time.monotonic() + UDP_S * _UDP_TRIES
        while time.monotonic() < deadline_s:
            transport.sendto(data, target)
            done, _ = await asyncio.wait([protocol.got], timeout=UDP_S)
            if done:
                return True
        return False
    finally:
        transport.close()


def host_port(url: str) -> tuple[str, int | None]:
    """Of ws:, mqtt:, stun: and turn: URLs."""
    rest = url if "//" in url else re.sub(r"^(\w+):", r"\1://", url)
    try:
        parts = urlsplit(rest)
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None


def _is_silent(address: str, root: Path) -> bool:
    """Asked for by ARP and without an answer; one that nobody asked for yet is not silent."""
    for line in _lines(root / "proc/net/arp")[1:]:
        words = line.split()
        if len(words) > 2 and words[0] == address:
            with contextlib.suppress(ValueError):
                return not int(words[2], 16) & _REACHABLE
    return False


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except (OSError, UnicodeError):
        return []


def _is_local(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    return address.is_loopback or address.is_link_local
