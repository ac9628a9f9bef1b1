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
from typing import Any, Protocol, TypeVar

from appliance.errors import (
    InvalidStateError,
    JoinTimeoutError,
    NotLoggedInError,
    ReconnectingError,
    RtcError,
    RtcErrorCode,
    ServiceUnavailableError,
)
from appliance.events import Event
from appliance.room.comeback import CannotReturnError, come_back, enter_at_once, error_info
from appliance.room.entry import Credentials, Entry, Ticket, Token, TokenUnavailableError, enter, fetch
from appliance.room.events import (
    ConnectionReason,
    ErrorRaised,
    LoginReason,
    LoginState,
    LoginStateChanged,
    RtcErrorInfo,
)
from appliance.room.link import Link, LinkLostError
from appliance.room.options import RoomOptions
from appliance.room.signaling import ClientMessage, HubMessage
from appliance.room.signaling_login import Logout, Ok, SetUserName
from appliance.room.signaling_room import Joined, Kicked, Leave, RoomClosed

logger = logging.getLogger(__name__)

R = TypeVar("R")

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
        self.state = LoginState.DISCONNECTED
        self.user_id: str | None = None
        self.is_implicit = False  # made by a join, not by the user
        self.occupant: Occupant | None = None
        self._url = url
        self._options = options
        self._emit = emit
        self._credentials = Credentials("", "", "")
        self._link: Link | None = None
        self._session = ""
        self._hub = ""
        self._pushes: dict[type[Any], Callable[[Any], None]] = {}
        self._on_seated: list[Callable[[bool], None]] = []
        self._changed = asyncio.Event()
        self._network_changed = asyncio.Event()
        self._reconnecting: asyncio.Task[None] | None = None
        self._on_logout: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()  # of links

    # --- for what lives in the login scope

    def on_push(self, message: type[R], take: Callable[[R], None]) -> None:
        """Call `take` with every pushed message of this class."""
        self._pushes[message] = take

    def on_seated(self, call: Callable[[bool], None]) -> None:
        """Call `call(resumed)` each time that the login becomes CONNECTED: False, and the hub knows nothing of us."""
        self._on_seated.append(call)

    def on_logout(self, call: Callable[[], None]) -> None:
        """Call `call` when the login has ended for good."""
        self._on_logout.append(call)

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """A task of the login's: an `RtcError` of it is logged, and the end of the login ends it."""

        async def run() -> None:
            try:
                await coroutine
            except (RtcError, LinkLostError) as exc:
                logger.warning("%s: %s", name, exc)

        task = asyncio.create_task(run(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def vacate(self, occupant: Occupant) -> None:
        """It hears nothing any more; nothing to do is fine."""
        if self.occupant is occupant:
            self.occupant = None

    # --- in and out

    async def open(self, credentials: Credentials, *, ticket: Ticket | None = None) -> Entry:
        """To CONNECTED, and with a `ticket` into its room. The caller hands the link's messages on with `deliver`.

        Raises the hub's `RtcError`, `JoinTimeoutError`, `ServiceUnavailableError`; then it is DISCONNECTED again.
        """
        self._set_state(LoginState.CONNECTING, LoginReason.LOGIN)
        try:
            async with asyncio.timeout(self._options.join_timeout_s):
                entry = await self._enter(credentials, ticket)
                if entry.link.is_lost:
                    await entry.link.close()
                    raise LinkLostError("the link was lost at once")
        except TimeoutError as exc:
            error = JoinTimeoutError(f"no accept of {self._url} within {self._options.join_timeout_s:g} s")
            self._set_state(LoginState.DISCONNECTED, LoginReason.LOGIN_TIMEOUT, error_info(error))
            raise error from exc
        except (LinkLostError, TokenUnavailableError) as exc:
            refused = ServiceUnavailableError(str(exc))
            refused.retry_after_s = exc.retry_after_s if isinstance(exc, LinkLostError) else 0.0
            self._set_state(LoginState.DISCONNECTED, LoginReason.LOGIN_FAILURE, error_info(refused))
            raise refused from exc
        except RtcError as exc:
            self._set_state(LoginState.DISCONNECTED, LoginReason.LOGIN_FAILURE, error_info(exc))
            raise
        except BaseException:
            self._set_state(LoginState.DISCONNECTED, LoginReason.LOGOUT)
            raise
        self._credentials = credentials
        self._take_seat(entry)
        self._set_state(LoginState.CONNECTED, LoginReason.LOGIN_SUCCESS)
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
        if self._link is not None:
            self._link.lose_address(gone)
        if back:
            self._network_changed.set()

    def deliver(self) -> None:
        """From now on pushed messages go where they belong, those that waited first."""
        if self._link is not None:
            self._link.deliver(self._take)
            self._tell_seated(resumed=False)

    async def join(self, ticket: Ticket) -> Joined:
        """Into a room of a login that is CONNECTED, or becomes so again in time."""
        await self.wait_connected()
        credentials = ticket.credentials
        token = await fetch(credentials.token) if credentials.token else ""
        return await self.request(
            "join", lambda request_id: ticket.request(request_id, token), Joined, self._options.join_timeout_s
        )

    async def wait_connected(self) -> None:
        """While it is on its way; raises `NotLoggedInError` when it does not arrive."""
        while self.state in (LoginState.CONNECTING, LoginState.RECONNECTING):
            self._changed.clear()
            await self._changed.wait()
        if self.state is not LoginState.CONNECTED:
            raise NotLoggedInError(f"the login is {self.state}", state=self.state)

    async def close(self) -> None:
        """To DISCONNECTED, from any state; nothing of it is left."""
        link, self._link = self._link, None
        reconnecting, self._reconnecting = self._reconnecting, None
        tasks = [*self._tasks, *([reconnecting] if reconnecting is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if link is not None:
            if self.state is LoginState.CONNECTED:
                try:
                    await link.request(lambda request_id: Logout(id=request_id), Ok, LOGOUT_TIMEOUT_S)
                except (LinkLostError, TimeoutError, RtcError) as exc:
                    logger.debug("the hub did not confirm the logout: %s", exc)
            await link.close()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self.state is not LoginState.DISCONNECTED:
            self._set_state(LoginState.DISCONNECTED, LoginReason.LOGOUT)
        self.user_id = None

    # --- what we say to the hub

    def send(self, message: ClientMessage) -> None:
        """Raises `LinkLostError`."""
        if self._link is None:
            raise LinkLostError("not logged in")
        self._link.send(message)

    @property
    def user_name(self) -> str:
        """What the others call one."""
        return self._credentials.user_name

    async def set_user_name(self, user_name: str) -> None:
        await self.request("set_user_name", lambda request_id: SetUserName(id=request_id, user_name=user_name), Ok)
        self._credentials = replace(self._credentials, user_name=user_name)

    @property
    def token(self) -> Token:
        """What the next login uses."""
        return self._credentials.token

    def keep_token(self, token: str) -> None:
        """The hub took it: the next login uses it too."""
        self._credentials = replace(self._credentials, token=token)

    def check_in(self, operation: str) -> None:
        """Raises `NotLoggedInError` or, while the link is lost, `ReconnectingError` (IL25)."""
        state = self.state
        if state is LoginState.RECONNECTING:
            raise ReconnectingError(f"{operation}() in {state}", operation=operation, state=state)
        if self._link is None or state is not LoginState.CONNECTED:
            raise NotLoggedInError(f"{operation}() before login()", operation=operation, state=state)

    async def request(
        self,
        operation: str,
        make: Callable[[int], ClientMessage],
        reply: type[R],
        timeout_s: float | None = None,
    ) -> R:
        """One confirmed request. Raises `RtcError` with the hub's code, or what the lost link makes of it."""
        self.check_in(operation)
        state = self.state
        assert self._link is not None
        timeout_s = self._options.request_timeout_s if timeout_s is None else timeout_s
        try:
            answer: R = await self._link.request(make, reply, timeout_s)
        except LinkLostError as exc:
            raise ReconnectingError(f"the link was lost: {exc}", operation=operation, state=state) from exc
        except TimeoutError as exc:
            message = f"no answer of the hub within {timeout_s:g} s"
            raise RtcError(message, operation=operation, state=state, code=RtcErrorCode.SERVICE_UNAVAILABLE) from exc
        except RtcError as exc:
            exc.operation, exc.state = operation, state
            raise
        return answer

    # --- the link

    def _take_seat(self, entry: Entry) -> None:
        self._link = entry.link
        self._session, self._hub = entry.logged_in.session, entry.logged_in.hub
        self.user_id = entry.logged_in.user_id
        self._credentials = replace(self._credentials, user_id=self.user_id)

    def _link_lost(self, link: Link, why: str) -> None:
        if link is not self._link or self.state is not LoginState.CONNECTED:
            return
        logger.warning("link to the hub lost: %s", why)
        self._set_state(LoginState.RECONNECTING, LoginReason.INTERRUPTED)
        if self.occupant is not None:
            self.occupant.interrupted(why)
        self._reconnecting = asyncio.create_task(self._reconnect(link), name="room-reconnect")

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
            self._link = None
            self._give_up(exc)
        else:
            self._return(entry)

    def _give_up(self, exc: CannotReturnError) -> None:
        reason = _ABORT_CODES.get(exc.error.code)
        state = LoginState.DISCONNECTED if reason is None else LoginState.ABORTED
        self._set_state(state, reason or LoginReason.INTERRUPTED, exc.error)
        occupant, self.occupant = self.occupant, None
        if occupant is not None:
            occupant.ended(exc.error, exc.reason)
        else:
            self._emit(ErrorRaised(error=exc.error))

    def _return(self, entry: Entry) -> None:
        new_hub = entry.logged_in.hub != self._hub
        self._take_seat(entry)
        self._set_state(LoginState.CONNECTED, LoginReason.LOGIN_SUCCESS)
        occupant = self.occupant
        if occupant is not None and entry.joined is not None:
            occupant.restored(entry.joined, resumed=entry.resumed, new_hub=new_hub)
        elif occupant is not None and entry.put_out is not None:
            self.occupant = None
            occupant.put_out(entry.put_out)
        elif occupant is None and (entry.joined is not None or entry.logged_in.in_room):
            self.spawn(self._leave_room(), "room-late-leave")  # it was left while the link was lost
        entry.link.deliver(self._take)
        self._tell_seated(resumed=entry.resumed)

    async def _leave_room(self) -> None:
        await self.request("leave", lambda request_id: Leave(id=request_id), Ok)

    # --- what the hub says

    def _take(self, message: HubMessage) -> None:
        push = self._pushes.get(type(message))
        if push is not None:
            push(message)
            return
        if isinstance(message, Joined):  # of a room that was left while the link was lost
            return
        if self.occupant is not None:
            self.occupant.take(message)
        if isinstance(message, Kicked) and message.login_ends:
            self._abort(message)

    def _abort(self, kicked: Kicked) -> None:
        link, self._link = self._link, None
        self.occupant = None
        error = RtcErrorInfo(RtcErrorCode.KICKED, RtcErrorCode.KICKED.name, kicked.message or kicked.reason)
        self._set_state(LoginState.ABORTED, _ABORTS[kicked.reason], error)
        if link is not None:
            closing = asyncio.create_task(link.close(), name="room-link-close")
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    # --- inside

    def _tell_seated(self, *, resumed: bool) -> None:
        for call in self._on_seated:
            call(resumed)

    def _set_state(self, state: LoginState, reason: LoginReason, error: RtcErrorInfo | None = None) -> None:
        previous, self.state = self.state, state
        self._changed.set()
        logger.info("login %s -> %s (%s)%s", previous, state, reason, f": {error.message}" if error else "")
        if state in (LoginState.DISCONNECTED, LoginState.ABORTED):
            for call in self._on_logout:
                call()
        self._emit(LoginStateChanged(prev_state=previous, cur_state=state, reason=reason, error=error))


def check_free(login: Login, operation: str) -> None:
    """Raises `InvalidStateError` unless one may log in."""
    if login.state is not LoginState.DISCONNECTED:
        raise InvalidStateError(
            f"{operation}() in {login.state}; log out first", operation=operation, state=login.state
        )
