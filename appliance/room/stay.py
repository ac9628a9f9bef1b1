"""One stay in a room: from CONNECTING to DISCONNECTED, over every lost link in between.

It owns the roster, the media and every task of its time; when it has ended nothing of them is left. The link belongs
to the login, which outlives it. Media goes on while the link is lost; a stay that isn't restored before the deadline
ends with one error (TR10).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from appliance.errors import (
    CryptError,
    InvalidStateError,
    JoinCancelledError,
    JoinTimeoutError,
    LeaveReason,
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
from appliance.room.entry import Ticket, TokenUnavailableError
from appliance.room.events import (
    ConnectionReason,
    ConnectionState,
    CryptErrorRaised,
    ErrorRaised,
    Kicked,
    LoginState,
    MediaPriorityChanged,
    MemberQuality,
    MuteForced,
    NetworkQuality,
    NetworkQualityChanged,
    PeerLeft,
    RoleChanged,
    RoomClosed,
    RoomNetworkQuality,
    RtcErrorInfo,
    RtmpState,
    StreamAdded,
    StreamRemoved,
    StreamUpdated,
    WarningRaised,
)
from appliance.room.link import LinkLostError
from appliance.room.login import Login
from appliance.room.options import RoomOptions
from appliance.room.own_streams import OwnStreams
from appliance.room.roster import Roster
from appliance.room.signaling import ClientMessage, HubMessage
from appliance.room.signaling_base import MediaKind, Role, StreamName
from appliance.room.signaling_login import Error, Ok
from appliance.room.signaling_room import (
    IceServer,
    Joined,
    Leave,
    LeaveWhy,
    LegMessage,
    MemberChanged,
    MemberLeft,
    PriorityChanged,
    ReportQuality,
    RoomQuality,
    SetRole,
    SignalFrom,
    SignalTo,
    StreamInfo,
)
from appliance.room.signaling_room import Kicked as KickedMessage
from appliance.room.signaling_room import MuteForced as ForcedMute
from appliance.room.signaling_room import RoomClosed as RoomClosedMessage
from appliance.room.signaling_room import Warning as WarningMessage
from appliance.room.signaling_tasks import TaskChanged
from appliance.room.streams import LocalStream, MediaPriority, track_kinds

logger = logging.getLogger(__name__)

RELEASE_S = 3.0  # of a machine that is late: connections end in some milliseconds
LEAVE_TIMEOUT_S = 0.5  # for the hub's word on our Leave: the seat goes anyhow
_LEAVE_REASONS: dict[LeaveReason, LeaveWhy] = {LeaveReason.SFU_ERROR: 2, LeaveReason.INTERNAL_ERROR: 4}


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
        self.ticket = ticket
        self.media = media
        self.roster = Roster(ticket.room_id)
        self.user_id: str | None = None
        self.role: Role = ticket.role
        self.session_id = ""
        self.profile = ticket.profile
        self.may_moderate = False
        self.joined_s = 0.0  # seconds since 1970
        self.priority = MediaPriority.NORMAL  # as the hub gave it
        self.forced_mutes: set[MediaKind] = set()  # by a host: only it can lift them
        self.own = OwnStreams(self.request, media, describe)
        self._login = login
        self._options = options
        self._connection = connection
        self._emit = emit
        self._on_forced_mute = on_forced_mute
        self._auto_subscribe = auto_subscribe
        self._ice_servers = ice_servers  # beside the hub's
        self._early: list[HubMessage] | None = []  # pushed before the events of the roster were raised
        self._entering: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._releasing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- in and out

    async def enter(self) -> None:
        """From CONNECTING to CONNECTED, or a `JoinError` and DISCONNECTED."""
        self._login.occupant = self
        self._entering = self._spawn(self._enter(), "room-join")
        try:
            async with asyncio.timeout(self._options.join_timeout_s):
                await self._entering
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

    async def leave(self, why: LeaveReason = LeaveReason.USER_LEFT) -> None:
        """To DISCONNECTED, from any state; a second call waits for the first."""
        if self._ending is None:
            self._connection.advance(Trigger.LEAVE, ConnectionReason.LEAVE)
            self._end(ConnectionReason.LEAVE, say_leave=why)
        assert self._ending is not None
        await asyncio.shield(self._ending)

    async def _enter(self) -> None:
        encryption = self.ticket.encryption
        if encryption is not None:
            key = await asyncio.to_thread(derive_key, encryption.mode, encryption.secret)
            self.ticket = replace(self.ticket, key=key)
            self.media.protect(key)
        login = self._login
        if login.state is LoginState.DISCONNECTED:
            login.is_implicit = True
            entry = await login.open(self.ticket.credentials, ticket=self.ticket)
            assert entry.joined is not None
            self._take_seat(entry.joined)
            self._connection.advance(Trigger.ACCEPTED, ConnectionReason.JOIN_SUCCESS)
            self._settle(entry.joined)
            login.deliver()
        else:
            joined = await login.join(self.ticket)
            self._take_seat(joined)
            self._connection.advance(Trigger.ACCEPTED, ConnectionReason.JOIN_SUCCESS)
            self._settle(joined)

    async def _cancelled(self) -> None:
        """Somebody cancelled the join: leave() did, or whoever awaits it."""
        task = asyncio.current_task()
        if self._ending is not None and not (task is not None and task.cancelling()):
            await asyncio.shield(self._ending)
            raise JoinCancelledError("leave() was called", operation="join", state=ConnectionState.CONNECTING)
        if self._connection.state is ConnectionState.CONNECTING:
            self._refused(JoinCancelledError("the join was cancelled"))
        elif self._ending is None and self._connection.state is not ConnectionState.DISCONNECTED:
            await self.leave()

    def _refused(self, error: RtcError) -> RtcError:
        self._vacate()
        if self.ticket.key is not None:
            self.media.protect(None)
        error.operation, error.state = "join", str(ConnectionState.CONNECTING)
        if isinstance(error, CryptError):
            self._emit_crypt_error()
        self._connection.advance(Trigger.REFUSED, ConnectionReason.ERROR, error=error_info(error))
        return error

    def _evict(self, event: Kicked | RoomClosed, reason: ConnectionReason) -> None:
        if self._connection.state is not ConnectionState.CONNECTED:
            return
        self._vacate()
        self._emit(event)
        self._connection.advance(Trigger.EVICTED, reason)
        self._end(reason)

    def _fault(self, exc: Exception) -> None:
        """RS05: something of ours failed that is none of the network's failures; the room is told so."""
        error = RtcErrorInfo(RtcErrorCode.INTERNAL, RtcErrorCode.INTERNAL.name, f"a fault of the client: {exc!r}")
        logger.error("%s", error.message, exc_info=exc)
        if not self._break_off(error, LeaveReason.INTERNAL_ERROR):
            self._give_up(error, ConnectionReason.ERROR)

    def media_lost(self) -> None:
        """RS03."""
        words = f"no media from or to anybody for {self._options.media_deadline_s:g} s"
        error = RtcErrorInfo(RtcErrorCode.MEDIA_LOST, RtcErrorCode.MEDIA_LOST.name, words)
        if self._break_off(error, LeaveReason.SFU_ERROR):
            logger.error("out of the room: %s", words)

    def _break_off(self, error: RtcErrorInfo, why: LeaveReason) -> bool:
        if self._connection.state is not ConnectionState.CONNECTED or self._ending is not None:
            return False
        self._connection.advance(Trigger.EVICTED, ConnectionReason.ERROR, error=error)
        self._end(ConnectionReason.ERROR, say_leave=why, error=error)
        return True

    def _vacate(self) -> None:
        if self._login.occupant is self:
            self._login.occupant = None

    def _end(
        self, reason: ConnectionReason, *, say_leave: LeaveReason | None = None, error: RtcErrorInfo | None = None
    ) -> None:
        releasing = self._start_release(say_leave)

        async def end() -> None:
            try:
                await asyncio.wait((releasing,), timeout=self._options.leave_timeout_s)
                if releasing.done():
                    releasing.result()
                else:
                    logger.warning("leaving takes over %g s", self._options.leave_timeout_s)
            finally:
                self._connection.advance(Trigger.TORN_DOWN, reason, error=error)
                if error is not None:
                    self._emit(ErrorRaised(error=error))

        self._ending = asyncio.create_task(end(), name="room-leave")

    async def released(self) -> None:
        """After the end: until nothing is left of it, or `RELEASE_S`."""
        if self._releasing is not None:
            await asyncio.wait((self._releasing,), timeout=RELEASE_S)

    @property
    def is_released(self) -> bool:
        return self._releasing is None or self._releasing.done()

    def _start_release(self, say_leave: LeaveReason | None = None) -> asyncio.Task[None]:
        """Nobody cancels it: what is cancelled in the middle leaves sockets behind."""
        self._releasing = asyncio.create_task(self._release(say_leave=say_leave), name="room-release")
        return self._releasing

    async def _release(self, *, say_leave: LeaveReason | None = None) -> None:
        """Everything that this stay holds."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._vacate()
        if say_leave is not None and self._login.state is LoginState.CONNECTED:
            leave = partial(Leave, reason=_LEAVE_REASONS.get(say_leave, 0))
            try:
                await self._login.request("leave", lambda request_id: leave(id=request_id), Ok, LEAVE_TIMEOUT_S)
            except RtcError as exc:
                logger.debug("the hub did not confirm the leave: %s", exc)
        self.media.link_down()
        await self.media.close()

    # --- the login

    def _take_seat(self, joined: Joined) -> None:
        self.user_id = joined.user_id
        self.role = joined.role
        self.may_moderate = joined.may_moderate
        self.profile = joined.profile
        self.joined_s = time.time()
        self.session_id = joined.session_id
        self.priority = MediaPriority(joined.priority)
        self.media.video_codecs = tuple(codec for codec in self.ticket.video_codecs if codec in joined.video_codecs)
        self.media.ice_servers = (*self._ice_servers, *joined.ice_servers)

    def _settle(self, joined: Joined, *, new_hub: bool = False) -> None:
        """The roster as it is, then what was pushed since."""
        self._apply(self.roster.resync(joined.members, new_hub=new_hub))
        self.media.link_up()
        early, self._early = self._early or [], None
        for message in early:
            self.take(message)

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
            self.forced_mutes.clear()
        if new_hub:
            self._attend(self._end_return(), "room-return-grace")
        self._settle(joined, new_hub=new_hub)
        self._attend(self.own.publish_again(forgotten=not resumed), "room-publish-again")

    def put_out(self, message: KickedMessage | RoomClosedMessage) -> None:
        event, reason = self._eviction(message)
        self._emit(event)
        words = message.message or f"put out while the link was lost: {event.event_name}"
        self._give_up(RtcErrorInfo(RtcErrorCode.KICKED, RtcErrorCode.KICKED.name, words), reason)

    def ended(self, error: RtcErrorInfo, reason: ConnectionReason) -> None:
        if error.code in (RtcErrorCode.KICKED, RtcErrorCode.BANNED):
            why: Literal["kick", "banned"] = "banned" if error.code is RtcErrorCode.BANNED else "kick"
            self._emit(Kicked(user_id=self.user_id or "", reason=why, message=error.message))
        if error.code is RtcErrorCode.CRYPT_MISMATCH:
            self._emit_crypt_error()
        self._give_up(error, reason)

    def _emit_crypt_error(self) -> None:
        encryption = self.ticket.encryption
        self._emit(CryptErrorRaised(crypt_type=encryption.mode if encryption is not None else "none"))

    def _give_up(self, error: RtcErrorInfo, reason: ConnectionReason) -> None:
        """TR10. A leave() that comes now waits for it."""
        if self._connection.state is not ConnectionState.RECONNECTING or self._ending is not None:
            return
        releasing = self._start_release()

        async def end() -> None:
            try:
                await releasing
            finally:
                self._connection.advance(Trigger.GAVE_UP, reason, error=error)
                self._emit(ErrorRaised(error=error))

        self._ending = asyncio.create_task(end(), name="room-give-up")

    async def _end_return(self) -> None:
        await asyncio.sleep(self._options.return_grace_s)
        self._apply(self.roster.end_return())

    # --- what the hub says

    def take(self, message: HubMessage) -> None:
        if self._early is not None:
            self._early.append(message)
            return
        match message:
            case MemberChanged() if message.member.user_id != self.user_id:
                self._apply(self.roster.change(message))
                self.media.nudge(message.member.user_id)
            case MemberLeft():
                self._apply(self.roster.leave(message))
            case SignalFrom():
                self.media.signal(message.sender, message.leg)
            case RoomQuality():
                items = (
                    MemberQuality(item.user_id, NetworkQuality(item.uplink), NetworkQuality(item.downlink))
                    for item in message.items
                )
                self._emit(RoomNetworkQuality(items=tuple(items)))
            case TaskChanged():
                self._emit(
                    RtmpState(
                        task_id=message.task_id,
                        url=message.url,
                        host_user_id=message.host_user_id,
                        code=message.code,
                        message=message.message,
                    )
                )
            case ForcedMute():
                (self.forced_mutes.add if message.muted else self.forced_mutes.discard)(message.kind)
                self._on_forced_mute(message.kind, message.muted)
                self._emit(MuteForced(kind=message.kind, muted=message.muted, by=message.by, message=message.message))
            case PriorityChanged():
                self.priority = MediaPriority(message.priority)
                self.ticket = replace(self.ticket, priority=message.priority)  # it stays so (D13)
                self._emit(MediaPriorityChanged(priority=self.priority, by=message.by))
            case WarningMessage():
                self._emit(WarningRaised(code=message.code, reason=message.reason))
            case KickedMessage() | RoomClosedMessage():
                self._evict(*self._eviction(message))
            case Error():
                logger.info("the hub says: %s (%s)", message.message, message.code)

    def _eviction(self, message: KickedMessage | RoomClosedMessage) -> tuple[Kicked | RoomClosed, ConnectionReason]:
        if isinstance(message, RoomClosedMessage):
            closed = LeaveReason(message.reason) if message.reason in set(LeaveReason) else LeaveReason.ROOM_DISMISSED
            event = RoomClosed(room_id=message.room, reason=closed, message=message.message)
            return event, ConnectionReason.ROOM_CLOSED
        code = LeaveReason(message.code) if message.code in set(LeaveReason) else LeaveReason.KICKED
        kicked = Kicked(user_id=self.user_id or "", reason=message.reason, message=message.message, code=code)
        expired = message.reason == "token_expired"
        return kicked, ConnectionReason.TOKEN_EXPIRED if expired else ConnectionReason.KICKED

    def _apply(self, events: list[Event]) -> None:
        for event in events:  # first: who is gone gets no farewell for each leg
            if isinstance(event, PeerLeft):
                self.media.forget(event.user_id)
        for event in events:
            match event:
                case StreamRemoved():
                    self.media.want(event.stream, frozenset())
                    self._emit(event)
                case _:
                    self._emit(event)
            match event:
                case StreamAdded() if self._auto_subscribe:
                    self.media.want(event.stream, track_kinds(event.stream.name, event.kinds))
                case StreamUpdated() if self._auto_subscribe and event.added:
                    added = track_kinds(event.stream.name, event.added)
                    self.media.want(event.stream, self.media.wanted(event.stream) | added)

    # --- what we say to the hub

    def send_leg(self, to: str, message: LegMessage) -> None:
        """Raises `LinkLostError`."""
        self._login.send(SignalTo(to=to, leg=message))

    def report_quality(self, quality: NetworkQualityChanged) -> None:
        """For everybody's room_network_quality; while the link is lost it goes nowhere."""
        with suppress(LinkLostError):
            self._login.send(ReportQuality(uplink=quality.uplink, downlink=quality.downlink))

    async def request(self, operation: str, make: Callable[[int], ClientMessage]) -> None:
        """One confirmed request. Raises `RtcError` with the hub's code, or what the lost link makes of it."""
        if not self._connection.is_joined:
            raise NotJoinedError("not in a room", operation=operation, state=self._connection.state)
        await self._login.request(operation, make, Ok)

    async def set_role(self, role: Role) -> None:
        await self.request("set_client_role", lambda request_id: SetRole(id=request_id, role=role))
        self.role = role
        self.ticket = replace(self.ticket, role=role)
        if role == "audience":
            self.priority = MediaPriority.NORMAL
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
                self._fault(exc)

        self._spawn(attended(), name)

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
