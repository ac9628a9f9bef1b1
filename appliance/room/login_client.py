"""The login layer of the public surface (X01): listeners, login, and what works without a room.

Base of `RoomClient`. Every method checks its call before any I/O and raises a typed error without changing anything
(T3-I).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from appliance.errors import ClientDestroyedError
from appliance.events import Event
from appliance.room.emitter import Emitter, Listener
from appliance.room.entry import Credentials, Token
from appliance.room.events import LoginState
from appliance.room.invitations import Invitations, LocalInvitation
from appliance.room.log_upload import LogUpload
from appliance.room.login import Login
from appliance.room.options import RoomOptions
from appliance.room.peer_messages import Delivery, PeerMessages
from appliance.room.presence import Presence
from appliance.room.signaling_login import MissedInvitation
from appliance.room.token_life import TokenLife
from appliance.system_stats import SystemStats, read_system_stats

E = TypeVar("E", bound=Event)


class LoginClient:
    """One user of the hub at `url`, at most one login at a time."""

    def __init__(self, url: str, options: RoomOptions) -> None:
        self._options = options
        self._emitter = Emitter()
        self._login = Login(url, options, self._emitter.emit)
        self._invitations = Invitations(self._login, self._emitter.emit)
        self._presence = Presence(self._login, self._emitter.emit)
        self._messages = PeerMessages(self._login.line, self._emitter.emit)
        self._token_life = TokenLife(self._login, self._emitter.emit)
        self._log_upload = LogUpload(url, self._login, options, self._emitter.emit)
        self._destroyed = False

    # --- listeners

    def on(self, event: type[E] | str, callback: Listener[E]) -> None:
        """Call `callback`, plain or async, with each event of this class or hyphenated name (U02)."""
        self._check_alive("on")
        self._emitter.on(event, callback)

    def once(self, event: type[E] | str, callback: Listener[E]) -> None:
        self._check_alive("once")
        self._emitter.once(event, callback)

    def off(self, event: type[E] | str, callback: Listener[E]) -> None:
        self._check_alive("off")
        self._emitter.off(event, callback)

    def remove_all_listeners(self, event: type[Event] | str | None = None) -> None:
        self._check_alive("remove_all_listeners")
        self._emitter.remove_all_listeners(event)

    def listener_count(self, event: type[Event] | str) -> int:
        return self._emitter.listener_count(event)

    # --- in and out

    @property
    def login_state(self) -> LoginState:
        return self._login.status.state

    @property
    def login_user_id(self) -> str | None:
        """One's own id on the hub, in a room or not; None before a login."""
        return self._login.user_id

    async def login(self, user_id: str | int = "", token: Token = "", *, user_name: str = "") -> str:
        """Log in without entering a room; gives the user id. `join` does it by itself where it wasn't done.

        Raises `InvalidStateError` while logged in, also after ABORTED until `logout`; `InvalidArgumentError`,
        `JoinError`.
        """
        self._check_alive("login")
        self._login.status.check_free("login")
        credentials = Credentials(str(user_id), token, user_name)
        credentials.check("login")
        self._login.is_implicit = False
        await self._login.open(credentials)
        self._login.line.deliver(resumed=False)
        return self._login.user_id or ""

    async def logout(self) -> None:
        """Off the hub; nothing to do is fine."""
        self._check_alive("logout")
        await self._login.close()

    async def destroy(self) -> None:
        """Log out, forget every listener; any later call but this raises `ClientDestroyedError` (IL27)."""
        await self._login.close()
        self._log_upload.close()
        self._destroyed = True
        await self._emitter.close()

    async def renew_token(self, token: str) -> float:
        """A token of the same user and room in place of the login's; gives its end in seconds since 1970 (U75).

        Raises `TokenInvalidError` and `TokenExpiredError`, and the old one stays (IL21); `NotLoggedInError`.
        """
        self._check_alive("renew_token")
        return await self._token_life.renew(token)

    # --- presence

    async def subscribe_peers_online(self, user_ids: Iterable[str | int]) -> None:
        """Be told whether these users are online, now and at every change, until the logout (U81).

        Raises `InvalidArgumentError` for over 512 ids in all, `NotLoggedInError`, `RateLimitError`.
        """
        self._check_alive("subscribe_peers_online")
        await self._presence.subscribe(user_ids)

    async def unsubscribe_peers_online(self, user_ids: Iterable[str | int]) -> None:
        """Those that were not subscribed are fine."""
        self._check_alive("unsubscribe_peers_online")
        await self._presence.unsubscribe(user_ids)

    # --- messages

    async def send_peer_message(self, peer_id: str | int, message: str, offline: bool = False) -> Delivery:
        """One message of at most 32 KiB; true when the other's client has it (U77). `offline`: keep it for its next
        login.

        Raises `NotLoggedInError`, `InvalidArgumentError`, `RateLimitError` over 60 a second (IL25).
        """
        self._check_alive("send_peer_message")
        return await self._messages.send(str(peer_id), message, offline=offline)

    # --- invitations

    def create_invitation(self, callee_id: str | int, content: str = "") -> LocalInvitation:
        """An invitation that its `send` sends (U79). Raises `InvalidArgumentError` for content over 8 KiB."""
        self._check_alive("create_invitation")
        return self._invitations.create(str(callee_id), content)

    async def get_missed_calls(self) -> tuple[MissedInvitation, ...]:
        """Invitations that this user did not answer, oldest first; the hub keeps them until `clear_missed_calls`."""
        self._check_alive("get_missed_calls")
        return await self._invitations.missed()

    async def clear_missed_calls(self) -> None:
        self._check_alive("clear_missed_calls")
        await self._invitations.clear_missed()

    # --- about the machine and the program

    async def get_system_stats(self, root: Path = Path("/")) -> SystemStats:
        """Temperature, throttling, load, memory, disk; what the machine does not tell is None (U65). `root`: where
        /proc and /sys are.
        """
        self._check_alive("get_system_stats")
        return await asyncio.to_thread(read_system_stats, root)

    def enable_log_upload(self, enable: bool = True, url: str = "") -> None:
        """Keep the program's last log records for `upload_logs`, to the hub or to `url` (U92).

        Raises `InvalidArgumentError`.
        """
        self._check_alive("enable_log_upload")
        self._log_upload.enable(enable, url)

    async def upload_logs(self) -> int:
        """Send them; gives the HTTP status that log_upload_result tells too: 200 is success, 0 no answer.

        Raises `ApiOrderError` before `enable_log_upload`.
        """
        self._check_alive("upload_logs")
        return await self._log_upload.upload()

    # --- inside

    def _check_alive(self, operation: str) -> None:
        if self._destroyed:
            raise ClientDestroyedError(f"{operation}() after destroy()", operation=operation)
