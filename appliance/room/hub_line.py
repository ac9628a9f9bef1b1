"""What is said between us and the hub in one login, over whichever link it has now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from appliance.errors import NotLoggedInError, ReconnectingError, RtcError, RtcErrorCode
from appliance.room.events import LoginState
from appliance.room.link import Link, LinkLostError
from appliance.room.login_status import LoginStatus
from appliance.room.signaling import ClientMessage, HubMessage

R = TypeVar("R")


class HubLine:
    """The login sets `link`, and calls `deliver` when what the hub pushed may go where it belongs."""

    def __init__(self, status: LoginStatus, request_timeout_s: float, on_other: Callable[[HubMessage], None]) -> None:
        """`on_other` gets the pushed messages that nobody has asked for with `on_push`."""
        self.link: Link | None = None
        self._status = status
        self._request_timeout_s = request_timeout_s
        self._on_other = on_other
        self._pushes: dict[type[Any], Callable[[Any], None]] = {}
        self._on_seated: list[Callable[[bool], None]] = []

    # --- what the hub says

    def on_push(self, message: type[R], take: Callable[[R], None]) -> None:
        """Call `take` with every pushed message of this class."""
        self._pushes[message] = take

    def on_seated(self, call: Callable[[bool], None]) -> None:
        """Call `call(resumed)` each time that the login becomes CONNECTED: False, and the hub knows nothing of us."""
        self._on_seated.append(call)

    def deliver(self, *, resumed: bool) -> None:
        """From now on pushed messages go where they belong, those that waited first."""
        if self.link is not None:
            self.link.deliver(self._take)
            for call in self._on_seated:
                call(resumed)

    def _take(self, message: HubMessage) -> None:
        self._pushes.get(type(message), self._on_other)(message)

    # --- what we say to the hub

    def send(self, message: ClientMessage) -> None:
        """Raises `LinkLostError`."""
        if self.link is None:
            raise LinkLostError("not logged in")
        self.link.send(message)

    def check_in(self, operation: str) -> Link:
        """The link. Raises `NotLoggedInError` or, while it is lost, `ReconnectingError` (IL25)."""
        state = self._status.state
        if state is LoginState.RECONNECTING:
            raise ReconnectingError(f"{operation}() in {state}", operation=operation, state=state)
        if self.link is None or state is not LoginState.CONNECTED:
            raise NotLoggedInError(f"{operation}() before login()", operation=operation, state=state)
        return self.link

    async def request(
        self,
        operation: str,
        make: Callable[[int], ClientMessage],
        reply: type[R],
        timeout_s: float | None = None,
    ) -> R:
        """One confirmed request. Raises `RtcError` with the hub's code, or what the lost link makes of it."""
        link, state = self.check_in(operation), self._status.state
        timeout_s = self._request_timeout_s if timeout_s is None else timeout_s
        try:
            answer: R = await link.request(make, reply, timeout_s)
        except LinkLostError as exc:
            raise ReconnectingError(f"the link was lost: {exc}", operation=operation, state=state) from exc
        except TimeoutError as exc:
            message = f"no answer of the hub within {timeout_s:g} s"
            raise RtcError(message, operation=operation, state=state, code=RtcErrorCode.SERVICE_UNAVAILABLE) from exc
        except RtcError as exc:
            exc.operation, exc.state = operation, state
            raise
        return answer
