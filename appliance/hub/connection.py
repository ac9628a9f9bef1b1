"""One client's WebSocket: reads within limits, writes from a bounded queue, heartbeats, ends.

Contract:
- Messages go out in the order of `send`; after `close` nothing more is accepted, what was sent before still goes out.
- Heartbeats begin with the login; until then the log-in time-out watches.
- A message is free for each that wants an answer (a ping, an invitation, another user's message): nobody is cut for
  answering what others send.
- Who has not logged in may say little; what is waiting of one connection is taken in small shares.
- What a user may say is the user's, not the connection's: who was cut and comes back has gained nothing.
- Whatever is wrong with an incoming message is answered with Error and the connection stays, except: too much of it
  (Error rate-limit, 1008), over `MAX_FRAME_BYTES` (Error message-too-large, 1009) or not WebSocket at all (1002).
- Whoever doesn't read, or was not heard for `lost_after_s`, is cut: nothing here waits for the other side.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import Callable

import aiohttp
import msgspec
from aiohttp import web

from appliance.errors import RtcError, RtcErrorCode
from appliance.hub.settings import HubSettings
from appliance.hub.traffic import Traffic, TrafficBook
from appliance.room.backoff import Heartbeat
from appliance.room.bucket import TokenBucket
from appliance.room.signaling import MAX_MESSAGE_BYTES, ClientMessage, HubMessage, decode_client, encode
from appliance.room.signaling_login import Error, InvitationReceived, LoggedIn, PeerMessageReceived, Ping
from appliance.room.signaling_room import SignalFrom

logger = logging.getLogger(__name__)

MAX_FRAME_BYTES = 2 * MAX_MESSAGE_BYTES  # up to here a message is read, to be refused in words
GOING_AWAY = 1001
CLOSE_TOO_BIG = 1009
CLOSE_POLICY = 1008
FAIR_SHARE = 8  # messages of one connection in a row: 1 ms; then the call and the others have their turn
SHARE_BYTES = 1024  # a long message counts for so many short ones
ABNORMAL = 1006  # never on the wire
MAX_REASON_BYTES = 123  # RFC 6455 5.5: a control frame has at most 125 bytes, two are the code

_PATH = re.compile(r"at `(\$[^`]*)`")


MAX_REQUEST_ID = 2**53


class _Id(msgspec.Struct):
    id: int = 0


_id_decoder = msgspec.json.Decoder(_Id)


class _Socket(web.WebSocketResponse[bool]):
    """Says in words why it closes on a frame that is too big; aiohttp alone would only send the code."""

    async def close(self, *, code: int = 1000, message: bytes = b"", drain: bool = True) -> bool:
        if code == CLOSE_TOO_BIG and not self.closed:
            text = f"message of over {MAX_FRAME_BYTES} bytes; at most {MAX_MESSAGE_BYTES} are allowed"
            await self.send_str(encode(Error(code=RtcErrorCode.MESSAGE_TOO_LARGE, message=text)))
        return await super().close(code=code, message=message, drain=drain)


class Connection:
    """`run` lives as long as the connection. `on_message` gets each message that could be read."""

    def __init__(
        self,
        number: int,
        settings: HubSettings,
        traffic_book: TrafficBook,
        on_message: Callable[[int, ClientMessage], None],
    ) -> None:
        self.number = number
        self._traffic_book = traffic_book
        self._user_id = ""
        self._settings = settings
        self._on_message = on_message
        self._socket = _Socket(
            autoping=False,
            compress=False,
            decode_text=False,
            max_msg_size=MAX_FRAME_BYTES,
            timeout=settings.close_timeout_s,
        )
        self._transport: asyncio.Transport | None = None
        self._queue: deque[str | bytes] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self.went_away = False  # a browser says so when its page is left, closed or has crashed (RFC 6455, 1001)
        self._wanted = 0  # answers of the client
        self._closing: tuple[int, str] | None = None
        self._cut_timer: asyncio.TimerHandle | None = None
        self._logged_in = asyncio.Event()
        now_s = time.monotonic()
        self._heartbeat = Heartbeat(now_s, settings.heartbeat_s, settings.lost_after_s)
        self._traffic = Traffic(settings, now_s)
        self._early_messages = TokenBucket(settings.early_messages_per_s, settings.early_message_burst, now_s)
        self._early_bytes = TokenBucket(settings.early_bytes_per_s, settings.early_byte_burst, now_s)

    async def run(self, request: web.Request) -> web.WebSocketResponse[bool]:
        """From the handshake to the end; returns when the connection is gone, whoever ended it."""
        await self._socket.prepare(request)
        self._transport = request.transport
        if (task := asyncio.current_task()) is not None:
            task.set_name(f"hub-{self.number}-read")
        tasks = [
            asyncio.create_task(self._write(), name=f"hub-{self.number}-write"),
            asyncio.create_task(self._beat(), name=f"hub-{self.number}-heartbeat"),
        ]
        try:
            await self._read()
            if self._closing is not None:
                await tasks[0]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._closing = self._closing or (ABNORMAL, "ended")
            if self._user_id:
                self._traffic_book.of(self._user_id, time.monotonic())
            if self._cut_timer is not None:
                self._cut_timer.cancel()
            if self._transport is not None and _unsent_bytes(self._transport):
                self._transport.abort()
        return self._socket

    @property
    def heard_s(self) -> float:
        """When its last message came, monotonic."""
        return self._heartbeat.heard_s

    def send(self, message: HubMessage, text: str | None = None) -> None:
        """Queue `message`; `text` is its encoding where it is known already."""
        if self._closing is not None:
            return
        if isinstance(message, SignalFrom) and self._is_behind():
            logger.info("hub: connection %d is slow, a leg message is dropped", self.number)
            return  # others' words must not fill the queue; whoever waits for a leg asks again
        if isinstance(message, LoggedIn):
            self._user_id = message.user_id
            self._traffic = self._traffic_book.of(message.user_id, time.monotonic())
            self._logged_in.set()
        elif isinstance(message, (Ping, PeerMessageReceived, InvitationReceived)):
            self._wanted += 1
        self._put(encode(message) if text is None else text)

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close; cut after `close_timeout_s`."""
        if self._closing is None:
            self._closing = (code, reason)
            self._cut_timer = asyncio.get_running_loop().call_later(
                self._settings.close_timeout_s, self.cut, "the closing took too long"
            )
            self._wake.set()

    def cut(self, why: str) -> None:
        """End now; what is queued is lost."""
        logger.info("hub: connection %d cut: %s", self.number, why)
        self._closing = self._closing or (ABNORMAL, why)
        self._queue.clear()
        self._queued_bytes = 0
        self._wake.set()
        if self._transport is not None:
            self._transport.abort()

    def _is_behind(self) -> bool:
        """The queue is more than half full."""
        settings = self._settings
        return 2 * len(self._queue) > settings.send_queue_messages or 2 * self._queued_bytes > settings.send_queue_bytes

    def _put(self, item: str | bytes) -> None:
        self._queue.append(item)
        self._queued_bytes += len(item)
        settings = self._settings
        if len(self._queue) > settings.send_queue_messages or self._queued_bytes > settings.send_queue_bytes:
            self.cut(f"{len(self._queue)} messages wait to be read")
        self._wake.set()

    # --- reading

    async def _read(self) -> None:
        share = 0
        while self._closing is None:
            frame = await self._socket.receive()
            if share >= FAIR_SHARE:
                share = 0
                await asyncio.sleep(0)  # receive() does not wait for what is there already
            now_s = time.monotonic()
            if frame.type not in (
                aiohttp.WSMsgType.TEXT,
                aiohttp.WSMsgType.BINARY,
                aiohttp.WSMsgType.PING,
                aiohttp.WSMsgType.PONG,
            ):
                self.went_away = frame.type is aiohttp.WSMsgType.CLOSE and frame.data == GOING_AWAY
                return
            self._heartbeat.heard(now_s)
            data = bytes(frame.data)
            share += 1 + len(data) // SHARE_BYTES
            if not self._may_say(len(data), now_s):
                self._refuse(RtcErrorCode.RATE_LIMIT, "too many messages; slow down and connect again")
                self.close(CLOSE_POLICY, "rate limit")
            elif frame.type is aiohttp.WSMsgType.TEXT:
                self._take(data)
            elif frame.type is aiohttp.WSMsgType.BINARY:
                self._refuse(RtcErrorCode.MESSAGE_MALFORMED, "binary messages are not understood; send JSON as text")
            elif frame.type is aiohttp.WSMsgType.PING:
                self._put(data)

    def _may_say(self, size: int, now_s: float) -> bool:
        if not self._logged_in.is_set() and not (
            self._early_messages.take(1, now_s) and self._early_bytes.take(size, now_s)
        ):
            return False
        is_answer = self._wanted > 0
        self._wanted -= is_answer
        return self._traffic.take(size, now_s, is_answer=is_answer)

    def _take(self, data: bytes) -> None:
        try:
            message = decode_client(data.decode("utf-8"))
        except UnicodeDecodeError as exc:
            self._refuse(RtcErrorCode.MESSAGE_MALFORMED, f"not UTF-8: {exc.reason} at byte {exc.start}")
        except RtcError as exc:
            where = _PATH.search(exc.message)
            self._refuse(exc.code, exc.message, _request_id(data), where.group(1) if where else "")
        else:
            try:
                self._on_message(self.number, message)
            except Exception:  # a fault of ours must not look like a lost link
                logger.exception("hub: %s could not be handled", type(message).__name__)
                self._refuse(RtcErrorCode.INTERNAL, "the hub failed on this message", getattr(message, "id", 0))

    def _refuse(self, code: RtcErrorCode, message: str, request_id: int = 0, field: str = "") -> None:
        self.send(Error(code=code, message=message, id=request_id, field=field))

    # --- writing

    async def _write(self) -> None:
        try:
            while True:
                while self._queue:
                    item = self._queue.popleft()
                    self._queued_bytes -= len(item)
                    await (self._socket.pong(item) if isinstance(item, bytes) else self._socket.send_str(item))
                if self._closing is not None:
                    code, reason = self._closing
                    await self._socket.close(code=code, message=reason.encode()[:MAX_REASON_BYTES])
                    return
                self._wake.clear()
                await self._wake.wait()
        except (aiohttp.ClientError, OSError) as exc:
            self.cut(f"cannot be written to: {exc}")

    async def _beat(self) -> None:
        await self._logged_in.wait()
        while self._closing is None:
            now_s = time.monotonic()
            if self._heartbeat.is_lost(now_s):
                self.cut(f"nothing heard for {self._heartbeat.lost_after_s:g} s")
            elif self._heartbeat.ping_due(now_s):
                self.send(Ping(t=now_s))
            else:
                await asyncio.sleep(self._heartbeat.next_look_s(now_s))


def _request_id(data: bytes) -> int:
    """The id in a message that is otherwise wrong, or 0."""
    try:
        request_id = _id_decoder.decode(data).id
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return 0
    return request_id if 0 < request_id <= MAX_REQUEST_ID else 0


def _unsent_bytes(transport: asyncio.Transport) -> int:
    """0 as well for a TLS transport that was closed twice: asyncio's has let go of its protocol then, and fails."""
    try:
        return transport.get_write_buffer_size()
    except AttributeError:
        return 0
