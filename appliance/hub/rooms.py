"""The hub's decisions. Pure: what a connection said, or what time it is, in; what to send and to close, out.

    connect --> (not logged in) --Login--> seat --Join--> member of a room --Leave--> seat
                     |                      |                   |
              login_timeout_s          link lost:          link lost: seat held for seat_grace_s, peers notice nothing,
              Error, close             seat dropped        a Login with its session resumes it; else MemberLeft(7)

Choices of this hub:
- A user id is unique in the whole hub, not in a room: whoever logs in with one that is taken meets `duplicate_login`.
  A held seat of a lost link is never a reason to refuse: the newcomer replaces it, and its peers see MemberLeft(7).
- A session resumes its seat without another look at the token, and takes it over from a link that still looks alive.
  A token lets somebody in; it does not end a call that runs.
- A session that was evicted, whatever its link heard of it, is told so for `seat_grace_s`: Error `kicked` or `banned`.
- A token with `sub` "" invites guests: each login gets an id of the hub, or the free guest id that it asks for.
- A token's role is the most that one gets, and the first to join decides a room's profile; Joined says which.
- Bans are by room and user id, outlive the room and end with the hub. A ban of a guest's id keeps nobody out.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from appliance.errors import (
    AlreadyJoinedError,
    DuplicateUserError,
    InvalidArgumentError,
    InvalidStateError,
    LeaveReason,
    NotJoinedError,
    RoomFullError,
    RtcError,
    RtcErrorCode,
    ServiceUnavailableError,
    TokenInvalidError,
)
from appliance.hub.exclusions import Exclusions
from appliance.hub.room import Close, Output, Room, Seat, Send
from appliance.hub.settings import HubSettings
from appliance.hub.tokens import Claims
from appliance.room.signaling import (
    PROTOCOL_VERSION,
    ClientMessage,
    Error,
    IceServer,
    Join,
    Joined,
    Kicked,
    Leave,
    LoggedIn,
    Login,
    Ok,
    Ping,
    Pong,
    Publish,
    Role,
    RoomClosed,
    SetMute,
    SignalTo,
    Unpublish,
)

Eviction = Literal["kick", "ban", "remove"]

CLOSE_POLICY = 1008  # RFC 6455 7.4.1
CLOSE_TAKEN_OVER = 4001  # 4000..4999 are private use
CLOSE_EVICTED = 4003
CLOSE_ROOM_CLOSED = 4004

GUEST_PREFIX = "guest-"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_EVICTIONS: dict[Eviction, tuple[Literal["kick", "banned", "removed"], LeaveReason, RtcErrorCode]] = {
    "kick": ("kick", LeaveReason.KICKED, RtcErrorCode.KICKED),
    "ban": ("banned", LeaveReason.KICKED, RtcErrorCode.BANNED),
    "remove": ("removed", LeaveReason.REMOVED, RtcErrorCode.KICKED),
}


@dataclass(slots=True, eq=False)
class _Link:
    """One open connection; `login_by_s` (monotonic) counts until it has a seat."""

    login_by_s: float
    seat: Seat | None = None


class Rooms:
    """Times are monotonic seconds. `verify` gives a token's claims or raises `RtcError`; `ice_servers` is asked with a
    user id at each Joined; `make_secret` gives unguessable text for sessions and ids.
    """

    def __init__(
        self,
        settings: HubSettings,
        hub_id: str,
        verify: Callable[[str], Claims],
        *,
        ice_servers: Callable[[str], tuple[IceServer, ...]] = lambda _user_id: (),
        make_secret: Callable[[], str] = lambda: secrets.token_urlsafe(24),
    ) -> None:
        self.rooms: dict[str, Room] = {}
        self.seats: dict[str, Seat] = {}  # by user id
        self.exclusions = Exclusions()
        self._settings = settings
        self._hub_id = hub_id
        self._verify = verify
        self._ice_servers = ice_servers
        self._make_secret = make_secret
        self._links: dict[int, _Link] = {}
        self._sessions: dict[str, Seat] = {}

    # --- from the connections

    def connect(self, connection: int, now_s: float) -> None:
        self._links[connection] = _Link(now_s + self._settings.login_timeout_s)

    def receive(self, connection: int, message: ClientMessage, now_s: float) -> list[Output]:
        """What `message` causes; one that is refused changes nothing and is answered with Error, to its sender only."""
        link = self._links.get(connection)
        if link is None:  # closed by us a moment ago
            return []
        try:
            return self._decide(connection, link, message, now_s)
        except RtcError as exc:
            error = Error(code=exc.code, message=exc.message, id=getattr(message, "id", 0))
            return [Send(connection, error)]

    def link_lost(self, connection: int, now_s: float, *, went_away: bool = False) -> list[Output]:
        """The connection is gone without a Leave: its seat in a room is held, unless the client said it `went_away`."""
        link = self._links.pop(connection, None)
        if link is None or link.seat is None:
            return []
        link.seat.connection = None
        if went_away or link.seat.room is None:
            outputs = self._leave(link.seat, LeaveReason.USER_LEFT)
            self._drop(link.seat)
            return outputs
        link.seat.held_until_s = now_s + self._settings.seat_grace_s
        return []

    # --- from the clock

    def next_deadline_s(self) -> float | None:
        """When `expire` has something to do; None: not before something else happens."""
        deadlines = [link.login_by_s for link in self._links.values() if link.seat is None]
        deadlines += [seat.held_until_s for seat in self.seats.values() if seat.held_until_s is not None]
        return min(deadlines, default=None)

    def expire(self, now_s: float) -> list[Output]:
        outputs: list[Output] = []
        for connection, link in list(self._links.items()):
            if link.seat is None and link.login_by_s <= now_s:
                del self._links[connection]
                why = f"no login within {self._settings.login_timeout_s:g} s"
                outputs.append(Send(connection, Error(code=RtcErrorCode.NOT_LOGGED_IN, message=why)))
                outputs.append(Close(connection, CLOSE_POLICY, why))
        for seat in list(self.seats.values()):
            if seat.held_until_s is not None and seat.held_until_s <= now_s:
                outputs += self._leave(seat, LeaveReason.RECONNECT_TIMEOUT, "connection lost")
                self._drop(seat)
        return outputs

    # --- from the administrator

    def evict(self, room_name: str, user_id: str, how: Eviction, message: str, now_s: float) -> list[Output]:
        """Out of the room and off the hub. Raises PEER_NOT_FOUND, except for a ban, which works in advance too."""
        reason, left, code = _EVICTIONS[how]
        room = self.rooms.get(room_name)
        seat = room.seats.get(user_id) if room is not None else None
        if seat is None and how != "ban":
            raise RtcError(f"nobody called {user_id!r} is in room {room_name!r}", code=RtcErrorCode.PEER_NOT_FOUND)
        if how == "ban":
            self.exclusions.ban(room_name, user_id)
        if seat is None:
            return []
        return self._evict(seat, Kicked(reason=reason, message=message, code=left), left, code, now_s)

    def disband(self, room_name: str, message: str, now_s: float) -> list[Output]:
        """RoomClosed to everybody in it, and nothing else. Raises PEER_NOT_FOUND when there is no such room."""
        room = self.rooms.pop(room_name, None)
        if room is None:
            raise RtcError(f"there is no room {room_name!r}", code=RtcErrorCode.PEER_NOT_FOUND)
        outputs: list[Output] = []
        for seat in room.seats.values():
            outputs += seat.to(RoomClosed(room=room_name, message=message))
            outputs += self._close(seat, CLOSE_ROOM_CLOSED, "room closed")
            self._part(seat, RtcError(message or "the room was closed", code=RtcErrorCode.KICKED), now_s)
            seat.room = None
            self._drop(seat)
        return outputs

    # --- inside

    def _decide(self, connection: int, link: _Link, message: ClientMessage, now_s: float) -> list[Output]:
        if isinstance(message, Ping):
            return [Send(connection, Pong(t=message.t))]
        if isinstance(message, Pong):
            return []
        if isinstance(message, Login):
            if link.seat is not None:
                raise InvalidStateError(f"this connection is logged in already, as {link.seat.user_id!r}")
            return self._login(connection, link, message, now_s)
        seat = link.seat
        if seat is None:
            raise RtcError("log in first", code=RtcErrorCode.NOT_LOGGED_IN)
        if isinstance(message, Join):
            return self._join(seat, message)
        room = seat.room
        if room is None:
            raise NotJoinedError("join a room first")
        match message:
            case Leave():
                outputs = self._leave(seat, LeaveReason.USER_LEFT)
            case Publish():
                outputs = room.publish(seat, message)
            case Unpublish():
                outputs = room.unpublish(seat, message)
            case SetMute():
                outputs = room.set_mute(seat, message)
            case SignalTo():
                return room.signal(seat, message)
        return [Send(connection, Ok(id=message.id)), *outputs]

    def _login(self, connection: int, link: _Link, request: Login, now_s: float) -> list[Output]:
        if request.version != PROTOCOL_VERSION:
            raise InvalidArgumentError(f"protocol version {request.version}; this hub speaks {PROTOCOL_VERSION}")
        self.exclusions.check_session(request.session, now_s)
        held = self._sessions.get(request.session)
        if held is not None and request.user_id in ("", held.user_id):
            return self._resume(connection, link, held, request.id)
        claims = self._verify(request.token) if request.token or self._settings.secure else None
        user_id = self._user_id(request.user_id, claims)
        user_name = request.user_name or (claims.name if claims is not None else "")
        self._check_text("user id", user_id)
        self._check_text("user name", user_name)
        outputs: list[Output] = []
        if (old := self.seats.get(user_id)) is not None:
            outputs = self._replace(old, now_s)
        seat = Seat(
            user_id=user_id,
            user_name=user_name,
            session=self._make_secret(),
            token_room=claims.room if claims is not None else None,
            token_role=claims.role if claims is not None else "host",
            connection=connection,
        )
        link.seat = self.seats[user_id] = self._sessions[seat.session] = seat
        return [*outputs, Send(connection, self._logged_in(seat, request.id, resumed=False))]

    def _user_id(self, wanted: str, claims: Claims | None) -> str:
        """Who logs in: the token's `sub`; without one the wanted id, or one of ours."""
        if claims is not None and claims.sub:
            if wanted not in ("", claims.sub):
                raise TokenInvalidError(f"this token is for user {claims.sub!r}, not {wanted!r}")
            return claims.sub
        is_free_guest = wanted.startswith(GUEST_PREFIX) and wanted not in self.seats
        if wanted and (claims is None or is_free_guest):
            return wanted
        return GUEST_PREFIX + self._make_secret()[:12]

    def _replace(self, old: Seat, now_s: float) -> list[Output]:
        """`old` makes room for a new login with its user id."""
        if old.connection is None:
            # Should the lost link come back after all, its user id is taken: it must not put the newcomer out again.
            self._part(old, RtcError("logged in from somewhere else", code=RtcErrorCode.KICKED), now_s)
            outputs = self._leave(old, LeaveReason.RECONNECT_TIMEOUT, "connection lost")
            self._drop(old)
            return outputs
        if self._settings.duplicate_login == "reject_new":
            raise DuplicateUserError(f"{old.user_id!r} is logged in already")
        kicked = Kicked(reason="kick", message="logged in from somewhere else", code=LeaveReason.KICKED)
        return self._evict(old, kicked, LeaveReason.KICKED, RtcErrorCode.KICKED, now_s)

    def _resume(self, connection: int, link: _Link, seat: Seat, request_id: int) -> list[Output]:
        outputs = self._close(seat, CLOSE_TAKEN_OVER, "a newer connection took over")
        seat.connection, seat.held_until_s, link.seat = connection, None, seat
        outputs.append(Send(connection, self._logged_in(seat, request_id, resumed=True)))
        if seat.room is not None:
            outputs.append(Send(connection, self._joined(seat, seat.room, 0)))
        return outputs

    def _join(self, seat: Seat, request: Join) -> list[Output]:
        if seat.room is not None:
            raise AlreadyJoinedError(f"you are in room {seat.room.name!r} already")
        if seat.token_room not in (None, request.room):
            raise TokenInvalidError(f"this token is for room {seat.token_room!r}, not {request.room!r}")
        self.exclusions.check_ban(request.room, seat.user_id)
        room = self.rooms.get(request.room)
        if room is None and len(self.rooms) >= self._settings.max_rooms:
            raise ServiceUnavailableError(f"this hub has {len(self.rooms)} rooms and takes no more")
        if room is not None and len(room.seats) >= self._settings.room_capacity:
            raise RoomFullError(f"room {room.name!r} is full: {len(room.seats)} of {self._settings.room_capacity}")
        if room is None:
            room = self.rooms[request.room] = Room(request.room, request.profile)
        role: Role = "audience" if "audience" in (request.role, seat.token_role) else "host"
        entered = room.enter(seat, role, self._make_secret())
        return [*seat.to(self._joined(seat, room, request.id)), *entered]

    def _leave(self, seat: Seat, reason: LeaveReason, message: str = "") -> list[Output]:
        """Out of its room, if it is in one; the room ends with its last member."""
        room = seat.room
        if room is None:
            return []
        outputs = room.leave(seat, reason, message)
        if not room.seats:
            del self.rooms[room.name]
        return outputs

    def _evict(self, seat: Seat, kicked: Kicked, left: LeaveReason, code: RtcErrorCode, now_s: float) -> list[Output]:
        outputs = [*seat.to(kicked), *self._close(seat, CLOSE_EVICTED, kicked.reason)]
        self._part(seat, RtcError(kicked.message or f"you were put out: {kicked.reason}", code=code), now_s)
        outputs += self._leave(seat, left, kicked.message)
        self._drop(seat)
        return outputs

    def _part(self, seat: Seat, error: RtcError, now_s: float) -> None:
        self.exclusions.part(seat.session, error, now_s + self._settings.seat_grace_s, now_s)

    def _close(self, seat: Seat, code: int, reason: str) -> list[Output]:
        if seat.connection is None:
            return []
        del self._links[seat.connection]
        return [Close(seat.connection, code, reason)]

    def _drop(self, seat: Seat) -> None:
        del self.seats[seat.user_id]
        del self._sessions[seat.session]

    def _logged_in(self, seat: Seat, request_id: int, *, resumed: bool) -> LoggedIn:
        return LoggedIn(
            id=request_id,
            user_id=seat.user_id,
            session=seat.session,
            hub=self._hub_id,
            resumed=resumed,
            heartbeat_s=self._settings.heartbeat_s,
            seat_grace_s=self._settings.seat_grace_s,
        )

    def _joined(self, seat: Seat, room: Room, request_id: int) -> Joined:
        return Joined(
            id=request_id,
            room=room.name,
            user_id=seat.user_id,
            role=seat.role,
            profile=room.profile,
            session_id=seat.session_id,
            members=room.members_for(seat),
            ice_servers=self._ice_servers(seat.user_id),
        )

    @staticmethod
    def _check_text(name: str, text: str) -> None:
        if _CONTROL.search(text):
            raise InvalidArgumentError(f"{name} {text!r} has control characters in it")
