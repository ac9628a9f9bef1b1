"""The sockets of ICE: read until they are empty, and media told from STUN and DTLS (RFC 7983 section 7).

asyncio takes one packet in each turn of the loop, in a new buffer of 256 KiB, and aiortc passes it through a queue to a
task that copies it three times: most of what it costs to receive. Here a picture's packets are read in one turn, into
one buffer, in which `MediaIn` decrypts them.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aioice.ice

MAX_DATAGRAM_BYTES = 1 << 16
AT_ONCE = 32  # datagrams; the others wait until all else has had its turn
_LAST_STUN_BYTE, _FIRST_MEDIA_BYTE, _LAST_MEDIA_BYTE = 3, 128, 191

buffer = bytearray(MAX_DATAGRAM_BYTES)  # of all sockets: nobody else runs between reading and taking
_view = memoryview(buffer)
_stock_connection_made = aioice.ice.StunProtocol.connection_made
_stock_datagram_received = aioice.ice.StunProtocol.datagram_received


def install() -> None:
    protocol: Any = aioice.ice.StunProtocol
    protocol.connection_made = _connection_made
    protocol.datagram_received = _datagram_received


def _connection_made(protocol: Any, transport: Any) -> None:
    _stock_connection_made(protocol, transport)
    # A relay has none. asyncio starts its own reader in the call that is next.
    if isinstance(getattr(transport, "_sock", None), socket.socket):
        asyncio.get_running_loop().call_soon(_read_from, protocol, transport)


def _read_from(protocol: Any, transport: Any) -> None:
    """In place of asyncio's reader; closing the transport takes it away."""
    read = transport._sock.recvfrom_into

    def ready() -> None:
        for _ in range(AT_ONCE):
            if transport.is_closing():
                return
            try:
                size, address = read(buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as exc:
                protocol.error_received(exc)
                return
            _take(protocol, size, address)

    if not transport.is_closing():
        transport._add_reader(transport._sock_fd, ready)


def _datagram_received(protocol: Any, data: bytes, address: tuple[Any, ...]) -> None:
    """From a relay."""
    size = min(len(data), MAX_DATAGRAM_BYTES)
    _view[:size] = data[:size]
    _take(protocol, size, address)


def _take(protocol: Any, size: int, address: tuple[Any, ...]) -> None:
    """The first `size` bytes of the buffer."""
    if not size:
        return
    first, agent = buffer[0], protocol.receiver
    if first <= _LAST_STUN_BYTE:
        _stock_datagram_received(protocol, bytes(_view[:size]), address)
        return
    if _FIRST_MEDIA_BYTE <= first <= _LAST_MEDIA_BYTE:
        take = getattr(agent, "media_in", None)
        if take is not None and take(size):
            return
    # aioice's parser would refuse each with an exception.
    agent.data_received(bytes(_view[:size]), protocol.local_candidate.component)
