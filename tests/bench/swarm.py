"""Thousands of hub clients in one process: a WebSocket client (RFC 6455) that does as little as it can."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import msgspec

Reply = dict[str, Any]
OnMessage = Callable[["SwarmClient", Reply], None]

_HANDSHAKE = (
    b"GET /hub/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_PING = b'{"type":"ping"'
_PATIENCE_S = 20.0
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_ids = itertools.count(1)


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A client's frame; the mask is zero, which is a mask as good as any to a server that is measured."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


class SwarmClient(asyncio.Protocol):
    """Answers pings; everything else goes to `on_message`, the reply to `ask` to its caller."""

    def __init__(self, user_id: str, on_message: OnMessage) -> None:
        self.user_id = user_id
        self.room = ""
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()
        self.close_code = 0
        self._on_message = on_message
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._asked: dict[int, asyncio.Future[Reply]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(_HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.open.done():
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            status = bytes(self._buffer[: self._buffer.find(b"\r\n")])
            del self._buffer[: end + 4]
            if b" 101 " not in status:
                self.open.set_exception(ConnectionRefusedError(status.decode()))
                return
            self.open.set_result(None)
        self._take_frames()

    def _take_frames(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            opcode, size, body = buffer[at] & 0x0F, buffer[at + 1], at + 2
            if size >= 126:
                wide = 2 if size == 126 else 8
                body += wide
                if len(buffer) < body:
                    break
                size = int.from_bytes(buffer[body - wide : body], "big")
            if len(buffer) < body + size:
                break
            payload = bytes(buffer[body : body + size])
            at = body + size
            if opcode == 1:
                self._take(payload)
            elif opcode == 8:
                self.close_code = int.from_bytes(payload[:2], "big")
                self.abort()
        del buffer[:at]

    def _take(self, payload: bytes) -> None:
        if payload.startswith(_PING):
            self.write(frame(payload.replace(b"ping", b"pong", 1)))
            return
        reply: Reply = _decode(payload)
        asked = self._asked.pop(reply.get("id", 0), None)
        if asked is None:
            self._on_message(self, reply)
        elif not asked.done():
            asked.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        if not self.open.done():
            self.open.set_exception(ConnectionResetError("closed in the handshake"))
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(ConnectionResetError("closed before the answer"))

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def send(self, **message: Any) -> None:
        self.write(frame(_encode(message)))

    def request(self, **message: Any) -> None:
        """A request whose reply goes to `on_message`."""
        self.send(id=next(_ids), **message)

    async def ask(self, **message: Any) -> Reply:
        """Raises RuntimeError for Error."""
        number = next(_ids)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        self.send(id=number, **message)
        async with asyncio.timeout(_PATIENCE_S):
            reply: Reply = await asked
        if reply["type"] == "error":
            raise RuntimeError(f"{self.user_id}: {reply}")
        return reply

    async def enter(self, room: str, **fields: Any) -> None:
        await self.ask(type="join", room=room, **fields)
        self.room = room

    async def logout(self) -> None:
        await self.ask(type="logout")
        await self.closed.wait()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def log_in(port: int, user_id: str, on_message: OnMessage, address: str = "127.0.0.1") -> SwarmClient:
    """From `address`, for a hub counts by it. Raises OSError or RuntimeError where it is not let in."""
    client = SwarmClient(user_id, on_message)
    await asyncio.get_running_loop().create_connection(lambda: client, "127.0.0.1", port, local_addr=(address, 0))
    async with asyncio.timeout(_PATIENCE_S):
        await client.open
    try:
        await client.ask(type="login", version=1, user_id=user_id)
    except BaseException:
        client.abort()
        raise
    return client
