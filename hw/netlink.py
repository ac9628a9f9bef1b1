"""What the kernel says about links, addresses and routes (rtnetlink(7)): a pure parser, and the socket it comes from.

    with netlink_socket() as kernel:
        async for changes in listen(kernel): ...

Source: linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h. Host byte order throughout.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

_NETLINK_ROUTE = 0
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE
_NEWLINK, _DELLINK, _NEWADDR, _DELADDR, _NEWROUTE, _DELROUTE = 16, 17, 20, 21, 24, 25
_HEADER = struct.Struct("=IHHII")  # length with this header, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # family, device type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # family, dst, src, tos, table, protocol, scope, type, flags
_ATTRIBUTE = struct.Struct("=HH")  # length with this header, type
_TYPE_MASK = 0x3FFF  # above it: nested, network byte order

_IFF_UP, _IFF_LOOPBACK, _IFF_RUNNING = 0x1, 0x8, 0x40
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_IFA_F_DADFAILED, _IFA_F_TENTATIVE = 0x08, 0x40
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_TABLE = 1, 4, 5, 15
_RT_TABLE_MAIN, _RTN_UNICAST = 254, 1

RECEIVE_BYTES = 64 * 1024


class NetlinkError(ValueError):
    """Bytes that are no rtnetlink messages."""


@dataclass(frozen=True, slots=True)
class LinkChange:
    """Interface `index` can carry packets, or cannot: no cable, no access point, switched off, gone."""

    index: int
    running: bool


@dataclass(frozen=True, slots=True)
class AddressChange:
    """`address` of interface `index` can be used, or cannot: removed, or still being checked for a double."""

    index: int
    address: str
    present: bool


@dataclass(frozen=True, slots=True)
class RouteChange:
    """A unicast route of the main table. `destination` as 10.0.0.0/8; `gateway` "" for none; `index` 0 for several."""

    destination: str
    gateway: str
    index: int
    present: bool


Change = LinkChange | AddressChange | RouteChange


def parse(datagram: bytes) -> list[Change]:
    """The changes in it, in order; loopback, other tables and other kinds of messages are left out.

    Raises `NetlinkError` when a length does not fit; then nothing of the datagram counts.
    """
    changes: list[Change] = []
    at = 0
    while at < len(datagram):
        if len(datagram) - at < _HEADER.size:
            raise NetlinkError(f"{len(datagram) - at} bytes are no message header")
        length, kind, _, _, _ = _HEADER.unpack_from(datagram, at)
        if not _HEADER.size <= length <= len(datagram) - at:
            raise NetlinkError(f"a message of {length} bytes in {len(datagram) - at}")
        change = _change(kind, datagram[at + _HEADER.size : at + length])
        if change is not None:
            changes.append(change)
        at += _aligned(length)
    return changes


def netlink_socket() -> socket.socket:
    """Subscribed to links, addresses and routes of this network namespace. Raises OSError where that is forbidden."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
    try:
        kernel.setblocking(False)
        kernel.bind((0, _GROUPS))
    except BaseException:
        kernel.close()
        raise
    return kernel


async def listen(kernel: socket.socket) -> AsyncIterator[list[Change]]:
    """Changes as they come, for ever. Raises OSError; ENOBUFS means that some were missed and one may go on."""
    loop = asyncio.get_running_loop()
    while True:
        data, (port, _) = await loop.sock_recvfrom(kernel, RECEIVE_BYTES)
        if port == 0:  # the kernel; any process may send to us
            yield parse(data)


def _change(kind: int, body: bytes) -> Change | None:
    if kind in (_NEWLINK, _DELLINK):
        _, _, index, flags, _ = _unpack(_LINK, body)
        if flags & _IFF_LOOPBACK:
            return None
        working = _IFF_UP | _IFF_RUNNING
        return LinkChange(index, kind == _NEWLINK and flags & working == working)
    if kind in (_NEWADDR, _DELADDR):
        return _address_change(kind == _NEWADDR, body)
    if kind in (_NEWROUTE, _DELROUTE):
        return _route_change(kind == _NEWROUTE, body)
    return None


def _address_change(is_new: bool, body: bytes) -> AddressChange | None:
    family, _, flags, _, index = _unpack(_ADDRESS, body)
    attributes = dict(_attributes(body[_ADDRESS.size :]))
    address = _address(family, attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS, b""))
    if address is None or address.is_loopback:
        return None
    if _IFA_FLAGS in attributes:
        flags = _number(attributes[_IFA_FLAGS])
    usable = not flags & (_IFA_F_TENTATIVE | _IFA_F_DADFAILED)
    return AddressChange(index, str(address), is_new and usable)


def _route_change(is_new: bool, body: bytes) -> RouteChange | None:
    family, prefix_length, _, _, table, _, _, kind, _ = _unpack(_ROUTE, body)
    attributes = dict(_attributes(body[_ROUTE.size :]))
    if _RTA_TABLE in attributes:
        table = _number(attributes[_RTA_TABLE])
    if table != _RT_TABLE_MAIN or kind != _RTN_UNICAST or family not in (socket.AF_INET, socket.AF_INET6):
        return None
    nowhere = "0.0.0.0" if family == socket.AF_INET else "::"
    destination = _address(family, attributes[_RTA_DST]) if _RTA_DST in attributes else nowhere
    gateway = _address(family, attributes[_RTA_GATEWAY]) if _RTA_GATEWAY in attributes else ""
    index = _number(attributes[_RTA_OIF]) if _RTA_OIF in attributes else 0
    return RouteChange(f"{destination}/{prefix_length}", str(gateway), index, is_new)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while len(data) - at >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= len(data) - at:
            raise NetlinkError(f"an attribute of {length} bytes in {len(data) - at}")
        yield kind & _TYPE_MASK, data[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)


def _address(family: int, data: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if family == socket.AF_INET and len(data) == 4:
        return ipaddress.IPv4Address(data)
    if family == socket.AF_INET6 and len(data) == 16:
        return ipaddress.IPv6Address(data)
    if family in (socket.AF_INET, socket.AF_INET6):
        raise NetlinkError(f"an address of {len(data)} bytes")
    return None


def _number(data: bytes) -> int:
    if len(data) != 4:
        raise NetlinkError(f"a number of {len(data)} bytes")
    value: int = struct.unpack("=I", data)[0]
    return value


def _unpack(layout: struct.Struct, body: bytes) -> tuple[int, ...]:
    if len(body) < layout.size:
        raise NetlinkError(f"a message body of {len(body)} bytes; it has at least {layout.size}")
    return layout.unpack_from(body)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
