"""One stay in a room: from CONNECTING to DISCONNECTED, over every lost link in between.

It owns the link, the roster, the media and every task of its time; when it has ended nothing of them is left. Media
goes on while the link to the hub is lost; a stay that isn't restored before the deadline ends with one error (TR10).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from appliance.errors import (
    JoinCancelledError,
    JoinTimeoutError,
    LeaveReason,
    NotJoinedError,
    ReconnectingError,
    RtcError,
    RtcErrorCode,
    ServiceUnavailableError,
    StreamNotFoundError,
)
from appliance.events import Event
from appliance.room.backend import MediaBackend
from appliance.room.comeback import CannotReturnError, come_back, error_info
from appliance.room.connection import Connection, Trigger
from appliance.room.entry import Entry, Ticket, TokenUnavailableError, enter
from appliance.room.events import (
    ConnectionReason,
    ConnectionState,
    ErrorRaised,
    Kicked,
    PeerLeft,
    RoomClosed,
    StreamAdded,
    StreamRemoved,
    StreamUpdated,
)
from appliance.room.link import Link, LinkLostError
from appliance.room.options import RoomOptions
from appliance.room.roster import Roster
from appliance.room.signaling import ClientMessage, HubMessage
from appliance.room.signaling_base import Kind, Role, StreamName
from appliance.room.signaling_login import Error, Ok
from appliance.room.signaling_room import Kicked as KickedMessage
from appliance.room.signaling_room import (
    Leave,
    LegMessage,
    MemberChanged,
    MemberLeft,
    Publish,
    SetMute,
    SignalFrom,
    SignalTo,
    StreamInfo,
    Unpublish,
)
from appliance.room.signaling_room import RoomClosed as RoomClosedMessage
from appliance.room.streams import LocalStream

logger = logging.getLogger(__name__)

LEAVE_TIMEOUT_S = 0.5  # for the hub's word on our Leave: the seat goes anyhow


class Stay:
    def __init__(
        self,
        url: str,
        ticket: Ticket,
        options: RoomOptions,
        *,
        connection: Connection,
        emit: Callable[[Event], None],
        media: MediaBackend,
        describe: Callable[[LocalStream], StreamInfo],
        auto_subscribe: bool,
    ) -> None:
        self.ticket = ticket
        self.media = media
        self.roster = Roster(ticket.room_id)
        self.user_id: str | None = None
        self.role: Role = ticket.role
        self.published: dict[StreamName, LocalStream] = {}
        self._url = url
        self._options = options
        self._connection = connection
        self._emit = emit
        self._describe = describe
        self._auto_subscribe = auto_subscribe
        self._link: Link | None = None
        self._session = ""
        self._hub = ""
        self._announced: set[StreamName] = set()  # what the hub may know of ours
        self._entering: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- in and out

    async def enter(self) -> None:
        """From CONNECTING to CONNECTED, or a `JoinError` and DISCONNECTED."""
        self._entering = self._spawn(self._enter(), "room-join")
        try:
            async with asyncio.timeout(self._options.join_timeout_s):
                await self._entering
        except TimeoutError as exc:
            if self._connection.state is ConnectionState.CONNECTING:
                error = JoinTimeoutError(f"no accept of {self._url} within {self._options.join_timeout_s:g} s")
                raise self._refused(error) from exc
        except LinkLostError as exc:
            raise self._refused(ServiceUnavailableError(str(exc))) from exc
        except TokenUnavailableError as exc:
            raise self._refused(ServiceUnavailableError(str(exc))) from exc
        except RtcError as exc:
            raise self._refused(exc) from exc.__cause__
        except asyncio.CancelledError:
            await self._cancelled()
            raise

    async def leave(self) -> None:
        """To DISCONNECTED, from any state; a second call waits for the first."""
        if self._ending is None:
            self._connection.advance(Trigger.LEAVE, ConnectionReason.LEAVE)
            self._end(ConnectionReason.LEAVE, say_leave=True)
        assert self._ending is not None
        await asyncio.shield(self._ending)

    async def _enter(self) -> None:
        entry = await enter(self._url, self.ticket, self._options, self._link_lost)
        if entry.link.is_lost:
            await entry.link.close()
            raise LinkLostError("the link was lost at once")
        self._take_seat(entry)
        self._connection.advance(Trigger.ACCEPTED, ConnectionReason.JOIN_SUCCESS)
        self._settle(entry)

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
        error.operation, error.state = "join", str(ConnectionState.CONNECTING)
        self._connection.advance(Trigger.REFUSED, ConnectionReason.ERROR, error=error_info(error))
        return error

    def _evict(self, event: Kicked | RoomClosed, reason: ConnectionReason) -> None:
        if self._connection.state is not ConnectionState.CONNECTED:
            return
        self._emit(event)
        self._connection.advance(Trigger.EVICTED, reason)
        self._end(reason, say_leave=False)

    def _end(self, reason: ConnectionReason, *, say_leave: bool) -> None:
        async def end() -> None:
            try:
                async with asyncio.timeout(self._options.leave_timeout_s):
                    await self._release(say_leave=say_leave)
            except TimeoutError:
                logger.warning("leaving took over %g s", self._options.leave_timeout_s)
            finally:
                self._connection.advance(Trigger.TORN_DOWN, reason)

        self._ending = asyncio.create_task(end(), name="room-leave")

    async def _release(self, *, say_leave: bool) -> None:
        """Everything that this stay holds; all of it can be released twice."""
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        link = self._link
        if link is not None and say_leave and not link.is_lost:
            try:
                await link.request(lambda request_id: Leave(id=request_id), Ok, LEAVE_TIMEOUT_S)
            except (LinkLostError, TimeoutError, RtcError) as exc:
                logger.debug("the hub did not confirm the leave: %s", exc)
        self.media.link_down()
        await asyncio.gather(self.media.close(), *([link.close()] if link is not None else []))

    # --- the link

    def _take_seat(self, entry: Entry) -> None:
        self._link = entry.link
        self._session = entry.logged_in.session
        self._hub = entry.logged_in.hub
        self.user_id = entry.joined.user_id
        self.role = entry.joined.role
        self.ticket = replace(self.ticket, user_id=entry.joined.user_id)
        self.media.ice_servers = entry.joined.ice_servers

    def _settle(self, entry: Entry, *, new_hub: bool = False) -> None:
        self._apply(self.roster.resync(entry.joined.members, new_hub=new_hub))
        self.media.link_up()
        entry.link.deliver(self._take)

    def _link_lost(self, link: Link, why: str) -> None:
        if link is not self._link or self._connection.state is not ConnectionState.CONNECTED:
            return
        logger.warning("link to the hub lost: %s", why)
        self.media.link_down()
        self._connection.advance(Trigger.LINK_LOST, ConnectionReason.INTERRUPTED)
        self._spawn(self._reconnect(link), "room-reconnect")

    async def _reconnect(self, lost: Link) -> None:
        await lost.close()
        try:
            entry = await come_back(self._url, self.ticket, self._options, self._link_lost, session=self._session)
        except CannotReturnError as exc:
            await self._release(say_leave=False)
            self._connection.advance(Trigger.GAVE_UP, exc.reason, error=exc.error)
            self._emit(ErrorRaised(error=exc.error))
        else:
            await self._return(entry)

    async def _return(self, entry: Entry) -> None:
        new_hub = entry.logged_in.hub != self._hub
        self._take_seat(entry)
        self._connection.advance(Trigger.RESTORED, ConnectionReason.RECONNECTED, resumed=entry.resumed)
        self._connection.advance(Trigger.SETTLED, ConnectionReason.RECONNECTED, resumed=entry.resumed)
        if new_hub:
            self._spawn(self._end_return(), "room-return-grace")
        self._settle(entry, new_hub=new_hub)
        if not entry.resumed:
            self._announced.clear()
        try:
            for name in self._announced - set(self.published):
                await self._unpublish(name)
            for stream in list(self.published.values()):
                await self._publish(stream)
        except RtcError as exc:
            logger.warning("what was published could not be restored: %s", exc)

    async def _end_return(self) -> None:
        await asyncio.sleep(self._options.return_grace_s)
        self._apply(self.roster.end_return())

    # --- what the hub says

    def _take(self, message: HubMessage) -> None:
        match message:
            case MemberChanged() if message.member.user_id != self.user_id:
                self._apply(self.roster.change(message))
                self.media.nudge(message.member.user_id)
            case MemberLeft():
                self._apply(self.roster.leave(message))
            case SignalFrom():
                self.media.signal(message.sender, message.leg)
            case KickedMessage():
                code = LeaveReason(message.code) if message.code in set(LeaveReason) else LeaveReason.KICKED
                expired = message.reason == "token_expired"
                self._evict(
                    Kicked(user_id=self.user_id or "", reason=message.reason, message=message.message, code=code),
                    ConnectionReason.TOKEN_EXPIRED if expired else ConnectionReason.KICKED,
                )
            case RoomClosedMessage():
                reason = LeaveReason(message.reason) if message.reason in set(LeaveReason) else LeaveReason(10)
                self._evict(
                    RoomClosed(room_id=message.room, reason=reason, message=message.message),
                    ConnectionReason.ROOM_CLOSED,
                )
            case Error():
                logger.info("the hub says: %s (%s)", message.message, message.code)

    def _apply(self, events: list[Event]) -> None:
        for event in events:  # first: who is gone gets no farewell for each leg
            if isinstance(event, PeerLeft):
                self.media.forget(event.user_id)
        for event in events:
            match event:
                case StreamRemoved():
                    self.media.want(event.stream, frozenset())
                case StreamAdded() if self._auto_subscribe:
                    self.media.want(event.stream, frozenset(event.kinds))
                case StreamUpdated() if self._auto_subscribe and event.added:
                    self.media.want(event.stream, self.media.wanted(event.stream) | frozenset(event.added))
            self._emit(event)

    # --- what we say to the hub

    def send_leg(self, to: str, message: LegMessage) -> None:
        """Raises `LinkLostError`."""
        if self._link is None:
            raise LinkLostError("not in a room")
        self._link.send(SignalTo(to=to, leg=message))

    async def request(self, operation: str, make: Callable[[int], ClientMessage]) -> None:
        """One confirmed request. Raises `RtcError` with the hub's code, or what the lost link makes of it."""
        state = self._connection.state
        if self._link is None:
            raise NotJoinedError("not in a room", operation=operation, state=state)
        try:
            await self._link.request(make, Ok, self._options.request_timeout_s)
        except LinkLostError as exc:
            cls = ReconnectingError if self._connection.is_joined else NotJoinedError
            raise cls(f"the link was lost: {exc}", operation=operation, state=state) from exc
        except TimeoutError as exc:
            message = f"no answer of the hub within {self._options.request_timeout_s:g} s"
            raise RtcError(message, operation=operation, state=state, code=RtcErrorCode.SERVICE_UNAVAILABLE) from exc
        except RtcError as exc:
            exc.operation, exc.state = operation, state
            raise

    async def publish(self, stream: LocalStream) -> None:
        """Others can ask for it from now on; on an error everything is as before."""
        before = self.published.get(stream.name)
        self._offer(stream.name, stream)
        try:
            await self._publish(stream)
        except BaseException:
            self._offer(stream.name, before)
            raise

    async def unpublish(self, name: StreamName) -> None:
        self._offer(name, None)
        await self._unpublish(name)

    async def announce_mute(self, kind: Kind, muted: bool) -> None:
        await self.request("mute", lambda request_id: SetMute(id=request_id, kind=kind, muted=muted))

    async def _publish(self, stream: LocalStream) -> None:
        self._announced.add(stream.name)
        await self.request("publish", lambda request_id: Publish(id=request_id, stream=self._describe(stream)))

    async def _unpublish(self, name: StreamName) -> None:
        try:
            await self.request("unpublish", lambda request_id: Unpublish(id=request_id, name=name))
        except StreamNotFoundError:
            logger.debug("the hub never heard of %s", name)
        self._announced.discard(name)

    def _offer(self, name: StreamName, stream: LocalStream | None) -> None:
        if stream is None:
            self.published.pop(name, None)
        else:
            self.published[name] = stream
        self.media.publish(name, frozenset(stream.kinds) if stream is not None else frozenset())

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
