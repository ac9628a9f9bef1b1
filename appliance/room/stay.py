"""One stay in a room: from CONNECTING to DISCONNECTED, over every lost link in between.

It owns the peers, the media and every task of its time; when it has ended nothing of them is left. The link belongs
to the login, which outlives it. Media goes on while the link is lost; a stay that isn't restored before the deadline
ends with one error (TR10).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from appliance.errors import (
    CryptError,
    InvalidStateError,
    JoinCancelledError,
    JoinTimeoutError,
    NotJoinedError,
    RtcError,
    RtcErrorCode,
    ServiceUnavailableError,
)
from appliance.events import Event
from appliance.media.e2ee import derive_key
from appliance.room.backend import MediaBackend
from appliance.room.comeback import error_info
from appliance.room.connection import Connection, Trigger
from appliance.room.departure import Departure
from appliance.room.entry import Ticket, TokenUnavailableError
from appliance.room.events import (
    ConnectionReason,
    ConnectionState,
    CryptErrorRaised,
    LoginState,
    NetworkQualityChanged,
    RoleChanged,
    RtcErrorInfo,
)
from appliance.room.link import LinkLostError
from appliance.room.login import Login
from appliance.room.options import RoomOptions
from appliance.room.own_streams import OwnStreams
from appliance.room.peers import Peers
from appliance.room.room_news import eviction, news, refusal
from appliance.room.seat import Seat
from appliance.room.signaling import ClientMessage, HubMessage
from appliance.room.signaling_base import MediaKind, Role, StreamName
from appliance.room.signaling_login import Error, Ok
from appliance.room.signaling_room import (
    IceServer,
    Joined,
    Kicked,
    LegMessage,
    MemberChanged,
    MemberLeft,
    MuteForced,
    PriorityChanged,
    ReportQuality,
    RoomClosed,
    SetRole,
    SignalFrom,
    SignalTo,
    StreamInfo,
)
from appliance.room.streams import LocalStream
from appliance.room.task_set import TaskSet

logger = logging.getLogger(__name__)


class Stay:
    def __init__(
        self,
        login: Login,
        ticket: Ticket,
        options: RoomOptions,
        *,
        connection: Connection,
        emit: Callable[[Event], None],
        media: MediaBackend,
        describe: Callable[[LocalStream], StreamInfo],
        on_forced_mute: Callable[[MediaKind, bool], None],
        auto_subscribe: bool,
        ice_servers: tuple[IceServer, ...] = (),
    ) -> None:
        """`ice_servers` are used beside the hub's."""
        self.media = media
        self.seat = Seat(ticket)
        self.peers = Peers(ticket.room_id, media, emit, auto_subscribe=auto_subscribe)
        self.own = OwnStreams(self.request, media, describe)
        self._login = login
        self._options = options
        self._connection = connection
        self._emit = emit
        self._on_forced_mute = on_forced_mute
        self._ice_servers = ice_servers
        self._early: list[HubMessage] | None = []  # pushed before the events of the roster were raised
        self._tasks = TaskSet()
        self.departure = Departure(
            self, login, options, connection=connection, emit=emit, media=media, tasks=self._tasks
        )

    # --- in

    async def enter(self) -> None:
        """From CONNECTING to CONNECTED, or a `JoinError` and DISCONNECTED."""
        self._login.occupant = self
        entering = self._tasks.spawn(self._enter(), "room-join")
        try:
            async with asyncio.timeout(self._options.join_timeout_s):
                await entering
        except TimeoutError as exc:
            raise self._refused(JoinTimeoutError(f"no accept within {self._options.join_timeout_s:g} s")) from exc
        except TokenUnavailableError as exc:
            raise self._refused(ServiceUnavailableError(str(exc))) from exc
        except InvalidStateError as exc:  # the link was lost meanwhile
            raise self._refused(ServiceUnavailableError(str(exc))) from exc
        except RtcError as exc:
            raise self._refused(exc) from exc.__cause__
        except asyncio.CancelledError:
            await self._cancelled()
            raise

    async def _enter(self) -> None:
        encryption = self.seat.ticket.encryption
        if encryption is not None:
            key = await asyncio.to_thread(derive_key, encryption.mode, encryption.secret)
            self.seat.encrypt(key)
            self.media.protect(key)
        login = self._login
        if login.status.state is LoginState.DISCONNECTED:
            login.is_implicit = True
            entry = await login.open(self.seat.ticket.credentials, ticket=self.seat.ticket)
            assert entry.joined is not None
            self._accepted(entry.joined)
            login.line.deliver(resumed=False)
        else:
            self._accepted(await login.join(self.seat.ticket))

    def _accepted(self, joined: Joined) -> None:
        self._take_seat(joined)
        self._connection.advance(Trigger.ACCEPTED, ConnectionReason.JOIN_SUCCESS)
        self._settle(joined)

    async def _cancelled(self) -> None:
        """Somebody cancelled the join: leave() did, or whoever awaits it."""
        task = asyncio.current_task()
        if self.departure.has_begun and not (task is not None and task.cancelling()):
            await self.departure.leave()
            raise JoinCancelledError("leave() was called", operation="join", state=ConnectionState.CONNECTING)
        if self._connection.state is ConnectionState.CONNECTING:
            self._refused(JoinCancelledError("the join was cancelled"))
        elif not self.departure.has_begun and self._connection.state is not ConnectionState.DISCONNECTED:
            await self.departure.leave()

    def _refused(self, error: RtcError) -> RtcError:
        self._login.vacate(self)
        if self.seat.ticket.key is not None:
            self.media.protect(None)
        error.operation, error.state = "join", str(ConnectionState.CONNECTING)
        if isinstance(error, CryptError):
            self._emit_crypt_error()
        self._connection.advance(Trigger.REFUSED, ConnectionReason.ERROR, error=error_info(error))
        return error

    def _take_seat(self, joined: Joined) -> None:
        self.seat.take(joined, time.time())
        self.media.video_codecs = self.seat.video_codecs
        self.media.ice_servers = (*self._ice_servers, *joined.ice_servers)

    def _settle(self, joined: Joined, *, new_hub: bool = False) -> None:
        """The roster as it is, then what was pushed since."""
        self.peers.resync(joined.members, new_hub=new_hub)
        self.media.link_up()
        early, self._early = self._early or [], None
        for message in early:
            self.take(message)

    # --- what the login says

    @property
    def ticket(self) -> Ticket:
        return self.seat.ticket

    def interrupted(self, why: str) -> None:
        if self._connection.state is ConnectionState.CONNECTED:
            self.media.link_down()
            self._early = []
            if self._options.trtc_transitions:
                self._connection.advance(Trigger.LINK_DROPPED, ConnectionReason.INTERRUPTED)
                self._connection.advance(Trigger.RETRY, ConnectionReason.INTERRUPTED)
            else:
                self._connection.advance(Trigger.LINK_LOST, ConnectionReason.INTERRUPTED)

    def restored(self, joined: Joined, *, resumed: bool, new_hub: bool) -> None:
        self._take_seat(joined)
        self._connection.advance(Trigger.RESTORED, ConnectionReason.RECONNECTED, resumed=resumed)
        self._connection.advance(Trigger.SETTLED, ConnectionReason.RECONNECTED, resumed=resumed)
        if not resumed:
            self.seat.forced_mutes.clear()
        if new_hub:
            self._attend(self._end_return(), "room-return-grace")
        self._settle(joined, new_hub=new_hub)
        self._attend(self.own.publish_again(forgotten=not resumed), "room-publish-again")

    def put_out(self, message: Kicked | RoomClosed) -> None:
        event, reason = eviction(message, self.seat.user_id or "")
        self._emit(event)
        words = message.message or f"put out while the link was lost: {event.event_name}"
        self.departure.give_up(RtcErrorInfo(RtcErrorCode.KICKED, RtcErrorCode.KICKED.name, words), reason)

    def ended(self, error: RtcErrorInfo, reason: ConnectionReason) -> None:
        kicked = refusal(error, self.seat.user_id or "")
        if kicked is not None:
            self._emit(kicked)
        if error.code is RtcErrorCode.CRYPT_MISMATCH:
            self._emit_crypt_error()
        self.departure.give_up(error, reason)

    def _emit_crypt_error(self) -> None:
        encryption = self.seat.ticket.encryption
        self._emit(CryptErrorRaised(crypt_type=encryption.mode if encryption is not None else "none"))

    async def _end_return(self) -> None:
        await asyncio.sleep(self._options.return_grace_s)
        self.peers.end_return()

    # --- what the hub says

    def take(self, message: HubMessage) -> None:
        if self._early is not None:
            self._early.append(message)
            return
        match message:
            case MemberChanged() if message.member.user_id != self.seat.user_id:
                self.peers.change(message)
            case MemberLeft():
                self.peers.leave(message)
            case SignalFrom():
                self.media.signal(message.sender, message.leg)
            case MuteForced():
                self.seat.force_mute(message.kind, message.muted)
                self._on_forced_mute(message.kind, message.muted)
            case PriorityChanged():
                self.seat.change_priority(message.priority)
            case Kicked() | RoomClosed():
                self.departure.evict(*eviction(message, self.seat.user_id or ""))
            case Error():
                logger.info("the hub says: %s (%s)", message.message, message.code)
        event = news(message)
        if event is not None:
            self._emit(event)

    # --- what we say to the hub

    def send_leg(self, to: str, message: LegMessage) -> None:
        """Raises `LinkLostError`."""
        self._login.line.send(SignalTo(to=to, leg=message))

    def report_quality(self, quality: NetworkQualityChanged) -> None:
        """For everybody's room_network_quality; while the link is lost it goes nowhere."""
        with suppress(LinkLostError):
            self._login.line.send(ReportQuality(uplink=quality.uplink, downlink=quality.downlink))

    async def request(self, operation: str, make: Callable[[int], ClientMessage]) -> None:
        """One confirmed request. Raises `RtcError` with the hub's code, or what the lost link makes of it."""
        if not self._connection.is_joined:
            raise NotJoinedError("not in a room", operation=operation, state=self._connection.state)
        await self._login.line.request(operation, make, Ok)

    async def set_role(self, role: Role) -> None:
        await self.request("set_client_role", lambda request_id: SetRole(id=request_id, role=role))
        self.seat.change_role(role)
        if role == "audience":
            self.own.rest()
        self._emit(RoleChanged(role=role))
        if role == "host":
            await self.own.resume()

    def withdraw(self, name: StreamName) -> None:
        """Unpublish a stream whose source has ended, now or after the reconnect."""

        async def unpublish() -> None:
            try:
                await self.own.unpublish(name)
            except RtcError as exc:
                logger.debug("the hub is told later that %s has ended: %s", name, exc)

        self._attend(unpublish(), "room-withdraw")

    def _attend(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """A task that nobody waits for: its failure is a fault of ours."""

        async def attended() -> None:
            try:
                await coroutine
            except Exception as exc:
                self.departure.fault(exc)

        self._tasks.spawn(attended(), name)
