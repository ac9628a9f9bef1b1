"""The end of a stay: by one's own wish, the hub's, a fault, or for want of a way back. Once, and nothing is left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from appliance.errors import LeaveReason, RtcError, RtcErrorCode
from appliance.events import Event
from appliance.room.backend import MediaBackend
from appliance.room.connection import Connection, Trigger
from appliance.room.events import ConnectionReason, ConnectionState, ErrorRaised, LoginState, RtcErrorInfo
from appliance.room.login import Login, Occupant
from appliance.room.options import RoomOptions
from appliance.room.signaling_login import Ok
from appliance.room.signaling_room import Leave, LeaveWhy
from appliance.room.task_set import TaskSet

logger = logging.getLogger(__name__)

RELEASE_S = 3.0  # of a machine that is late: connections end in some milliseconds
LEAVE_TIMEOUT_S = 0.5  # for the hub's word on our Leave: the seat goes anyhow
_LEAVE_REASONS: dict[LeaveReason, LeaveWhy] = {LeaveReason.SFU_ERROR: 2, LeaveReason.INTERNAL_ERROR: 4}


class Departure:
    """Of `occupant`: its `tasks` end, its `media` are closed, the `login` has no occupant any more."""

    def __init__(
        self,
        occupant: Occupant,
        login: Login,
        options: RoomOptions,
        *,
        connection: Connection,
        emit: Callable[[Event], None],
        media: MediaBackend,
        tasks: TaskSet,
    ) -> None:
        self._occupant = occupant
        self._login = login
        self._options = options
        self._connection = connection
        self._emit = emit
        self._media = media
        self._tasks = tasks
        self._ending: asyncio.Task[None] | None = None
        self._releasing: asyncio.Task[None] | None = None

    @property
    def has_begun(self) -> bool:
        return self._ending is not None

    @property
    def is_released(self) -> bool:
        """Nothing is left, or nothing has begun to end."""
        return self._releasing is None or self._releasing.done()

    async def released(self) -> None:
        """After the end: until nothing is left of it, or `RELEASE_S`."""
        if self._releasing is not None:
            await asyncio.wait((self._releasing,), timeout=RELEASE_S)

    # --- ways out

    async def leave(self, why: LeaveReason = LeaveReason.USER_LEFT) -> None:
        """To DISCONNECTED, from any state; a second call waits for the first."""
        if self._ending is None:
            self._connection.advance(Trigger.LEAVE, ConnectionReason.LEAVE)
            self._end(ConnectionReason.LEAVE, say_leave=why)
        assert self._ending is not None
        await asyncio.shield(self._ending)

    def evict(self, event: Event, reason: ConnectionReason) -> None:
        """The hub has put us out."""
        if self._connection.state is not ConnectionState.CONNECTED:
            return
        self._login.vacate(self._occupant)
        self._emit(event)
        self._connection.advance(Trigger.EVICTED, reason)
        self._end(reason)

    def media_lost(self) -> None:
        """RS03."""
        words = f"no media from or to anybody for {self._options.media_deadline_s:g} s"
        error = RtcErrorInfo(RtcErrorCode.MEDIA_LOST, RtcErrorCode.MEDIA_LOST.name, words)
        if self._break_off(error, LeaveReason.SFU_ERROR):
            logger.error("out of the room: %s", words)

    def fault(self, exc: Exception) -> None:
        """RS05: something of ours failed that is none of the network's failures; the room is told so."""
        error = RtcErrorInfo(RtcErrorCode.INTERNAL, RtcErrorCode.INTERNAL.name, f"a fault of the client: {exc!r}")
        logger.error("%s", error.message, exc_info=exc)
        if not self._break_off(error, LeaveReason.INTERNAL_ERROR):
            self.give_up(error, ConnectionReason.ERROR)

    def give_up(self, error: RtcErrorInfo, reason: ConnectionReason) -> None:
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

    # --- the end

    def _break_off(self, error: RtcErrorInfo, why: LeaveReason) -> bool:
        if self._connection.state is not ConnectionState.CONNECTED or self._ending is not None:
            return False
        self._connection.advance(Trigger.EVICTED, ConnectionReason.ERROR, error=error)
        self._end(ConnectionReason.ERROR, say_leave=why, error=error)
        return True

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

    def _start_release(self, say_leave: LeaveReason | None = None) -> asyncio.Task[None]:
        """Nobody cancels it: what is cancelled in the middle leaves sockets behind."""
        self._releasing = asyncio.create_task(self._release(say_leave=say_leave), name="room-release")
        return self._releasing

    async def _release(self, *, say_leave: LeaveReason | None = None) -> None:
        """Everything that the stay holds."""
        await self._tasks.cancel()
        self._login.vacate(self._occupant)
        if say_leave is not None and self._login.status.state is LoginState.CONNECTED:
            leave = partial(Leave, reason=_LEAVE_REASONS.get(say_leave, 0))
            try:
                await self._login.line.request("leave", lambda request_id: leave(id=request_id), Ok, LEAVE_TIMEOUT_S)
            except RtcError as exc:
                logger.debug("the hub did not confirm the leave: %s", exc)
        self._media.link_down()
        await self._media.close()
