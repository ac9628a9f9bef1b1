"""One WebSocket to the hub: requests and their replies, pushed messages in order, heartbeats, loss.

Contract:
- `on_lost(link, why)` is called once, when the other side closes, the connection breaks or nothing was heard for
  `lost_after_s`; never after `close()`. Requests under way then fail with `LinkLostError`.
- Pushed messages wait until `deliver` names their reader, so that none overtakes the Joined they follow. What waits,
  out or in, is bounded: a link that cannot keep up is a lost one.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import aiohttp

from appliance.errors import InvalidArgumentError, RtcError, RtcErrorCode, rtc_error
from appliance.room.backoff import Heartbeat
from appliance.room.options import RoomOptions
from appliance.room.signaling import MAX_MESSAGE_BYTES, ClientMessage, HubMessage, decode_hub, encode
from appliance.room.signaling_login import (
    Error,
    LoggedIn,
    MissedInvitations,
    Ok,
    PeerMessageSent,
    Ping,
    Pong,
    TokenRenewed,
)
from appliance.room.signaling_room import Joined, Kicked, RoomClosed

logger = logging.getLogger(__name__)

HUB_PATH = "/hub/ws"
MAX_WAITING = 256  # messages, each way
MAX_RETRY_AFTER_S = 3600.0  # no hub says to stay away for longer, or nobody would ever notice that it is back
CLOSE_TIMEOUT_S = 1.0  # for the closing handshake, before the socket is cut

R = TypeVar("R")


class LinkLostError(Exception):
    """The link is gone or never was there; the message says why. `refused`: the host answered, but no hub listens, or
    it takes nobody for now and wants to be left alone for `retry_after_s`.
    """

    def __init__(self, message: str, *, refused: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.refused = refused
        self.retry_after_s = retry_after_s


class Link:
    """Made by `Link.open`; ended by `close`, which its owner awaits also after a loss."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse,
        options: RoomOptions,
        on_lost: Callable[[Link, str], None],
    ) -> None:
        self._session = session
        self._socket = socket
        self._on_lost = on_lost
        self._reader: Callable[[HubMessage], None] | None = None
        self._pushed: list[HubMessage] = []
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)
        self._replies: dict[int, asyncio.Future[HubMessage]] = {}
        self._awaits_resync = False
        self._resync: asyncio.Future[Joined | Kicked | RoomClosed] = asyncio.get_running_loop().create_future()
        self._last_id = 0
        self._lost: str | None = None
        self._heartbeat = Heartbeat(time.monotonic(), options.heartbeat_s, options.lost_after_s)
        self._tasks = [
            asyncio.create_task(self._read(), name="room-link-read"),
            asyncio.create_task(self._write(), name="room-link-write"),
            asyncio.create_task(self._beat(), name="room-link-heartbeat"),
        ]

    @classmethod
    async def open(cls, url: str, options: RoomOptions, on_lost: Callable[[Link, str], None]) -> Link:
        """Connect to `url` (ws:// or wss://; a bare HOST:PORT means the hub there). Raises `LinkLostError`; the
        caller's time-out bounds it."""
        if re.fullmatch(r"wss?://[^/]+/?", url):
            url = url.rstrip("/") + HUB_PATH
        session = aiohttp.ClientSession()
        try:
            socket = await session.ws_connect(
                url,
                autoping=True,
                max_msg_size=MAX_MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                ssl=options.ssl if options.ssl is not None else True,
            )
        except BaseException as exc:
            await session.close()
            if isinstance(exc, aiohttp.ClientError | OSError | ValueError):
                refused = isinstance(exc, aiohttp.WSServerHandshakeError) or (
                    isinstance(exc, aiohttp.ClientConnectorError) and isinstance(exc.os_error, ConnectionRefusedError)
                )
                message = f"cannot reach {url}: {_words(exc)}"
                raise LinkLostError(message, refused=refused, retry_after_s=_retry_after_s(exc)) from exc
            raise
        return cls(session, socket, options, on_lost)

    @property
    def is_lost(self) -> bool:
        return self._lost is not None

    async def request(self, make: Callable[[int], ClientMessage], reply: type[R], timeout_s: float) -> R:
        """Send the message that `make` builds with a fresh id and wait for its reply.

        Raises the `RtcError` that the hub answers with, `TimeoutError`, `LinkLostError`.
        """
        self._last_id += 1
        request_id = self._last_id
        answer: asyncio.Future[HubMessage] = asyncio.get_running_loop().create_future()
        self._replies[request_id] = answer
        try:
            self.send(make(request_id))
            async with asyncio.timeout(timeout_s):
                message = await answer
        finally:
            self._replies.pop(request_id, None)
        if isinstance(message, Error):
            if message.code == RtcErrorCode.MESSAGE_MALFORMED:  # we wrote it, out of what our caller gave
                raise InvalidArgumentError(message.message)
            raise rtc_error(message.code, message.message)
        if not isinstance(message, reply):
            raise RtcError(f"the hub answered {type(message).__name__}, not {reply.__name__}")
        return message

    async def resync(self, timeout_s: float) -> Joined | Kicked | RoomClosed:
        """What follows the login that resumed a seat in a room: Joined with id 0, or why the seat is no longer in it.

        Raises `TimeoutError`, `LinkLostError`.
        """
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self._resync)

    def send(self, message: ClientMessage) -> None:
        """Queue `message`. Raises `LinkLostError` when the link is lost, `InvalidArgumentError` for what is no text."""
        if self._lost is not None:
            raise LinkLostError(self._lost)
        try:
            text = encode(message)
        except UnicodeEncodeError as exc:
            raise InvalidArgumentError(f"no text: {exc.reason} at {exc.start}") from exc
        try:
            self._outgoing.put_nowait(text)
        except asyncio.QueueFull:
            self._lose(f"{MAX_WAITING} messages wait to be sent")
            raise LinkLostError(f"{MAX_WAITING} messages wait to be sent") from None

    def deliver(self, reader: Callable[[HubMessage], None]) -> None:
        """Hand every pushed message to `reader`: those that waited at once, the others as they come."""
        self._reader = reader
        waiting, self._pushed = self._pushed, []
        for message in waiting:
            reader(message)

    def lose_address(self, gone: frozenset[str]) -> None:
        """Lost when it starts at an address of `gone`, which answers will not reach."""
        address = self._socket.get_extra_info("sockname")
        if address is not None and address[0] in gone:
            self._lose(f"the address {address[0]} is gone")

    async def close(self) -> None:
        """End the link; idempotent. What was queued is sent first, unless the link is lost."""
        patience_s = CLOSE_TIMEOUT_S if self._lost is None else 0.0
        self._lost = self._lost or "closed"
        self._fail_requests()
        try:
            async with asyncio.timeout(patience_s):
                await self._outgoing.join()
        except TimeoutError:
            pass  # what waits can't be sent
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            try:
                async with asyncio.timeout(patience_s):
                    await self._socket.close()
            except (TimeoutError, aiohttp.ClientError, OSError):
                pass  # nobody shakes hands: the session cuts it
            finally:
                await self._session.close()

    def _lose(self, why: str) -> None:
        if self._lost is not None:
            return
        self._lost = why
        self._fail_requests()
        self._on_lost(self, why)

    def _fail_requests(self) -> None:
        waiting: list[asyncio.Future[Any]] = [*self._replies.values(), self._resync]
        for answer in waiting:
            if not answer.done():
                answer.set_exception(LinkLostError(self._lost or "closed"))
                answer.exception()  # read: nobody may be waiting any more

    async def _read(self) -> None:
        why = "closed by the hub"
        async for message in self._socket:
            self._heartbeat.heard(time.monotonic())
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            try:
                self._take(decode_hub(message.data))
            except RtcError as exc:
                logger.warning("the hub sent a message that is not one: %s", exc)
            except LinkLostError:
                break
            except Exception:
                logger.exception("a message of the hub could not be handled")
        if self._socket.exception() is not None:
            why = f"connection broke: {self._socket.exception()}"
        self._lose(why)

    def _take(self, message: HubMessage) -> None:
        match message:
            case Ping():
                self.send(Pong(t=message.t))
            case Pong():
                pass
            case Joined(id=0) if not self._resync.done():
                self._awaits_resync = False
                self._resync.set_result(message)
            case Kicked() | RoomClosed() if self._awaits_resync and not self._resync.done():
                self._awaits_resync = False
                self._resync.set_result(message)
            case LoggedIn() | Joined() | Ok() | TokenRenewed() | PeerMessageSent() | MissedInvitations():
                if isinstance(message, LoggedIn):
                    self._awaits_resync = message.resumed
                self._answer(message.id, message)
            case Error() if message.id:
                self._answer(message.id, message)
            case _ if self._reader is not None:
                self._reader(message)
            case _ if len(self._pushed) < MAX_WAITING:
                self._pushed.append(message)
            case _:
                self._lose(f"{MAX_WAITING} messages wait to be read")

    def _answer(self, request_id: int, message: HubMessage) -> None:
        answer = self._replies.get(request_id)
        if answer is not None and not answer.done():
            answer.set_result(message)

    async def _write(self) -> None:
        while True:
            text = await self._outgoing.get()
            try:
                await self._socket.send_str(text)
            except (aiohttp.ClientError, OSError) as exc:
                self._lose(f"connection broke: {exc}")
                return
            finally:
                self._outgoing.task_done()

    async def _beat(self) -> None:
        while self._lost is None:
            now_s = time.monotonic()
            if self._heartbeat.is_lost(now_s):
                self._lose(f"nothing heard for {self._heartbeat.lost_after_s:g} s")
            elif self._heartbeat.ping_due(now_s):
                try:
                    self.send(Ping(t=now_s))
                except LinkLostError:
                    return
            else:
                await asyncio.sleep(self._heartbeat.next_look_s(now_s))


def _words(error: BaseException) -> str:
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return f"its certificate has the fingerprint {error.got.hex(':').upper()}, which is not the trusted one"
    return str(error)


def _retry_after_s(error: BaseException) -> float:
    """What a hub that takes nobody says of when it will (RFC 9110, 10.2.3), within reason; 0: nothing."""
    if not isinstance(error, aiohttp.WSServerHandshakeError) or error.status not in (429, 503) or not error.headers:
        return 0.0
    seconds = error.headers.get("Retry-After", "")
    return min(float(seconds), MAX_RETRY_AFTER_S) if re.fullmatch("[0-9]{1,9}", seconds) else 0.0
