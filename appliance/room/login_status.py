"""The state of a login, as `connection.py` has that of a stay; `login.py` draws what moves it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from appliance.errors import InvalidStateError, NotLoggedInError
from appliance.room.events import LoginReason, LoginState, LoginStateChanged, RtcErrorInfo

logger = logging.getLogger(__name__)


class LoginStatus:
    """`emit` gets each change at once, as one `LoginStateChanged`."""

    def __init__(self, emit: Callable[[LoginStateChanged], None]) -> None:
        self.state = LoginState.DISCONNECTED
        self._emit = emit
        self._changed = asyncio.Event()
        self._on_logout: list[Callable[[], None]] = []

    def on_logout(self, call: Callable[[], None]) -> None:
        """Call `call` when the login has ended for good."""
        self._on_logout.append(call)

    def change(self, state: LoginState, reason: LoginReason, error: RtcErrorInfo | None = None) -> None:
        previous, self.state = self.state, state
        self._changed.set()
        logger.info("login %s -> %s (%s)%s", previous, state, reason, f": {error.message}" if error else "")
        if state in (LoginState.DISCONNECTED, LoginState.ABORTED):
            for call in self._on_logout:
                call()
        self._emit(LoginStateChanged(prev_state=previous, cur_state=state, reason=reason, error=error))

    async def wait_connected(self) -> None:
        """While it is on its way; raises `NotLoggedInError` when it does not arrive."""
        while self.state in (LoginState.CONNECTING, LoginState.RECONNECTING):
            self._changed.clear()
            await self._changed.wait()
        if self.state is not LoginState.CONNECTED:
            raise NotLoggedInError(f"the login is {self.state}", state=self.state)

    def check_free(self, operation: str) -> None:
        """Raises `InvalidStateError` unless one may log in."""
        if self.state is not LoginState.DISCONNECTED:
            raise InvalidStateError(
                f"{operation}() in {self.state}; log out first", operation=operation, state=self.state
            )
