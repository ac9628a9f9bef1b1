"""From packets to a real socket, together and one by one."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pylibsrtp import Policy, Session

from appliance.media.rtp_port import MAX_PACKET_BYTES, MAX_PACKETS, Route, RtpPort

SO_NO_CHECK = 11  # asm-generic/socket.h
KEY = os.urandom(30)


class Wire:
    """A port that sends to a socket which decrypts."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.far.bind(("127.0.0.1", 0))
        self.far.settimeout(2)
        self.port = RtpPort()
        self.there = True
        self._session = Session(Policy(key=KEY, ssrc_type=Policy.SSRC_ANY_INBOUND))
        self._number = 0
        self.port.open(Session(Policy(key=KEY, ssrc_type=Policy.SSRC_ANY_OUTBOUND)), self._route)

    def _route(self) -> Route | None:
        return (self.transport, self.far.getsockname()) if self.there else None

    def put(self, payload: bytes) -> None:
        self.port.put(struct.pack("!BBHLL", 0x80, 96, self._number, 0, 7), payload)
        self._number += 1

    def read(self, count: int) -> list[bytes]:
        return [self._session.unprotect(self.far.recv(2048))[12:] for _ in range(count)]


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    wire = Wire(transport)
    yield wire
    wire.far.close()
    transport.close()


PAYLOADS = [b"small", *(bytes([n]) * 1100 for n in range(6)), b"rest", b"more"]


@pytest.mark.parametrize("cuts", [True, False])
async def test_what_is_put_arrives_whole_and_in_order(wire: Wire, cuts: bool) -> None:
    wire.port.cuts = cuts
    for payload in PAYLOADS:
        wire.put(payload)
    wire.port.flush()
    assert wire.read(len(PAYLOADS)) == PAYLOADS
    wire.put(b"one")
    wire.port.flush()
    assert wire.read(1) == [b"one"]
    assert (wire.port.packets, wire.port.refused, wire.port.cuts) == (len(PAYLOADS) + 1, 0, cuts)
    assert wire.port.bytes == sum(map(len, [*PAYLOADS, b"one"])) + (12 + 10) * (len(PAYLOADS) + 1)


async def test_a_key_frame_larger_than_the_memory_leaves_in_turns(wire: Wire) -> None:
    payloads = [b"%4d" % n * 20 for n in range(MAX_PACKETS * 2 + 3)]
    for payload in payloads:
        wire.put(payload)
    wire.port.flush()
    assert wire.read(len(payloads)) == payloads


async def test_a_kernel_that_does_not_cut_gets_packets_one_by_one(wire: Wire) -> None:
    wire.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    for _ in range(2):
        for payload in PAYLOADS:
            wire.put(payload)
        wire.port.flush()
        assert wire.read(len(PAYLOADS)) == PAYLOADS
        assert not wire.port.cuts


async def test_a_full_socket_keeps_the_order(wire: Wire) -> None:
    sock = wire.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    payloads = [b"%4d" % n * 250 for n in range(30)]
    for payload in payloads:
        wire.put(payload)
        if len(payload) % 3:
            wire.port.flush()
    wire.port.flush()
    await asyncio.sleep(0)
    received: list[bytes] = []
    while len(received) < len(payloads):
        received += wire.read(1)
        await asyncio.sleep(0)
    assert received == payloads


async def test_what_cannot_go_is_counted(wire: Wire) -> None:
    wire.there = False
    wire.put(b"nowhere")
    wire.port.flush()
    wire.there = True
    wire.put(bytes(MAX_PACKET_BYTES))
    wire.put(b"fits")
    wire.port.flush()
    assert wire.read(1) == [b"fits"]
    assert wire.port.refused == 2
    unopened = RtpPort()
    unopened.put(bytes(12), b"")
    unopened.flush()
    assert (unopened.refused, unopened.packets) == (1, 0)
