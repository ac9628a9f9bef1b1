"""The connections of the unit's port: how many there may be, and how slow one may be.

aiohttp waits for the first request of a connection as long as it takes, and asyncio counts no TLS handshakes, so both
are watched here: a connection counts from its acceptance, must finish its handshake and the head of its first request
in time, and must take what it is sent. Bodies have their limit at the door (`web_access`), later heads by aiohttp's
keep-alive time-out.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable

from provisioning.attempts import network_of

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 512  # of all addresses; a process has 1024 file descriptors
MAX_PER_ADDRESS = 128  # a browser has six, and one for each WebSocket and event stream; a whole office may be one
HANDSHAKE_S = 10.0
HEAD_S = 10.0
STALL_S = 30.0  # takes nothing of what it is sent
ACCEPT_AGAIN_S = 0.5  # after the system had no file descriptor left
_END_OF_HEAD = b"\r\n\r\n"


def allow_files(wanted: int) -> None:
    """So many file descriptors for this process, or as many as the system lets it have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Places:
    """How many connections there are; an IPv6 network counts as one address."""

    def __init__(self, most: int = MAX_CONNECTIONS, most_per_address: int = MAX_PER_ADDRESS) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._taken: Counter[str] = Counter()
        self.total = 0

    def enter(self, address: str) -> bool:
        name = network_of(address)
        if self.total >= self._most or self._taken[name] >= self._most_per_address:
            return False
        self._taken[name] += 1
        self.total += 1
        return True

    def leave(self, address: str) -> None:
        name = network_of(address)
        self.total -= 1
        self._taken[name] -= 1
        if not self._taken[name]:
            del self._taken[name]


class WatchedConnection(asyncio.Protocol):
    """Passes everything on to aiohttp's protocol, and ends a connection that is too slow."""

    def __init__(self, inner: asyncio.Protocol, on_lost: Callable[[], None]) -> None:
        self._inner = inner
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._head: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._tail = b""

    @property
    def is_made(self) -> bool:
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._head = asyncio.get_running_loop().call_later(HEAD_S, transport.abort)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            seen = self._tail + data
            self._tail = seen[-len(_END_OF_HEAD) + 1 :]
            if _END_OF_HEAD in seen:
                self._head.cancel()
                self._head = None
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._stall = asyncio.get_running_loop().call_later(STALL_S, self._transport.abort)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head, self._stall):
            if timer is not None:
                timer.cancel()
        self._on_lost()
        self._inner.connection_lost(exc)


async def accept(
    listening: socket.socket, tls: ssl.SSLContext | None, places: Places, inner: Callable[[], asyncio.Protocol]
) -> None:
    """Accept connections until cancelled; `inner` makes the protocol of each. `listening` is closed at the end."""
    loop = asyncio.get_running_loop()
    opening: set[asyncio.Task[None]] = set()
    listening.setblocking(False)
    try:
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError as exc:
                logger.warning("no connection can be accepted: %s", exc.strerror)
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            if not places.enter(address[0]):
                connection.close()
                continue
            task = asyncio.create_task(
                _open(connection, address[0], tls, places, inner), name=f"connection of {address[0]}"
            )
            opening.add(task)
            task.add_done_callback(opening.discard)
    finally:
        listening.close()
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)


async def _open(
    connection: socket.socket,
    address: str,
    tls: ssl.SSLContext | None,
    places: Places,
    inner: Callable[[], asyncio.Protocol],
) -> None:
    """Until the handshake is done."""
    watched = WatchedConnection(inner(), lambda: places.leave(address))
    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: watched, connection, ssl=tls, ssl_handshake_timeout=HANDSHAKE_S if tls is not None else None
        )
    except (OSError, TimeoutError) as exc:  # also ssl.SSLError
        logger.debug("a connection from %s came to nothing: %s", address, exc)
    finally:
        if not watched.is_made:
            connection.close()
            places.leave(address)
