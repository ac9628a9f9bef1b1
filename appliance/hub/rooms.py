"""The hub's decisions. Pure: what a connection said, or what time it is, in; what to send and to close, out.

    Login (`logins.py`) --> seat --Join--> member of a room --Leave, kick, room closed--> seat
                                                |
                                 link lost: seat held, peers notice nothing

What a user without a room may do is decided in features (`feature.py`), what happens inside a room in `room.py`.

Choices of this hub:
- A kick, a removal and the end of a room leave the login alone; another login, a ban and a token past its grace end it.
- A token's role is the most that one gets, and the first to join decides a room's profile; Joined says which.
- Bans are by room and user id and outlive the room. A ban of a guest's id keeps nobody out.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

from appliance.errors import (
    AlreadyJoinedError,
    InvalidStateError,
    LeaveReason,
    NotJoinedError,
    RateLimitError,
    RoleError,
    RoomFullError,
    RtcError,
    RtcErrorCode,
    ServiceUnavailableError,
    TokenInvalidError,
)
from appliance.hub.allowances import Allowances
from appliance.hub.changes import BanSet, CallMissed, Change, Changes, MessageKept, RoomDropped, RoomKept
from appliance.hub.exclusions import Exclusions
from appliance.hub.feature import Feature
from appliance.hub.invitations import Invitations
from appliance.hub.logins import Logins, check_text
from appliance.hub.missed_calls import MissedCalls
from appliance.hub.moderation import Moderation
from appliance.hub.peer_messages import Mailbox, PeerMessages
from appliance.hub.presence import Presence
from appliance.hub.relay_target import Targets
from appliance.hub.relay_tasks import RelayTasks
from appliance.hub.room import Room
from appliance.hub.room_quality import RoomQualities
from appliance.hub.seat import Output, Seat, Send
from appliance.hub.settings import HubSettings
from appliance.hub.token_life import TokenLife
from appliance.hub.tokens import Claims
from appliance.room.signaling import ClientMessage
from appliance.room.signaling_base import MediaKind, Profile, Role
from appliance.room.signaling_login import Error, Login, Logout, Ok, Ping, Pong, SetUserName
from appliance.room.signaling_room import (
    IceServer,
    Join,
    Joined,
    Kicked,
    Leave,
    Publish,
    RoomClosed,
    SetMute,
    SetRole,
    SignalTo,
    Unpublish,
    Warning,
)

JOINS_PER_S, JOIN_BURST = 2.0, 40

Eviction = Literal["kick", "ban", "remove"]

_EVICTIONS: dict[Eviction, tuple[Literal["kick", "banned", "removed"], LeaveReason]] = {
    "kick": ("kick", LeaveReason.KICKED),
    "ban": ("banned", LeaveReason.KICKED),
    "remove": ("removed", LeaveReason.REMOVED),
}


class Rooms:
    """Times are monotonic seconds. `verify` gives a token's claims or raises `RtcError`; `ice_servers` is asked with a
    user id at each Joined; `make_secret` gives unguessable text for sessions and ids; `wall_s` seconds since 1970.
    """

    def __init__(
        self,
        settings: HubSettings,
        hub_id: str,
        verify: Callable[[str], Claims],
        *,
        ice_servers: Callable[[str], tuple[IceServer, ...]] = lambda _user_id: (),
        make_secret: Callable[[], str] = lambda: secrets.token_urlsafe(24),
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.rooms: dict[str, Room] = {}
        self.kept_rooms: dict[str, Profile] = {}  # those that are there with nobody in them
        self.changes: Changes = []  # what must be remembered; whoever writes it down takes it out
        self._record = self.changes.append
        self.exclusions = Exclusions(self._record, wall_s)
        self._mailbox = Mailbox(self._record)
        self._missed_calls = MissedCalls(self._record, wall_s)
        self._joins = Allowances(JOINS_PER_S, JOIN_BURST)
        self._settings = settings
        self._verify = verify
        self._ice_servers = ice_servers
        self._make_secret = make_secret
        self._logins = Logins(settings, hub_id, verify, self.exclusions, make_secret, self._part)
        self.relay = RelayTasks(
            settings.relay,
            Targets(settings.relay_hosts),
            most=settings.relay_tasks,
            record=settings.recordings_bytes > 0,
            make_secret=make_secret,
        )
        self._features: tuple[Feature, ...] = (
            Presence(self.seats),
            TokenLife(verify, wall_s, settings.token_grace_s, self._logins.put_off),
            Moderation(self),
            RoomQualities(),
            Invitations(self.seats, self._missed_calls.add),
            self._missed_calls,
            PeerMessages(self.seats, self._mailbox, wall_s, make_secret),
            self.relay,
        )
        self._deciders: dict[type[Any], Feature] = {
            request: feature for feature in self._features for request in feature.requests
        }

    @property
    def seats(self) -> dict[str, Seat]:
        """Who is logged in, by user id."""
        return self._logins.seats

    def restore(self, changes: Iterable[Change], now_s: float) -> None:
        """Become what a hub was that had made these changes; before anybody connects."""
        for change in changes:
            match change:
                case BanSet():
                    self.exclusions.restore(change, now_s)
                case MessageKept():
                    self._mailbox.restore(change.to, change.message)
                case CallMissed():
                    self._missed_calls.restore(change.callee, change.call)
                case RoomKept():
                    self.kept_rooms[change.room] = change.profile
                    self.rooms[change.room] = Room(change.room, change.profile)
                case _:
                    raise AssertionError(f"{change} is no fact")

    # --- from the connections

    def connect(self, connection: int, now_s: float) -> list[Output]:
        self._logins.connect(connection, now_s)
        return []

    def receive(self, connection: int, message: ClientMessage, now_s: float) -> list[Output]:
        """What `message` causes; one that is refused changes nothing and is answered with Error, to its sender only."""
        if connection not in self._logins.connections:  # closed by us a moment ago
            return []
        try:
            return self._decide(connection, message, now_s)
        except RtcError as exc:
            error = Error(code=exc.code, message=exc.message, id=getattr(message, "id", 0))
            return [Send(connection, error)]

    def link_lost(
        self, connection: int, now_s: float, *, went_away: bool = False, heard_s: float | None = None
    ) -> list[Output]:
        """The connection is gone without a Logout: its seat is held, unless the client said it `went_away`. `heard_s`:
        when its last message came.
        """
        held, outputs = self._logins.link_lost(connection, now_s, went_away=went_away, heard_s=heard_s)
        if held is not None:
            for feature in self._features:
                outputs += feature.link_lost(held, now_s)
        return outputs

    # --- from the clock

    def next_deadline_s(self) -> float | None:
        """When `expire` has something to do; None: not before something else happens."""
        deadlines = [
            self._logins.next_deadline_s(),
            self.exclusions.next_deadline_s(),
            *(feature.next_deadline_s() for feature in self._features),
        ]
        return min((deadline_s for deadline_s in deadlines if deadline_s is not None), default=None)

    def expire(self, now_s: float) -> list[Output]:
        outputs = self._logins.expire(now_s)
        self._joins.forget(now_s)
        self.exclusions.expire(now_s)
        for feature in self._features:
            outputs += feature.expire(now_s)
        return outputs

    # --- from the administrator

    def evict(
        self, room_name: str, user_id: str, how: Eviction, message: str, now_s: float, *, ban_s: float | None = None
    ) -> list[Output]:
        """Out of the room; a ban, for `ban_s` or for good, ends the login too.

        Raises PEER_NOT_FOUND, but a ban works in advance too, and `InvalidStateError` for one too many.
        """
        reason, left = _EVICTIONS[how]
        room = self.rooms.get(room_name)
        seat = room.seats.get(user_id) if room is not None else None
        if seat is None and how != "ban":
            raise RtcError(f"nobody called {user_id!r} is in room {room_name!r}", code=RtcErrorCode.PEER_NOT_FOUND)
        if how == "ban":
            self.exclusions.ban(room_name, user_id, now_s, ban_s)
        if seat is None:
            return []
        kicked = Kicked(reason=reason, message=message, code=left, login_ends=how == "ban")
        if how == "ban":
            return self._logins.put_off(seat, kicked, left, RtcErrorCode.BANNED, now_s)
        return [*seat.tell(kicked), *self._leave(seat, left, message)]

    def force_mute(
        self, room_name: str, user_id: str, kind: MediaKind, muted: bool, *, by: str = "", message: str = ""
    ) -> list[Output]:
        """Mute a member, or lift that. Raises PEER_NOT_FOUND."""
        room = self.rooms.get(room_name)
        seat = room.seats.get(user_id) if room is not None else None
        if room is None or seat is None:
            raise RtcError(f"nobody called {user_id!r} is in room {room_name!r}", code=RtcErrorCode.PEER_NOT_FOUND)
        return room.force_mute(seat, kind, muted, by, message)

    def keep_room(self, room_name: str, profile: Profile) -> None:
        """A room that is there with nobody in it, until it is disbanded. Raises `InvalidStateError` for one of another
        profile with members in it, `ServiceUnavailableError` when there are too many.
        """
        room = self.rooms.get(room_name)
        if room is not None and room.profile != profile and room.seats:
            raise InvalidStateError(f"room {room_name!r} has the profile {room.profile} and members in it")
        if room is None and len(self.rooms) >= self._settings.max_rooms:
            raise ServiceUnavailableError(f"this hub has {len(self.rooms)} rooms and takes no more")
        if room is None or room.profile != profile:
            self.rooms[room_name] = Room(room_name, profile)
        if self.kept_rooms.get(room_name) != profile:
            self.kept_rooms[room_name] = profile
            self._record(RoomKept(room_name, profile))

    def disband(self, room_name: str, message: str) -> list[Output]:
        """RoomClosed to everybody in it, and nothing else. Raises PEER_NOT_FOUND when there is no such room."""
        room = self.rooms.pop(room_name, None)
        if room is None:
            raise RtcError(f"there is no room {room_name!r}", code=RtcErrorCode.PEER_NOT_FOUND)
        if self.kept_rooms.pop(room_name, None) is not None:
            self._record(RoomDropped(room_name))
        outputs: list[Output] = []
        for seat in room.seats.values():
            outputs += seat.tell(RoomClosed(room=room_name, message=message))
            seat.room, seat.session_id, seat.streams = None, "", {}
        seats = list(room.seats.values())
        room.seats.clear()  # what is still to be told in this room is told to nobody
        return outputs + [output for seat in seats for output in self._left(seat, room)]

    # --- inside

    def _decide(self, connection: int, message: ClientMessage, now_s: float) -> list[Output]:
        if isinstance(message, Ping):
            return [Send(connection, Pong(t=message.t))]
        if isinstance(message, Pong):
            return []
        if isinstance(message, Login):
            return self._login(connection, message, now_s)
        seat = self._logins.connections[connection].seat
        if seat is None:
            raise RtcError("log in first", code=RtcErrorCode.NOT_LOGGED_IN)
        if isinstance(message, Logout):
            return [Send(connection, Ok(id=message.id)), *self._logins.logout(seat, now_s)]
        decider = self._deciders.get(type(message))
        if decider is not None:
            return decider.receive(seat, message, now_s)
        if isinstance(message, Join):
            return self._join(seat, message, now_s)
        if isinstance(message, SetUserName):
            check_text("user name", message.user_name)
            renamed = seat.room.rename(seat, message.user_name) if seat.room is not None else []
            seat.user_name = message.user_name
            return [Send(connection, Ok(id=message.id)), *renamed]
        room = seat.room
        if room is None:
            raise NotJoinedError("join a room first")
        match message:
            case Leave():
                outputs = self._leave(seat, LeaveReason(message.reason))
            case Publish():
                outputs = room.publish(seat, message)
            case Unpublish():
                outputs = room.unpublish(seat, message)
            case SetMute():
                outputs = room.set_mute(seat, message)
            case SetRole():
                if message.role == "host" and seat.token_role == "audience":
                    raise RoleError("this token lets nobody be a host")
                outputs = room.set_role(seat, message.role)
            case SignalTo():
                return room.signal(seat, message)
            case _:
                raise AssertionError(f"nobody decides {type(message).__name__}")
        return [Send(connection, Ok(id=message.id)), *outputs]

    def _login(self, connection: int, request: Login, now_s: float) -> list[Output]:
        seat, resumed, outputs = self._logins.login(connection, request, now_s)
        if resumed:
            if seat.room is not None:
                outputs.append(Send(connection, self._joined(seat, seat.room, 0)))
            missed, seat.missed = seat.missed, []
            outputs += [Send(connection, message) for message in missed]
        for feature in self._features:
            outputs += feature.seated(seat, now_s, resumed=resumed)
        return outputs

    def _join(self, seat: Seat, request: Join, now_s: float) -> list[Output]:
        if seat.room is not None:
            raise AlreadyJoinedError(f"you are in room {seat.room.name!r} already")
        if not self._joins.take(seat.user_id, now_s):
            raise RateLimitError(f"over {JOINS_PER_S:g} joins a second; each is told to everybody in the room")
        token_room, token_role, may_moderate = self._opened_by(request.token, seat)
        if token_room not in (None, request.room):
            raise TokenInvalidError(f"this token is for room {token_room!r}, not {request.room!r}")
        self.exclusions.check_ban(request.room, seat.user_id, now_s)
        room = self.rooms.get(request.room)
        if room is None and len(self.rooms) >= self._settings.max_rooms:
            raise ServiceUnavailableError(f"this hub has {len(self.rooms)} rooms and takes no more")
        if room is not None and len(room.seats) >= self._settings.room_capacity:
            raise RoomFullError(f"room {room.name!r} is full: {len(room.seats)} of {self._settings.room_capacity}")
        encryption = (request.encryption, request.key_fingerprint)
        if room is not None:
            room.check_encryption(encryption)
        if room is None:
            room = self.rooms[request.room] = Room(request.room, request.profile)
        seat.token_room, seat.token_role, seat.may_moderate = token_room, token_role, may_moderate
        seat.encryption = encryption
        role: Role = "audience" if "audience" in (request.role, token_role) else "host"
        entered = room.enter(
            seat,
            role,
            self._make_secret(),
            is_probe=request.probe,
            data=request.data,
            priority=request.priority,
            preemptive=request.preemptive,
        )
        return [*seat.to(self._joined(seat, room, request.id)), *self._misfit(seat, request), *entered]

    def _misfit(self, seat: Seat, request: Join) -> list[Output]:
        """The warning for who can neither send nor receive a codec of this hub's rooms (RS20)."""
        codecs = self._settings.video_codecs
        if set(codecs) & set(request.video_codecs):
            return []
        reason = f"video in this room is {' or '.join(codecs)}, of which you have none"
        return seat.to(Warning(code=406, reason=reason))

    def _opened_by(self, token: str, seat: Seat) -> tuple[str | None, Role, bool]:
        """The room, the role and whether it moderates of `token`, or without one of the login's. Raises
        `TokenInvalidError` and its like.
        """
        if not token:
            return seat.token_room, seat.token_role, seat.may_moderate
        claims = self._verify(token)
        if claims.sub not in ("", seat.user_id):
            raise TokenInvalidError(f"this token is for user {claims.sub!r}, not {seat.user_id!r}")
        return claims.room, claims.role, claims.moderator

    def _leave(self, seat: Seat, reason: LeaveReason, message: str = "") -> list[Output]:
        """Out of its room, if it is in one; the room ends with its last member."""
        room = seat.room
        if room is None:
            return []
        outputs = room.leave(seat, reason, message)
        if not room.seats and room.name not in self.kept_rooms:
            del self.rooms[room.name]
        return outputs + self._left(seat, room)

    def _left(self, seat: Seat, room: Room) -> list[Output]:
        return [output for feature in self._features for output in feature.left(seat, room)]

    def _part(self, seat: Seat, reason: LeaveReason, message: str, now_s: float) -> list[Output]:
        """The seat is about to be gone from the hub."""
        outputs = self._leave(seat, reason, message)
        for feature in self._features:
            outputs += feature.unseated(seat, now_s)
        return outputs

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
            may_moderate=seat.may_moderate and seat.role == "host",
            priority=seat.priority,
            video_codecs=self._settings.video_codecs,
        )
