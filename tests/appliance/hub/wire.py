"""A real hub on a real port, a client that says exactly what it is told to, and a wire that goes dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from appliance.hub.server import Hub
from appliance.hub.settings import HubSettings
from appliance.hub.tokens import TokenSigner
from appliance.room.signaling import ClientMessage, HubMessage, decode_hub, encode
from appliance.room.signaling_login import LoggedIn, Login, Ping
from appliance.room.signaling_room import Join, Joined
from provisioning.http_routes import add_routes

SIGNER = TokenSigner(b"a secret of these tests, 32 bytes")
API_TOKEN = "api-token"
PATIENCE_S = 8.0  # for anything that must happen

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Served:
    hub: Hub
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Served]:
    """An open hub (secure=False unless told otherwise) on a free port."""
    hub = Hub(HubSettings(**{"secure": False, **settings}), SIGNER, is_api_token=lambda token: token == API_TOKEN)
    application = web.Application()
    application.add_routes(hub.routes())
    add_routes(application, hub.api_routes())
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await hub.start()
    try:
        yield Served(hub, runner.addresses[0][1])
    finally:
        await hub.close()
        await runner.cleanup()


class Client:
    """Reads into a queue, answers no ping unless `answers`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, answers: bool) -> None:
        self.socket = socket
        self.user_id = ""
        self.session = ""
        self.pings = 0
        self.close_code: int | None = None
        self._answers = answers
        self._heard: asyncio.Queue[HubMessage | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._read(), name="test-client")

    async def _read(self) -> None:
        async for frame in self.socket:
            message = decode_hub(frame.data)
            if isinstance(message, Ping):
                self.pings += 1
                if self._answers:
                    await self.socket.send_str(f'{{"type":"pong","t":{message.t}}}')
            else:
                self._heard.put_nowait(message)
        self.close_code = self.socket.close_code
        self._heard.put_nowait(None)

    async def send(self, message: ClientMessage | str | bytes) -> None:
        if isinstance(message, bytes):
            await self.socket.send_bytes(message)
        else:
            await self.socket.send_str(message if isinstance(message, str) else encode(message))

    async def next(self) -> HubMessage | None:
        """The next message but pings; None once the connection is closed."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._heard.get()

    async def expect(self, kind: type[M]) -> M:
        message = await self.next()
        assert isinstance(message, kind), message
        return message

    async def ask(self, message: ClientMessage | str | bytes, kind: type[M]) -> M:
        await self.send(message)
        return await self.expect(kind)

    async def closed(self) -> int | None:
        """Reads to the end; the close code."""
        while await self.next() is not None:
            pass
        return self.close_code

    async def login(self, user_id: str = "", **fields: Any) -> LoggedIn:
        logged_in = await self.ask(Login(id=1, user_id=user_id, **fields), LoggedIn)
        self.user_id, self.session = logged_in.user_id, logged_in.session
        return logged_in

    async def enter(self, user_id: str = "", room: str = "attic", **fields: Any) -> Joined:
        await self.login(user_id, **fields)
        return await self.ask(Join(id=2, room=room), Joined)

    async def nothing_heard(self) -> None:
        """A ping's round trip later, nothing else had come."""
        await self.send('{"type":"ping","t":12345}')
        message = await self.next()
        assert getattr(message, "t", None) == 12345, message

    async def close(self) -> None:
        await self.socket.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def client(port: int, *, answers: bool = True, headers: dict[str, str] | None = None) -> AsyncIterator[Client]:
    timeout = aiohttp.ClientWSTimeout(ws_close=0.5)
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(
            f"http://127.0.0.1:{port}/hub/ws", headers=headers, timeout=timeout, max_msg_size=2**22
        )
        one = Client(socket, answers)
        try:
            yield one
        finally:
            await one.close()


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something on the hub's side, which lives in this same loop and has no event for it."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class DeadWire:
    """A TCP relay to the hub that can stop carrying, both ways, without closing anything."""

    def __init__(self) -> None:
        self.port = 0
        self._carries = asyncio.Event()
        self._carries.set()

    def cut(self) -> None:
        self._carries.clear()

    @asynccontextmanager
    async def to(self, port: int) -> AsyncIterator[DeadWire]:
        tasks: set[asyncio.Task[None]] = set()
        writers: list[asyncio.StreamWriter] = []

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while data := await reader.read(65536):
                    await self._carries.wait()
                    writer.write(data)
                    await writer.drain()
            except OSError:
                pass

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            writers.extend((writer, far_writer))
            for one, other in ((reader, far_writer), (far_reader, writer)):
                task = asyncio.create_task(carry(one, other), name="dead-wire")
                tasks.add(task)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for writer in writers:
                writer.transport.abort()
            await server.wait_closed()
