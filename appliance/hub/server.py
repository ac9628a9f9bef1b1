"""The hub's shell: HTTP routes and WebSockets round the pure `Rooms`. It moves bytes and reads clocks, nothing else.

hub = Hub(settings, TokenSigner(secret), is_api_token=...)
application.add_routes(hub.routes())
add_routes(application, hub.api_routes())
await hub.start() ... await hub.close()          # close before the runner's cleanup: it ends the WebSockets
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from appliance.errors import RtcError, TokenInvalidError
from appliance.hub.admin import Admin
from appliance.hub.connection import GOING_AWAY, Connection
from appliance.hub.log_store import LogStore
from appliance.hub.log_uploads import LogUploads
from appliance.hub.logins import GUEST_PREFIX
from appliance.hub.origins import is_loopback_host, is_same_origin
from appliance.hub.pages import Pages
from appliance.hub.recorder import Recorder
from appliance.hub.recordings import Recordings
from appliance.hub.relay import Relay
from appliance.hub.relay_target import Targets
from appliance.hub.rooms import Rooms
from appliance.hub.seat import Output, Send
from appliance.hub.settings import HubSettings
from appliance.hub.store import HubStore, StoreError
from appliance.hub.token_clock import TokenClock
from appliance.hub.tokens import Claims, TokenSigner, check
from appliance.hub.traffic import TrafficBook
from appliance.hub.turn import ice_servers
from appliance.room.bucket import TokenBucket
from appliance.room.signaling import ClientMessage, HubMessage, encode
from appliance.room.signaling_room import IceServer
from provisioning.http_routes import ApiRoute

logger = logging.getLogger(__name__)

MAX_REMEMBERED_ADDRESSES = 1024
RETRY_AFTER_S = 5  # said to who is not taken in: too many, too often, or the hub is going away
LATEST_S = 60.0  # the clock looks at least so often


class Hub:
    """One room server. `is_api_token` opens /admin; without it there is no /admin."""

    def __init__(
        self,
        settings: HubSettings,
        signer: TokenSigner,
        *,
        is_api_token: Callable[[str], bool] | None = None,
        store_path: Path | None = None,
        logs_path: Path | None = None,
        recordings_path: Path | None = None,
        images_path: Path | None = None,
        prepare_media: Callable[[], None] = lambda: None,
    ) -> None:
        """`store_path`: where it remembers bans, messages, missed calls and rooms over its restarts; None: nowhere.
        `logs_path`: a directory for the logs that clients upload; None: it takes none. `recordings_path` and
        `images_path`: directories of the relay. `prepare_media` is called in a thread, before its first media leg.
        """
        self.id = secrets.token_urlsafe(12)  # changes with each start: clients tell a new hub from a lost link
        if recordings_path is None:
            settings = replace(settings, recordings_bytes=0)

        def servers_for(user_id: str) -> tuple[IceServer, ...]:
            turn = settings.turn_urls, settings.turn_secret
            return ice_servers(settings.stun_urls, *turn, user_id, settings.turn_ttl_s, time.time())

        self.rooms = Rooms(settings, self.id, self._verify, ice_servers=servers_for)
        self._token_clock = TokenClock(time.time(), time.monotonic())
        self._settings = settings
        self._signer = signer
        self._logs = LogUploads(
            LogStore(logs_path) if logs_path is not None else None, self._verify, secure=settings.secure
        )
        self._recordings = (
            Recordings(recordings_path, settings.recordings_bytes, settings.recordings_age_s)
            if recordings_path is not None and settings.recordings_bytes
            else None
        )
        self._relay = Relay(
            self.rooms.relay,
            self._perform,
            Targets(settings.relay_hosts),
            ice_servers=servers_for,
            recordings=self._recordings,
            images=images_path,
            prepare=prepare_media,
        )
        self._admin = (
            Admin(self.rooms, settings.room_capacity, is_api_token, self._perform, self._logs, self._recordings)
            if is_api_token is not None
            else None
        )
        self._pages: Pages | None = None
        self._connections: dict[int, Connection] = {}
        self._addresses: Counter[str] = Counter()
        self._arrivals: dict[str, TokenBucket] = {}  # by address, the latest last
        self._traffic_book = TrafficBook(settings)
        self._last_number = 0
        self._store_path = store_path
        self._store: HubStore | None = None
        self._recorder: Recorder
        self._clock: asyncio.Task[None] | None = None
        self._wakes_s = 0.0  # when the clock looks next, monotonic
        self._wake = asyncio.Event()  # for the clock: sooner than that
        self._emptied = asyncio.Event()  # no connection is left
        self._closing = False

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/hub/ws", self._websocket),
            web.get("/join/{room}", self._page),
            web.get("/hub/static/{name}", self._file),
            *([web.get("/hub/token", self._token)] if self._settings.demo_tokens else []),
        ]

    def api_routes(self) -> list[ApiRoute]:
        """Logs and the administrator's: register them with `provisioning.http_routes.add_routes`."""
        return [self._logs.route(), *(self._admin.routes() if self._admin is not None else [])]

    async def start(self) -> None:
        self._pages = await asyncio.to_thread(Pages)
        if self._store_path is not None:
            try:
                self._store = await HubStore.open(self._store_path)
                self.rooms.restore(await self._store.load(), time.monotonic())
            except StoreError as exc:
                logger.error("the hub remembers nothing over its restarts: %s", exc)
        self._recorder = Recorder(self._store, self._send)
        self._clock = asyncio.create_task(self._tick(), name="hub-clock")
        self._relay.start()

    async def close(self) -> None:
        """Close every connection (1001), free everything; idempotent. Members come back to the next hub alone."""
        self._closing = True
        await self._relay.close()
        for connection in self._connections.values():
            connection.close(GOING_AWAY, "the hub is going away")
        if self._connections:
            self._emptied.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(2 * self._settings.close_timeout_s):
                    await self._emptied.wait()
        for connection in self._connections.values():
            connection.cut("the hub is going away")
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.gather(self._clock, return_exceptions=True)
            await self._recorder.close()
        if self._store is not None:
            await self._store.close()
            self._store = None

    # --- WebSockets

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if not is_same_origin(request):
            raise web.HTTPForbidden(text="pages of other sites may not use this hub")
        address = request.remote or ""
        settings = self._settings
        if self._closing or len(self._connections) >= settings.max_connections:
            raise web.HTTPServiceUnavailable(text="too many connections", headers={"Retry-After": str(RETRY_AFTER_S)})
        if self._addresses[address] >= settings.max_connections_per_address:
            raise web.HTTPTooManyRequests(
                text="too many connections from your address", headers={"Retry-After": str(RETRY_AFTER_S)}
            )
        if not self._may_arrive(address):
            raise web.HTTPTooManyRequests(
                text="too many new connections from your address", headers={"Retry-After": str(RETRY_AFTER_S)}
            )
        self._last_number += 1
        number = self._last_number
        connection = Connection(number, settings, self._traffic_book, self._receive)
        self._connections[number] = connection
        self._addresses[address] += 1
        self._perform(lambda now_s: self.rooms.connect(number, now_s))
        try:
            return await connection.run(request)
        finally:
            del self._connections[number]
            if not self._connections:
                self._emptied.set()
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
            self._perform(lambda now_s: self._lost(connection, now_s))

    def _lost(self, connection: Connection, now_s: float) -> list[Output]:
        return self.rooms.link_lost(
            connection.number, now_s, went_away=connection.went_away, heard_s=connection.heard_s
        )

    def _may_arrive(self, address: str) -> bool:
        now_s = time.monotonic()
        arrivals = self._arrivals.pop(address, None)
        if arrivals is None:
            arrivals = TokenBucket(self._settings.arrivals_per_s, self._settings.arrival_burst, now_s)
        self._arrivals[address] = arrivals
        if len(self._arrivals) > MAX_REMEMBERED_ADDRESSES:
            del self._arrivals[next(iter(self._arrivals))]
        return arrivals.take(1, now_s)

    def _receive(self, number: int, message: ClientMessage) -> None:
        self._perform(lambda now_s: self.rooms.receive(number, message, now_s))

    def _perform(self, change: Callable[[float], list[Output]]) -> asyncio.Future[None]:
        """Make a change now and send what it causes; done when what must be remembered of it is on the disk."""
        done = self._apply(change(time.monotonic()))
        deadline_s = self.rooms.next_deadline_s()
        if deadline_s is not None and deadline_s < self._wakes_s:
            self._wake.set()
        return done

    def _apply(self, outputs: list[Output]) -> asyncio.Future[None]:
        at_once: list[Output] = []
        durable: list[Output] = []
        for output in outputs:
            (durable if isinstance(output, Send) and output.durable else at_once).append(output)
        self._send(at_once)
        changes = list(self.rooms.changes)
        self.rooms.changes.clear()
        return self._recorder.record(changes, durable)

    def _send(self, outputs: list[Output]) -> None:
        last: tuple[HubMessage, str] | None = None
        for output in outputs:
            if output.connection < 0 and isinstance(output, Send):
                self._relay.deliver(output.connection, output.message)
                continue
            connection = self._connections.get(output.connection)
            if connection is None:
                continue
            if isinstance(output, Send):
                if last is None or last[0] is not output.message:  # one change goes to many: encode it once
                    last = (output.message, encode(output.message))
                connection.send(*last)
            else:
                connection.close(output.code, output.reason)

    async def _tick(self) -> None:
        while True:
            now_s = time.monotonic()
            self._token_clock.look(time.time(), now_s)
            self._apply(self.rooms.expire(now_s))
            self._wake.clear()
            deadline_s = self.rooms.next_deadline_s()
            self._wakes_s = now_s + LATEST_S if deadline_s is None else min(now_s + LATEST_S, deadline_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._wakes_s - now_s)):
                    await self._wake.wait()

    # --- pages and tokens

    def _verify(self, token: str) -> Claims:
        now_s = time.time()
        claims = self._token_clock.today(self._signer.read(token, now_s), now_s, time.monotonic())
        check(claims, now_s)
        return claims

    async def _page(self, request: web.Request) -> web.Response:
        if self._pages is None:
            raise web.HTTPServiceUnavailable
        return await self._pages.room(request)

    async def _file(self, request: web.Request) -> web.Response:
        if self._pages is None:
            raise web.HTTPServiceUnavailable
        return await self._pages.file(request)

    async def _token(self, request: web.Request) -> web.Response:
        """`GET /hub/token?room=R&name=N`, in the demo only: {"token", "user_id"} for a page of this very machine, whose
        owner it is: a moderator. With a good token as Bearer the new one is for the same guest.
        """
        if not (is_same_origin(request) and is_loopback_host(request.host)):
            raise web.HTTPForbidden(text="tokens are for pages of this machine only")
        user_id = GUEST_PREFIX + secrets.token_hex(4)
        room, name = request.query.get("room", ""), request.query.get("name", "")
        _, _, old = request.headers.get("Authorization", "").partition("Bearer ")
        try:
            if old:
                claims = self._verify(old)
                if not claims.sub.startswith(GUEST_PREFIX):
                    raise TokenInvalidError(f"this token is for {claims.sub!r}, who is no guest of this page")
                user_id, room = claims.sub, claims.room
            token = self._signer.sign(
                user_id, room, "host", name, self._settings.token_ttl_s, time.time(), moderator=True
            )
        except RtcError as exc:
            return web.json_response({"error": {"code": exc.code, "message": exc.message}}, status=400)
        return web.json_response({"token": token, "user_id": user_id}, headers={"Cache-Control": "no-store"})
