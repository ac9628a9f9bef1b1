from __future__ import annotations

import ipaddress
import socket
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.netlink import AddressChange, Change, LinkChange, NetlinkError, RouteChange, netlink_socket, parse

NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, DELROUTE = 16, 17, 20, 21, 24, 25


def message(kind: int, body: bytes) -> bytes:
    padded = body + b"\0" * (-len(body) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + padded


def attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def link(kind: int, index: int, flags: int) -> bytes:
    return message(kind, struct.pack("=BxHiII", 0, 1, index, flags, 0) + attribute(3, b"eth0\0"))


def address(kind: int, text: str, index: int = 2, flags: int = 0) -> bytes:
    ip = ipaddress.ip_address(text)
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    head = struct.pack("=BBBBI", family, 24, 0, 0, index)
    return message(kind, head + attribute(1, ip.packed) + attribute(8, struct.pack("=I", flags)))


def route(kind: int, destination: str, *, gateway: str = "", index: int = 2, table: int = 254, type_: int = 1) -> bytes:
    net = ipaddress.ip_network(destination)
    family = socket.AF_INET if net.version == 4 else socket.AF_INET6
    body = struct.pack("=BBBBBBBBI", family, net.prefixlen, 0, 0, table, 3, 0, type_, 0)
    if net.prefixlen:
        body += attribute(1, net.network_address.packed)
    if gateway:
        body += attribute(5, ipaddress.ip_address(gateway).packed)
    return message(kind, body + attribute(4, struct.pack("=I", index)))


@pytest.mark.parametrize(
    ("datagram", "changes"),
    [
        (link(NEWLINK, 2, 0x1 | 0x40), [LinkChange(2, True)]),
        (link(NEWLINK, 2, 0x1), [LinkChange(2, False)]),  # up, without a carrier
        (link(NEWLINK, 2, 0x40), [LinkChange(2, False)]),
        (link(DELLINK, 2, 0x1 | 0x40), [LinkChange(2, False)]),
        (link(NEWLINK, 1, 0x1 | 0x8 | 0x40), []),  # loopback
        (address(NEWADDR, "10.0.0.7"), [AddressChange(2, "10.0.0.7", True)]),
        (address(DELADDR, "10.0.0.7"), [AddressChange(2, "10.0.0.7", False)]),
        (address(NEWADDR, "fe80::1", flags=0x40), [AddressChange(2, "fe80::1", False)]),  # tentative
        (address(NEWADDR, "2001:db8::1"), [AddressChange(2, "2001:db8::1", True)]),
        (address(NEWADDR, "127.0.0.2"), []),
        (route(NEWROUTE, "0.0.0.0/0", gateway="10.0.0.1"), [RouteChange("0.0.0.0/0", "10.0.0.1", 2, True)]),
        (route(DELROUTE, "10.0.0.0/8"), [RouteChange("10.0.0.0/8", "", 2, False)]),
        (route(NEWROUTE, "::/0", gateway="fe80::1"), [RouteChange("::/0", "fe80::1", 2, True)]),
        (route(NEWROUTE, "10.0.0.7/32", table=255), []),  # the local table
        (route(NEWROUTE, "10.0.0.0/8", type_=7), []),  # unreachable
        (message(3, b""), []),  # NLMSG_DONE
        (b"", []),
    ],
)
def test_messages(datagram: bytes, changes: list[Change]) -> None:
    assert parse(datagram) == changes
    assert parse(datagram + link(NEWLINK, 9, 0)) == [*changes, LinkChange(9, False)]


@given(st.binary(max_size=200))
def test_any_bytes_are_changes_or_an_error(data: bytes) -> None:
    with suppress(NetlinkError):
        parse(data)


@given(st.sampled_from([NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, DELROUTE]), st.binary(max_size=80))
def test_any_body_is_a_change_or_an_error(kind: int, body: bytes) -> None:
    with suppress(NetlinkError):
        parse(message(kind, body))


@given(st.data())
def test_a_cut_message_is_an_error(data: st.DataObject) -> None:
    whole = route(NEWROUTE, "2001:db8::/32", gateway="fe80::1")
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(NetlinkError):
        parse(whole[:cut])


def test_the_kernel_lets_us_listen() -> None:
    with netlink_socket() as kernel:
        assert kernel.getsockname()[0] != 0
        with pytest.raises(BlockingIOError):
            kernel.recv(1)
