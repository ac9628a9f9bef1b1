"""Being a member of a room: in and out, role, name, the others, and what a moderator may do to them (T2, T3).

Between the login layer and `RoomClient`, which adds the streams.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, get_args

from appliance.errors import (
    AlreadyJoinedError,
    ApiOrderError,
    InvalidArgumentError,
    InvalidStateError,
    LeaveReason,
    NotJoinedError,
    ReconnectingError,
)
from appliance.events import Event
from appliance.media.e2ee import EncryptionMode
from appliance.room.connection import Connection, Trigger
from appliance.room.encryption import EncryptionChoice
from appliance.room.entry import Credentials, Ticket, Token, check_name
from appliance.room.events import (
    ConnectionReason,
    ConnectionState,
    ConnectionStateChanged,
    ErrorRaised,
    LoginState,
)
from appliance.room.login_client import LoginClient
from appliance.room.options import RoomOptions
from appliance.room.signaling_base import MediaKind, Profile, Role
from appliance.room.signaling_room import Disband, Moderate, ModerationAction
from appliance.room.stay import Stay
from appliance.room.streams import MediaPriority, RemoteStream, RemoteUser


@dataclass(frozen=True, slots=True)
class JoinResult:
    """The room as it was on joining (U03)."""

    user_id: str
    room: str
    peers: dict[str, RemoteUser]
    streams: list[RemoteStream]


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """U19. `joined_at`: seconds since 1970, of the last time that the hub let us in."""

    room_id: str
    session_id: str
    user_id: str
    profile: Profile
    joined_at: float


class MemberClient(LoginClient):
    """A member of at most one room of the hub."""

    def __init__(self, url: str, options: RoomOptions) -> None:
        super().__init__(url, options)
        self._connection = Connection(self._emit)
        self._stay: Stay | None = None
        self._past: set[Stay] = set()  # of which something may be left
        self._joins = False  # one is about to begin, and waits for what was before
        self._role: Role = "host"
        self._profile: Profile = "rtc"
        self._encryption = EncryptionChoice()
        self._priority = MediaPriority.NORMAL
        self._preemptive = False

    # --- what is

    @property
    def connection_state(self) -> ConnectionState:
        return self._connection.state

    def get_connection_state(self) -> ConnectionState:
        return self._connection.state

    @property
    def user_id(self) -> str | None:
        """One's own id; None outside a room."""
        return self._stay.seat.user_id if self._stay is not None else None

    @property
    def room_id(self) -> str | None:
        return self._stay.seat.ticket.room_id if self._stay is not None else None

    @property
    def peers(self) -> dict[str, RemoteUser]:
        """The visible others by user id; empty outside a room."""
        return dict(self._stay.peers.users) if self._stay is not None else {}

    @property
    def role(self) -> Role:
        """One's own role; outside a room the one that the next join asks for."""
        return self._stay.seat.role if self._stay is not None else self._role

    @property
    def media_priority(self) -> MediaPriority:
        """One's own, as the hub gave it; outside a room the one that the next join asks for."""
        return self._stay.seat.priority if self._stay is not None else self._priority

    @property
    def may_moderate(self) -> bool:
        """Whether the hub obeys `kick` and its like."""
        return self._stay is not None and self._stay.seat.may_moderate and self._stay.seat.role == "host"

    def get_channel_info(self) -> ChannelInfo:
        """Raises `NotJoinedError` outside a room (IL20)."""
        seat = self._check_in_room("get_channel_info").seat
        return ChannelInfo(seat.ticket.room_id, seat.session_id, seat.user_id or "", seat.profile, seat.joined_s)

    # --- in and out

    async def join(
        self,
        room_id: str,
        user_id: str | int = "",
        token: Token = "",
        *,
        user_name: str = "",
        role: Role | None = None,
        profile: Profile | None = None,
        data: str = "",
        probe: bool = False,
    ) -> JoinResult:
        """Log in and enter the room; resolves after the events of the roster (OR02).

        An empty `user_id` lets the hub choose. `token` may be a function, plain or async, that gives a fresh one at
        each join and rejoin. `role` and `profile`: as set before, else host and rtc. `data`: up to 1024 characters
        for the others, in their `RemoteUser.data`. `probe`: only to test the network before a call; the others never
        hear of it (RS09).

        Raises `AlreadyJoinedError`, `InvalidArgumentError`, `JoinError`.
        """
        self._check_alive("join")
        state = self._connection.state
        if self._joins or state is not ConnectionState.DISCONNECTED:
            raise AlreadyJoinedError(f"join() in {state}", operation="join", state=state)
        ticket = Ticket(
            room_id,
            Credentials(str(user_id), token, user_name),
            role or self._role,
            profile or self._profile,
            probe=probe,
            data=data,
            encryption=self._encryption.chosen(),
            priority=self._priority.value,
            preemptive=self._preemptive,
            video_codecs=self._options.video_codecs,
        )
        ticket.check()
        self._joins = True
        try:
            await self._make_way(ticket)
            await self._released()
        finally:
            self._joins = False
        self._check_alive("join")
        stay = self._stay = self._new_stay(ticket)
        self._past.add(stay)
        self._connection.advance(Trigger.JOIN, ConnectionReason.JOIN)
        await stay.enter()
        users = dict(stay.peers.users)
        streams = [stream for user in users.values() for stream in user.streams.values()]
        result = JoinResult(stay.seat.user_id or "", room_id, users, streams)
        await asyncio.sleep(0)  # async listeners have begun before join() resolves
        return result

    async def leave(self, why: LeaveReason = LeaveReason.USER_LEFT) -> None:
        """Out of the room, from any state; cancels a join or a reconnect, keeps the login (X01, X05), forgets how the
        room was encrypted (OR07). `why`: what the others are told, INTERNAL_ERROR when it is for a fault of one's own.
        """
        self._check_alive("leave")
        self._encryption.clear()
        if self._stay is not None:
            await self._stay.departure.leave(why)

    async def logout(self) -> None:
        """Out of the room and off the hub; nothing to do is fine."""
        await self.leave()
        await super().logout()

    async def destroy(self, why: LeaveReason = LeaveReason.USER_LEFT) -> None:
        """Leave, log out, forget every listener; any later call but this raises `ClientDestroyedError` (IL27)."""
        if self._stay is not None:
            await self._stay.departure.leave(why)
        await self._released()
        await super().destroy()

    def network_changed(self, *, back: bool = False, gone: frozenset[str] = frozenset()) -> None:
        """The machine's network is `back`, or came: what waits tries at once. Addresses `gone` are not waited for."""
        self._check_alive("network_changed")
        self._login.network_changed(back=back, gone=gone)
        if self._stay is not None:
            self._stay.media.network_changed(back=back, gone=gone)

    # --- oneself

    def set_channel_profile(self, profile: Profile) -> None:
        """Of the next join: rtc or live (U21). Raises `ApiOrderError` (IL07), `InvalidArgumentError` (IL08)."""
        operation = "set_channel_profile"
        self._check_alive(operation)
        state = self._connection.state
        if profile not in get_args(Profile):
            raise InvalidArgumentError(f"{profile!r} is neither rtc nor live", operation=operation, state=state)
        self._check_before_join(operation)
        self._profile = profile

    def set_encryption_mode(self, mode: EncryptionMode) -> None:
        """Of the next join (U89): none, aes-128-gcm or, weak and for parity only, sm4-128-ecb; forgets the secret.

        Raises `ApiOrderError` after join (IL11), `InvalidArgumentError`.
        """
        self._check_before_join("set_encryption_mode")
        self._encryption.set_mode(mode)

    def set_encryption_secret(self, secret: str | bytes) -> None:
        """Of the next join, after its mode (U90): 1 to 128 bytes, the same for everybody in the room. Until it is set
        nothing is encrypted. Who guesses it hears everything: take a long one.

        Raises `ApiOrderError` after join or before a mode (IL11, IL12), `InvalidArgumentError`.
        """
        self._check_before_join("set_encryption_secret")
        self._encryption.set_secret(secret)

    def set_local_media_priority(self, priority: MediaPriority | int, preemptive: bool = False) -> None:
        """HIGH (50) or NORMAL (100) from the next join on: who has too little downlink keeps the pictures of the one
        user with HIGH (U42). The hub gives HIGH to who asks first, and to who asks with `preemptive`; who loses it so
        gets media_priority_changed. Raises `InvalidArgumentError`, `ApiOrderError` (IL13).
        """
        operation = "set_local_media_priority"
        self._check_alive(operation)
        state = self._connection.state
        if priority not in set(MediaPriority):
            raise InvalidArgumentError(f"priority {priority!r}: HIGH (50) or NORMAL (100)", operation=operation)
        if state is not ConnectionState.DISCONNECTED:
            raise ApiOrderError(f"{operation}() in {state}; call it before join()", operation=operation, state=state)
        self._priority, self._preemptive = MediaPriority(priority), preemptive

    async def set_client_role(self, role: Role) -> None:
        """host or audience (U22). Outside a room it is kept for the next join. Who becomes audience publishes nothing;
        who becomes host again publishes what was published before (OR08).

        Raises `InvalidArgumentError`, `InvalidStateError` while connecting or reconnecting, `RoleError` when the token
        lets nobody be a host (IL09, IL10).
        """
        operation = "set_client_role"
        self._check_alive(operation)
        state = self._connection.state
        if role not in get_args(Role):
            raise InvalidArgumentError(f"{role!r} is neither host nor audience", operation=operation, state=state)
        if state is ConnectionState.DISCONNECTED:
            self._role = role
            return
        if state is not ConnectionState.CONNECTED or self._stay is None:
            raise InvalidStateError(f"{operation}() in {state}", operation=operation, state=state)
        if role != self._stay.seat.role:
            await self._stay.set_role(role)
            self._role = role

    async def set_user_name(self, user_name: str) -> None:
        """What the others call one (U18): at most 256 characters. Raises `InvalidArgumentError`, `NotLoggedInError`."""
        self._check_alive("set_user_name")
        check_name(user_name, "set_user_name")
        await self._login.set_user_name(user_name)

    # --- the others

    async def kick(self, user_id: str, message: str = "") -> None:
        """Out of the room; it may come back. These five raise `RoleError` for who is no moderator, PEER_NOT_FOUND."""
        await self._moderate(user_id, "kick", message)

    async def ban(self, user_id: str, message: str = "", *, seconds: float | None = None) -> None:
        """Out of the room and not back into it for so long; None: for good."""
        await self._moderate(user_id, "ban", message, ban_s=seconds)

    async def remove(self, user_id: str, message: str = "") -> None:
        """Out of the room, as no longer a member of it (RS10)."""
        await self._moderate(user_id, "remove", message)

    async def mute_peer(self, user_id: str, kind: MediaKind = "audio", message: str = "") -> None:
        """Shut the other's gate, of its screen too; it cannot open it until `unmute_peer`."""
        await self._moderate(user_id, "mute", message, kind=kind)

    async def unmute_peer(self, user_id: str, kind: MediaKind = "audio", message: str = "") -> None:
        """Let the other open its gate again; its own user does."""
        await self._moderate(user_id, "unmute", message, kind=kind)

    async def disband(self, message: str = "") -> None:
        """End the room for everybody (U25)."""
        stay = self._check_connected("disband")
        await stay.request("disband", lambda request_id: Disband(id=request_id, message=message))

    async def _moderate(self, user_id: str, action: ModerationAction, message: str, **fields: Any) -> None:
        stay = self._check_connected(action)
        await stay.request(
            action,
            lambda request_id: Moderate(id=request_id, user_id=user_id, action=action, message=message, **fields),
        )

    # --- inside

    @abstractmethod
    def _new_stay(self, ticket: Ticket) -> Stay:
        """For a join; it has to be entered."""

    @abstractmethod
    def _follow(self, event: ConnectionStateChanged) -> None:
        """The connection state has changed; its listeners hear of it next."""

    async def _released(self) -> None:
        """Nothing is left of earlier stays, or not much: they share the uplink and its key."""
        await asyncio.gather(*(stay.departure.released() for stay in self._past))
        self._past = {stay for stay in self._past if not stay.departure.is_released}

    async def _make_way(self, ticket: Ticket) -> None:
        """For a join: a login that a join made ends where it cannot be used; another one's user is an error."""
        login, wanted = self._login, ticket.credentials
        if login.status.state is LoginState.DISCONNECTED:
            return
        is_other_user = wanted.user_id not in ("", login.user_id)
        if login.is_implicit:
            if login.status.state is LoginState.ABORTED or is_other_user or wanted.token not in ("", login.token):
                await login.close()
        elif is_other_user:
            raise InvalidStateError(
                f"logged in as {login.user_id!r}, not {wanted.user_id!r}; log out first",
                operation="join",
                state=login.status.state,
            )

    def _emit(self, event: Event) -> None:
        if isinstance(event, ConnectionStateChanged):
            self._follow(event)
        elif self._connection.state is ConnectionState.DISCONNECTED and not isinstance(event, ErrorRaised):
            return  # OR05
        self._emitter.emit(event)

    def _check_before_join(self, operation: str) -> None:
        """IL07, IL11."""
        self._check_alive(operation)
        state = self._connection.state
        if state is not ConnectionState.DISCONNECTED:
            raise ApiOrderError(f"{operation}() in {state}; call it before join()", operation=operation, state=state)

    def _check_in_room(self, operation: str) -> Stay:
        self._check_alive(operation)
        if self._connection.is_joined and self._stay is not None:
            return self._stay
        state = self._connection.state
        raise NotJoinedError(f"{operation}() in {state}", operation=operation, state=state)

    def _check_connected(self, operation: str) -> Stay:
        """IL02."""
        self._check_alive(operation)
        state = self._connection.state
        if state is ConnectionState.CONNECTED and self._stay is not None:
            return self._stay
        cls = ReconnectingError if state is ConnectionState.RECONNECTING else NotJoinedError
        raise cls(f"{operation}() in {state}", operation=operation, state=state)
