"""The login at a hub: one session over every lost link, in a room or out of one (X01; T3: RS23, TR15, TR16).

    DISCONNECTED --open--> CONNECTING --> CONNECTED --link lost--> RECONNECTING --back--> CONNECTED
         ^                     |             |                          |
         |<------ refused -----+   close     |   gave up                |
         |<----------------------------------+<-------------------------+
         +---- close ---- ABORTED <-- another login with this id, a ban, a token past its grace

It owns the link and every task of its time. The stay in a room is its guest: it is told of the link and of what the
hub says of the room, and a reconnect brings it back into its room.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Protocol

from appliance.errors import JoinTimeoutError, RtcError, RtcErrorCode, ServiceUnavailableError
from appliance.events import Event
from appliance.room.comeback import CannotReturnError, come_back, enter_at_once, error_info
from appliance.room.entry import Credentials, Entry, Ticket, Token, TokenUnavailableError, enter, fetch
from appliance.room.events import ConnectionReason, ErrorRaised, LoginReason, LoginState, RtcErrorInfo
from appliance.room.hub_line import HubLine
from appliance.room.link import Link, LinkLostError
from appliance.room.login_status import LoginStatus
from appliance.room.options import RoomOptions
from appliance.room.signaling import HubMessage
from appliance.room.signaling_login import Logout, Ok, SetUserName
from appliance.room.signaling_room import Joined, Kicked, Leave, RoomClosed
from appliance.room.task_set import TaskSet

logger = logging.getLogger(__name__)

LOGOUT_TIMEOUT_S = 0.5  # for the hub's word on our Logout: the seat goes anyhow
_ABORTS = {
    "kick": LoginReason.REMOTE_LOGIN,
    "removed": LoginReason.REMOTE_LOGIN,
    "banned": LoginReason.BANNED_BY_SERVER,
    "token_expired": LoginReason.TOKEN_EXPIRED,
}
_ABORT_CODES = {
    RtcErrorCode.KICKED: LoginReason.REMOTE_LOGIN,
    RtcErrorCode.BANNED: LoginReason.BANNED_BY_SERVER,
    RtcErrorCode.TOKEN_EXPIRED: LoginReason.TOKEN_EXPIRED,
}


class Occupant(Protocol):
    """A stay in a room, as the login knows it."""

    @property
    def ticket(self) -> Ticket: ...

    def take(self, message: HubMessage) -> None:
        """A push that is no business of the login."""

    def interrupted(self, why: str) -> None: ...

    def restored(self, joined: Joined, *, resumed: bool, new_hub: bool) -> None: ...

    def put_out(self, message: Kicked | RoomClosed) -> None:
        """Out of the room while the link was lost; the login is back."""

    def ended(self, error: RtcErrorInfo, reason: ConnectionReason) -> None:
        """The login could not come back."""


class Login:
    """Made once a client; `open` and `close` any number of times. One event loop."""

    def __init__(self, url: str, options: RoomOptions, emit: Callable[[Event], None]) -> None:
        self.status = LoginStatus(emit)
        self.line = HubLine(self.status, options.request_timeout_s, self._take)
        self.user_id: str | None = None
        self.is_implicit = False  # made by a join, not by the user
        self.occupant: Occupant | None = None
        self._url = url
        self._options = options
        self._emit = emit
        self._credentials = Credentials("", "", "")
        self._session = ""
        self._hub = ""
        self._network_changed = asyncio.Event()
        self._tasks = TaskSet()
        self._closing: set[asyncio.Task[None]] = set()  # of links

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """A task of the login's: an `RtcError` of it is logged, and the end of the login ends it."""

        async def run() -> None:
            try:
                await coroutine
            except (RtcError, LinkLostError) as exc:
                logger.warning("%s: %s", name, exc)

        self._tasks.spawn(run(), name)

    def vacate(self, occupant: Occupant) -> None:
        """It hears nothing any more; nothing to do is fine."""
        if self.occupant is occupant:
            self.occupant = None

    # --- in and out

    async def open(self, credentials: Credentials, *, ticket: Ticket | None = None) -> Entry:
        """To CONNECTED, and with a `ticket` into its room. The caller hands the link's messages on with `line.deliver`.

        Raises the hub's `RtcError`, `JoinTimeoutError`, `ServiceUnavailableError`; then it is DISCONNECTED again.
        """
        self.status.change(LoginState.CONNECTING, LoginReason.LOGIN)
        try:
            async with asyncio.timeout(self._options.join_timeout_s):
                entry = await self._enter(credentials, ticket)
                if entry.link.is_lost:
                    await entry.link.close()
                    raise LinkLostError("the link was lost at once")
        except TimeoutError as exc:
            error = JoinTimeoutError(f"no accept of {self._url} within {self._options.join_timeout_s:g} s")
            self.status.change(LoginState.DISCONNECTED, LoginReason.LOGIN_TIMEOUT, error_info(error))
            raise error from exc
        except (LinkLostError, TokenUnavailableError) as exc:
            refused = ServiceUnavailableError(str(exc))
            refused.retry_after_s = exc.retry_after_s if isinstance(exc, LinkLostError) else 0.0
            self.status.change(LoginState.DISCONNECTED, LoginReason.LOGIN_FAILURE, error_info(refused))
            raise refused from exc
        except RtcError as exc:
            self.status.change(LoginState.DISCONNECTED, LoginReason.LOGIN_FAILURE, error_info(exc))
            raise
        except BaseException:
            self.status.change(LoginState.DISCONNECTED, LoginReason.LOGOUT)
            raise
        self._credentials = credentials
        self._take_seat(entry)
        self.status.change(LoginState.CONNECTED, LoginReason.LOGIN_SUCCESS)
        return entry

    async def _enter(self, credentials: Credentials, ticket: Ticket | None) -> Entry:
        while True:
            entering = enter(self._url, credentials, self._options, self._link_lost, ticket=ticket)
            try:
                return await enter_at_once(entering, self._network_changed)
            except LinkLostError:
                if not self._network_changed.is_set():
                    raise

    def network_changed(self, *, back: bool, gone: frozenset[str]) -> None:
        """`back`: attempts under way begin anew, waiting ones at once. A link from an address of `gone` is lost."""
        if self.line.link is not None:
            self.line.link.lose_address(gone)
        if back:
            self._network_changed.set()

    async def join(self, ticket: Ticket) -> Joined:
        """Into a room of a login that is CONNECTED, or becomes so again in time."""
        await self.status.wait_connected()
        credentials = ticket.credentials
        token = await fetch(credentials.token) if credentials.token else ""
        return await self.line.request(
            "join", lambda request_id: ticket.request(request_id, token), Joined, self._options.join_timeout_s
        )

    async def close(self) -> None:
        """To DISCONNECTED, from any state; nothing of it is left."""
        link, self.line.link = self.line.link, None
        await self._tasks.cancel()
        if link is not None:
            if self.status.state is LoginState.CONNECTED:
                try:
                    await link.request(lambda request_id: Logout(id=request_id), Ok, LOGOUT_TIMEOUT_S)
                except (LinkLostError, TimeoutError, RtcError) as exc:
                    logger.debug("the hub did not confirm the logout: %s", exc)
            await link.close()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self.status.state is not LoginState.DISCONNECTED:
            self.status.change(LoginState.DISCONNECTED, LoginReason.LOGOUT)
        self.user_id = None

    # --- who we are

    @property
    def user_name(self) -> str:
        """What the others call one."""
        return self._credentials.user_name

    async def set_user_name(self, user_name: str) -> None:
        await self.line.request("set_user_name", lambda request_id: SetUserName(id=request_id, user_name=user_name), Ok)
        self._credentials = replace(self._credentials, user_name=user_name)

    @property
    def token(self) -> Token:
        """What the next login uses."""
        return self._credentials.token

    def keep_token(self, token: str) -> None:
        """The hub took it: the next login uses it too."""
        self._credentials = replace(self._credentials, token=token)

    # --- the link

    def _take_seat(self, entry: Entry) -> None:
        self.line.link = entry.link
        self._session, self._hub = entry.logged_in.session, entry.logged_in.hub
        self.user_id = entry.logged_in.user_id
        self._credentials = replace(self._credentials, user_id=self.user_id)

    def _link_lost(self, link: Link, why: str) -> None:
        if link is not self.line.link or self.status.state is not LoginState.CONNECTED:
            return
        logger.warning("link to the hub lost: %s", why)
        self.status.change(LoginState.RECONNECTING, LoginReason.INTERRUPTED)
        if self.occupant is not None:
            self.occupant.interrupted(why)
        self._tasks.spawn(self._reconnect(link), "room-reconnect")

    async def _reconnect(self, lost: Link) -> None:
        await lost.close()
        try:
            entry = await come_back(
                self._url,
                self._credentials,
                self._options,
                self._link_lost,
                session=self._session,
                ticket=lambda: self.occupant.ticket if self.occupant is not None else None,
                network_changed=self._network_changed,
            )
        except CannotReturnError as exc:
            self.line.link = None
            self._give_up(exc)
        else:
            self._return(entry)

    def _give_up(self, exc: CannotReturnError) -> None:
        reason = _ABORT_CODES.get(exc.error.code)
        state = LoginState.DISCONNECTED if reason is None else LoginState.ABORTED
        self.status.change(state, reason or LoginReason.INTERRUPTED, exc.error)
        occupant, self.occupant = self.occupant, None
        if occupant is not None:
            occupant.ended(exc.error, exc.reason)
        else:
            self._emit(ErrorRaised(error=exc.error))

    def _return(self, entry: Entry) -> None:
        new_hub = entry.logged_in.hub != self._hub
        self._take_seat(entry)
        self.status.change(LoginState.CONNECTED, LoginReason.LOGIN_SUCCESS)
        occupant = self.occupant
        if occupant is not None and entry.joined is not None:
            occupant.restored(entry.joined, resumed=entry.resumed, new_hub=new_hub)
        elif occupant is not None and entry.put_out is not None:
            self.occupant = None
            occupant.put_out(entry.put_out)
        elif occupant is None and (entry.joined is not None or entry.logged_in.in_room):
            self.spawn(self._leave_room(), "room-late-leave")  # it was left while the link was lost
        self.line.deliver(resumed=entry.resumed)

    async def _leave_room(self) -> None:
        await self.line.request("leave", lambda request_id: Leave(id=request_id), Ok)

    # --- what the hub says

    def _take(self, message: HubMessage) -> None:
        if isinstance(message, Joined):  # of a room that was left while the link was lost
            return
        if self.occupant is not None:
            self.occupant.take(message)
        if isinstance(message, Kicked) and message.login_ends:
            self._abort(message)

    def _abort(self, kicked: Kicked) -> None:
        link, self.line.link = self.line.link, None
        self.occupant = None
        error = RtcErrorInfo(RtcErrorCode.KICKED, RtcErrorCode.KICKED.name, kicked.message or kicked.reason)
        self.status.change(LoginState.ABORTED, _ABORTS[kicked.reason], error)
        if link is not None:
            closing = asyncio.create_task(link.close(), name="room-link-close")
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
