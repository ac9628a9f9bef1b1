"""The room client: the public surface of being in a room (capabilities T2, T3).

Every method checks its call before any I/O and raises a typed error without changing anything (T3-I). Events come in
the order of T3-O. Uplink and Playout belong to the client's maker, who may use them before and after. One event loop.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace

from appliance.errors import (
    AlreadyJoinedError,
    EmptyStreamError,
    InvalidArgumentError,
    InvalidStateError,
    MediaTimeoutError,
    NotJoinedError,
    ReconnectingError,
    RoleError,
    RtcError,
    RtcErrorCode,
    StreamNotFoundError,
)
from appliance.events import Event
from appliance.media.playout import Playout
from appliance.media.uplink import Uplink
from appliance.room.backend import LegFailedError, LegReport
from appliance.room.connection import Connection, Trigger
from appliance.room.entry import Credentials, Ticket, Token
from appliance.room.events import (
    ConnectionReason,
    ConnectionState,
    ConnectionStateChanged,
    ErrorRaised,
    LoginState,
    StreamSubscribed,
)
from appliance.room.login_client import LoginClient
from appliance.room.mesh import Mesh
from appliance.room.options import RoomOptions
from appliance.room.own_media import OwnMedia
from appliance.room.reports import Reports
from appliance.room.signaling_base import Kind, Profile, Role, StreamName
from appliance.room.signaling_room import LegMessage
from appliance.room.stay import Stay
from appliance.room.streams import KINDS, LocalStream, RemoteStream, RemoteUser

logger = logging.getLogger(__name__)

MIN_VOLUME_INTERVAL_MS = 100  # TM07


@dataclass(frozen=True, slots=True)
class JoinResult:
    """The room as it was on joining (U03)."""

    user_id: str
    room: str
    peers: dict[str, RemoteUser]
    streams: list[RemoteStream]


class RoomClient(LoginClient):
    """A member of at most one room of the hub at `url` (ws:// or wss://).

    Without an `uplink` it announces streams but sends nothing; without a `playout` it cannot subscribe.
    """

    def __init__(
        self,
        url: str,
        *,
        uplink: Uplink | None = None,
        playout: Playout | None = None,
        auto_subscribe: bool = False,
        options: RoomOptions = RoomOptions(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__(url, options)
        self._own = OwnMedia(uplink)
        self._playout = playout
        self._auto_subscribe = auto_subscribe
        self._connection = Connection(self._emit)
        self._volume_interval_s: float | None = None
        self._reports: Reports | None = None
        self._stay: Stay | None = None

    # --- what is

    @property
    def connection_state(self) -> ConnectionState:
        return self._connection.state

    def get_connection_state(self) -> ConnectionState:
        return self._connection.state

    @property
    def user_id(self) -> str | None:
        """One's own id; None outside a room."""
        return self._stay.user_id if self._stay is not None else None

    @property
    def room_id(self) -> str | None:
        return self._stay.ticket.room_id if self._stay is not None else None

    @property
    def peers(self) -> dict[str, RemoteUser]:
        """The visible others by user id; empty outside a room."""
        return dict(self._stay.roster.users) if self._stay is not None else {}

    @property
    def streams(self) -> list[RemoteStream]:
        """Everything that the others publish."""
        return [stream for user in self.peers.values() for stream in user.streams.values()]

    @property
    def published(self) -> list[LocalStream]:
        return list(self._stay.published.values()) if self._stay is not None else []

    def leg_reports(self) -> list[LegReport]:
        """The counters of every leg of this call, out and in; empty outside of a room."""
        return self._stay.media.reports() if self._stay is not None else []

    def is_muted(self, kind: Kind) -> bool:
        """The gate itself; without an uplink the last wish."""
        return self._own.is_muted(kind)

    # --- in and out

    async def join(
        self,
        room_id: str,
        user_id: str | int = "",
        token: Token = "",
        *,
        user_name: str = "",
        role: Role = "host",
        profile: Profile = "rtc",
    ) -> JoinResult:
        """Log in and enter the room; resolves after the events of the roster (OR02).

        An empty `user_id` lets the hub choose. `token` may be a function, plain or async, that gives a fresh one at
        each join and rejoin. Raises `AlreadyJoinedError`, `InvalidArgumentError`, `JoinError`.
        """
        self._check_alive("join")
        if self._connection.state is not ConnectionState.DISCONNECTED:
            raise AlreadyJoinedError(
                f"join() in {self._connection.state}", operation="join", state=self._connection.state
            )
        ticket = Ticket(room_id, Credentials(str(user_id), token, user_name), role, profile)
        ticket.check()
        await self._make_way(ticket)
        stay = self._stay = self._new_stay(ticket)
        self._connection.advance(Trigger.JOIN, ConnectionReason.JOIN)
        await stay.enter()
        result = JoinResult(stay.user_id or "", room_id, dict(stay.roster.users), self.streams)
        await asyncio.sleep(0)  # async listeners have begun before join() resolves
        return result

    async def leave(self) -> None:
        """Out of the room, from any state; cancels a join or a reconnect, keeps the login (X01, X05)."""
        self._check_alive("leave")
        if self._stay is not None:
            await self._stay.leave()

    async def logout(self) -> None:
        """Out of the room and off the hub; nothing to do is fine."""
        await self.leave()
        await super().logout()

    async def destroy(self) -> None:
        """Leave, log out, forget every listener; any later call but this raises `ClientDestroyedError` (IL27)."""
        if self._stay is not None:
            await self._stay.leave()
        await super().destroy()

    def network_changed(self, *, back: bool = False, gone: frozenset[str] = frozenset()) -> None:
        """The machine's network is `back`, or came: what waits tries at once. Addresses `gone` are not waited for."""
        self._check_alive("network_changed")
        self._login.network_changed(back=back, gone=gone)
        if self._stay is not None:
            self._stay.media.network_changed(back=back, gone=gone)

    # --- one's own streams

    async def publish(self, stream: LocalStream) -> None:
        """Announce the stream, or replace the one of its name; kinds that the uplink has no device for are left out."""
        stay = self._check_connected("publish")
        if stay.role != "host":
            raise RoleError(f"publish() as {stay.role}", operation="publish", state=self._connection.state)
        stream = self._own.available(stream)
        if not stream.kinds:
            raise EmptyStreamError(
                "publish() of a stream without a track", operation="publish", state=self._connection.state
            )
        await stay.publish(stream)

    async def unpublish(self, stream: LocalStream | StreamName, kinds: tuple[Kind, ...] | None = None) -> None:
        """Withdraw the stream, or only `kinds` of it; nothing to withdraw is fine (IL05)."""
        stay = self._check_connected("unpublish")
        name = stream.name if isinstance(stream, LocalStream) else stream
        published = stay.published.get(name)
        if published is None:
            logger.debug("unpublish of %s, which is not published", name)
            return
        dropped = published.kinds if kinds is None else _checked_kinds(kinds, "unpublish")
        rest = replace(
            published,
            audio=published.audio and "audio" not in dropped,
            video=published.video and "video" not in dropped,
        )
        if not rest.kinds:
            await stay.unpublish(name)
        elif rest != published:
            await stay.publish(rest)

    async def mute(self, kind: Kind) -> None:
        """Shut the gate at once, in any state; the hub is told now or after the reconnect."""
        await self._set_muted(kind, True)

    async def unmute(self, kind: Kind) -> None:
        await self._set_muted(kind, False)

    # --- the others' streams

    async def subscribe(self, stream: RemoteStream, audio: bool = True, video: bool = True) -> None:
        """Receive these kinds of `stream` and keep receiving them; again to widen or narrow.

        Resolves after stream_subscribed of every kind, which comes with its first media (OR10); a muted kind needs
        none. Raises `StreamNotFoundError`, `MediaTimeoutError` (the wish stands then), `InvalidStateError`.
        """
        stay = self._check_connected("subscribe")
        state = self._connection.state
        if self._playout is None:
            raise InvalidStateError("this client has no playout to receive with", operation="subscribe", state=state)
        self._check_present(stay, stream)
        wished = LocalStream(audio=audio, video=video).kinds
        kinds = frozenset(kind for kind in wished if kind in stream.kinds)
        if not wished:
            raise InvalidArgumentError("neither audio nor video", operation="subscribe", state=state)
        if not kinds:
            raise StreamNotFoundError(
                f"{stream!r} has no {' and no '.join(wished)}", operation="subscribe", state=state
            )
        stay.media.want(stream, kinds)
        try:
            async with asyncio.timeout(self._options.subscribe_timeout_s):
                await stay.media.wait_subscribed(stream, kinds)
        except TimeoutError as exc:
            message = f"no media of {stream!r} within {self._options.subscribe_timeout_s:g} s"
            raise MediaTimeoutError(message, operation="subscribe", state=state) from exc
        except LegFailedError as exc:
            raise StreamNotFoundError(f"{stream!r}: {exc}", operation="subscribe", state=state) from exc
        await asyncio.sleep(0)  # async listeners have begun before subscribe() resolves

    async def unsubscribe(self, stream: RemoteStream, kinds: tuple[Kind, ...] | None = None) -> None:
        """Receive no more of it; nothing to end is fine (IL05)."""
        stay = self._check_connected("unsubscribe")
        dropped = frozenset(KINDS if kinds is None else _checked_kinds(kinds, "unsubscribe"))
        wanted = stay.media.wanted(stream)
        if wanted & dropped:
            stay.media.want(stream, wanted - dropped)

    def subscribed_kinds(self, stream: RemoteStream) -> frozenset[Kind]:
        """The kinds of `stream` that are wanted, whether their media has come yet or not."""
        return self._stay.media.wanted(stream) if self._stay is not None else frozenset()

    def enable_audio_volume_evaluation(self, interval_ms: int = 2000) -> None:
        """Raise audio_volume every `interval_ms`; 0 or less ends it (X29)."""
        self._check_alive("enable_audio_volume_evaluation")
        if 0 < interval_ms < MIN_VOLUME_INTERVAL_MS:
            raise InvalidArgumentError(
                f"interval of {interval_ms} ms: at least {MIN_VOLUME_INTERVAL_MS}",
                operation="enable_audio_volume_evaluation",
                state=self._connection.state,
            )
        self._volume_interval_s = interval_ms / 1000 if interval_ms > 0 else None
        if self._reports is not None:
            self._reports.set_volume_interval(self._volume_interval_s)

    # --- inside

    def _new_stay(self, ticket: Ticket) -> Stay:
        def send(to: str, message: LegMessage) -> None:
            stay.send_leg(to, message)

        media = Mesh(
            self._own.uplink,
            self._playout,
            send=send,
            on_subscribed=lambda stream, kind: self._emit(StreamSubscribed(stream=stream, kind=kind)),
        )
        stay = Stay(
            self._login,
            ticket,
            self._options,
            connection=self._connection,
            emit=self._emit,
            media=media,
            describe=self._own.describe,
            auto_subscribe=self._auto_subscribe and self._playout is not None,
        )
        return stay

    async def _make_way(self, ticket: Ticket) -> None:
        """For a join: a login of a join that was ended is forgotten; one of somebody else is an error."""
        login, wanted = self._login, ticket.credentials.user_id
        if login.state is LoginState.ABORTED and login.is_implicit:
            await login.close()
        elif login.state is not LoginState.DISCONNECTED and wanted not in ("", login.user_id):
            if not login.is_implicit:
                raise InvalidStateError(
                    f"logged in as {login.user_id!r}, not {wanted!r}; log out first",
                    operation="join",
                    state=login.state,
                )
            await login.close()

    def _emit(self, event: Event) -> None:
        if isinstance(event, ConnectionStateChanged):
            self._follow(event)
        elif self._connection.state is ConnectionState.DISCONNECTED and not isinstance(event, ErrorRaised):
            return  # OR05
        self._emitter.emit(event)

    def _follow(self, event: ConnectionStateChanged) -> None:
        """The reports run from the first CONNECTED to the end; what was in the room ends with DISCONNECTED."""
        stay = self._stay
        if event.cur_state is ConnectionState.CONNECTED and self._reports is None and stay is not None:
            self._reports = Reports(
                self._emit,
                user_id=stay.user_id or "",
                users=stay.roster.users,
                own=self._own,
                media=stay.media,
                quality_interval_s=self._options.quality_interval_s,
                volume_interval_s=self._volume_interval_s,
            )
        elif event.cur_state is ConnectionState.DISCONNECTED:
            if self._reports is not None:
                self._reports.end()
            self._reports = self._stay = None

    async def _set_muted(self, kind: Kind, muted: bool) -> None:
        operation = "mute" if muted else "unmute"
        self._check_alive(operation)
        _checked_kinds((kind,), operation)
        self._own.set_muted(kind, muted)
        stay = self._stay
        main = stay.published.get("main") if stay is not None else None
        if stay is None or self._connection.state is not ConnectionState.CONNECTED:
            return
        if main is None or kind not in main.kinds:
            return
        try:
            await stay.announce_mute(kind, muted)
        except (ReconnectingError, NotJoinedError):
            logger.debug("%s of %s goes out with the reconnect", operation, kind)
        except RtcError as exc:
            if exc.code is not RtcErrorCode.STREAM_NOT_FOUND:  # its publish is still on the way, and says it too
                raise

    def _check_connected(self, operation: str) -> Stay:
        """IL02."""
        self._check_alive(operation)
        state = self._connection.state
        if state is ConnectionState.CONNECTED and self._stay is not None:
            return self._stay
        cls = ReconnectingError if state is ConnectionState.RECONNECTING else NotJoinedError
        raise cls(f"{operation}() in {state}", operation=operation, state=state)

    def _check_present(self, stay: Stay, stream: RemoteStream) -> None:
        """IL06."""
        user = stay.roster.users.get(stream.user_id)
        if user is None or user.streams.get(stream.name) is not stream:
            raise StreamNotFoundError(
                f"{stream!r} is no longer there", operation="subscribe", state=self._connection.state
            )


def _checked_kinds(kinds: tuple[Kind, ...], operation: str) -> tuple[Kind, ...]:
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise InvalidArgumentError(f"{unknown[0]!r} is neither audio nor video", operation=operation)
    return kinds
