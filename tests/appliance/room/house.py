"""A real hub behind a TCP proxy, and clients that write down every event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from appliance.events import Event
from appliance.hub.recordings import DIRECTORY as RECORDINGS
from appliance.hub.relay_layout import IMAGES
from appliance.hub.server import Hub
from appliance.hub.settings import HubSettings
from appliance.hub.tokens import TokenSigner
from appliance.room.client import RoomClient
from appliance.room.emitter import EVENTS
from appliance.room.events import ConnectionStateChanged
from appliance.room.options import RoomOptions
from provisioning.http_routes import add_routes
from tests.appliance.room.media import until
from tests.tcp_proxy import TcpProxy, tcp_proxy

SECRET = b"a secret of the tests, 32 bytes or more"
API_TOKEN = "the administrator's"
# Everything ten times as fast, where a test is not about the times themselves.
BRISK = RoomOptions(
    heartbeat_s=0.2,
    lost_after_s=1.0,
    reconnect_deadline_s=3.0,
    reconnect_delays_s=(0.05, 0.1, 0.2),
    attempt_timeout_s=1.0,
    return_grace_s=0.5,
    leave_timeout_s=1.0,
    quality_interval_s=0.2,
)
# The same where media keeps the machine so busy that a link may be silent for a while.
CALM = replace(BRISK, heartbeat_s=1.0, lost_after_s=8.0)

E = TypeVar("E", bound=Event)


class Guest:
    """A client, its url already chosen, and what it was told."""

    def __init__(self, client: RoomClient) -> None:
        self.client = client
        self.events: list[Event] = []
        for cls in EVENTS.values():
            client.on(cls, self.events.append)

    def of(self, cls: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, cls)]

    def names(self, *without: str) -> list[str]:
        """The hyphenated names, in order; a change of state as the new state; network quality and the
        login's state and those of streams left out.
        """
        skipped = {
            "network-quality",
            "room-network-quality",
            "active-speaker",
            "login-state-changed",
            "stream-connection-state-changed",
            *without,
        }
        return [
            str(event.cur_state) if isinstance(event, ConnectionStateChanged) else event.event_name
            for event in self.events
            if event.event_name not in skipped
        ]

    async def heard(self, cls: type[E], count: int = 1, timeout_s: float = 5.0) -> E:
        await until(lambda: len(self.of(cls)) >= count, timeout_s, f"{count} {cls.__name__}, have {self.names()}")
        return self.of(cls)[count - 1]

    async def state(self, state: str, timeout_s: float = 5.0) -> None:
        await until(lambda: self.client.connection_state == state, timeout_s, f"{state}, have {self.names()}")


class House:
    def __init__(
        self,
        stack: AsyncExitStack,
        settings: HubSettings,
        store_path: Path | None,
        logs_path: Path | None,
        state_path: Path | None,
    ) -> None:
        self.settings = settings
        self.store_path = store_path
        self.logs_path = logs_path
        self.state_path = state_path
        self.signer = TokenSigner(SECRET)
        self.proxy: TcpProxy
        self._stack = stack
        self._hub: Hub | None = None
        self._runner: web.AppRunner | None = None
        self.port = 0  # of the hub itself

    def guest(self, options: RoomOptions = BRISK, *, port: int | None = None, **keywords: Any) -> Guest:
        """A client that goes through the proxy, or to another `port`."""
        url = f"ws://127.0.0.1:{port if port is not None else self.proxy.port}/hub/ws"
        client = RoomClient(url, options=options, **keywords)
        self._stack.push_async_callback(client.destroy)
        return Guest(client)

    async def joined(self, user_id: str, *, room: str = "lobby", **keywords: Any) -> Guest:
        guest = self.guest(**keywords)
        await guest.client.join(room, user_id)
        return guest

    @property
    def hub(self) -> Hub:
        assert self._hub is not None
        return self._hub

    def token(self, user_id: str, room: str = "lobby", ttl_s: float = 60.0) -> str:
        return self.signer.sign(user_id, room, "host", "", ttl_s, time.time())

    async def admin(self, method: str, path: str) -> int:
        """The status of a request to the admin REST interface."""
        return (await self.asked(method, path))[0]

    async def asked(self, method: str, path: str) -> tuple[int, str]:
        """The same with the body."""
        url = f"http://127.0.0.1:{self.port}/admin{path}"
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers) as response:
            return response.status, await response.text(errors="replace")

    async def start(self) -> None:
        self._hub = Hub(
            self.settings,
            self.signer,
            is_api_token=lambda token: token == API_TOKEN,
            store_path=self.store_path,
            logs_path=self.logs_path,
            recordings_path=self.state_path / RECORDINGS if self.state_path is not None else None,
            images_path=self.state_path / IMAGES if self.state_path is not None else None,
        )
        application = web.Application()
        application.add_routes(self._hub.routes())
        add_routes(application, self._hub.api_routes())
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        await self._hub.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._hub is not None and self._runner is not None:
            await self._hub.close()
            await self._runner.cleanup()

    async def kill(self) -> None:
        """The hub dies without a word, as with SIGKILL."""
        await self.proxy.cut()
        await self.stop()

    async def revive(self) -> None:
        """A new hub at the old address: it knows nobody."""
        await self.start()
        self.proxy.target_port = self.port
        await self.proxy.restore()

    async def open(self) -> None:
        await self.start()
        self.proxy = await self._stack.enter_async_context(tcp_proxy(self.port))


@asynccontextmanager
async def house(
    *, store_path: Path | None = None, logs_path: Path | None = None, state_path: Path | None = None, **settings: Any
) -> AsyncIterator[House]:
    """`state_path`: where the relay's recordings and images are."""
    defaults: dict[str, Any] = {"secure": False, "heartbeat_s": 0.2, "lost_after_s": 1.0}
    async with AsyncExitStack() as stack:
        home = House(stack, HubSettings(**(defaults | settings)), store_path, logs_path, state_path)
        await home.open()
        stack.push_async_callback(home.stop)
        yield home


async def settled() -> None:
    """Some turns of the loop: what was due has happened."""
    for _ in range(5):
        await asyncio.sleep(0)
