"""Who is logged in to the hub, on which connection: log-in, resumed sessions, held seats, log-in with a taken id. Pure.

    connect --> (not logged in) --Login--> seat --link lost--> held for seat_grace_s --> gone
                     |                       ^                          |
              login_timeout_s                +---- Login with session --+
              Error, close                     Logout: gone at once

Choices of this hub:
- A user id is unique in the whole hub, not in a room: whoever logs in with one that is taken meets `duplicate_login`.
  A held seat of a lost link is never a reason to refuse: the newcomer replaces it, and its peers see MemberLeft(7).
- A session resumes its seat without another look at the token, and takes it over from a link that still looks alive.
- A session that was put off the hub, whatever its link heard of it, is told so for `seat_grace_s`: Error `kicked` or
  `banned` or `token-expired`.
- A token with `sub` "" invites guests: each login gets an id of the hub, or the free guest id that it asks for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from appliance.errors import (
    DuplicateUserError,
    InvalidArgumentError,
    InvalidStateError,
    LeaveReason,
    RtcError,
    RtcErrorCode,
    TokenInvalidError,
)
from appliance.hub.deadlines import Deadlines
from appliance.hub.exclusions import Exclusions
from appliance.hub.seat import Close, Output, Seat, Send
from appliance.hub.settings import HubSettings
from appliance.hub.tokens import Claims
from appliance.room.signaling_login import PROTOCOL_VERSION, Error, LoggedIn, Login, check_user_id
from appliance.room.signaling_room import Kicked

CLOSE_NORMAL = 1000  # RFC 6455 7.4.1
CLOSE_POLICY = 1008
CLOSE_TAKEN_OVER = 4001  # 4000..4999 are private use
CLOSE_EVICTED = 4003

GUEST_PREFIX = "guest-"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(slots=True, eq=False)
class Connected:
    """One open connection; None: nobody has logged in on it."""

    seat: Seat | None = None


class Logins:
    """`verify` gives a token's claims or raises `RtcError`. `part` takes a seat that goes out of its room and out of
    everything else that knows it, with the reason that its room is told.
    """

    def __init__(
        self,
        settings: HubSettings,
        hub_id: str,
        verify: Callable[[str], Claims],
        exclusions: Exclusions,
        make_secret: Callable[[], str],
        part: Callable[[Seat, LeaveReason, str, float], list[Output]],
    ) -> None:
        self.seats: dict[str, Seat] = {}  # by user id
        self.connections: dict[int, Connected] = {}
        self._settings = settings
        self._hub_id = hub_id
        self._verify = verify
        self._exclusions = exclusions
        self._make_secret = make_secret
        self._part = part
        self._sessions: dict[str, Seat] = {}
        self._login_by = Deadlines[int]()  # of connections that have no seat yet
        self._held_until = Deadlines[Seat]()  # of seats whose link is lost

    def connect(self, connection: int, now_s: float) -> None:
        self.connections[connection] = Connected()
        self._login_by.set(connection, now_s + self._settings.login_timeout_s)

    def login(self, connection: int, request: Login, now_s: float) -> tuple[Seat, bool, list[Output]]:
        """(the seat, whether it was resumed, what to send: the last is LoggedIn). Raises `RtcError`."""
        connected = self.connections[connection]
        if connected.seat is not None:
            raise InvalidStateError(f"this connection is logged in already, as {connected.seat.user_id!r}")
        if request.version != PROTOCOL_VERSION:
            raise InvalidArgumentError(f"protocol version {request.version}; this hub speaks {PROTOCOL_VERSION}")
        self._exclusions.check_session(request.session, now_s)
        held = self._sessions.get(request.session)
        if held is not None and request.user_id in ("", held.user_id):
            outputs = self._close(held, CLOSE_TAKEN_OVER, "a newer connection took over")
            held.connection, connected.seat = connection, held
            self._held_until.drop(held)
            self._login_by.drop(connection)
            return held, True, [*outputs, Send(connection, self._logged_in(held, request.id, resumed=True))]
        claims = self._verify(request.token) if request.token or self._settings.secure else None
        user_id = self._user_id(request.user_id, claims)
        user_name = request.user_name or (claims.name if claims is not None else "")
        check_user_id(user_id)
        check_text("user id", user_id)
        check_text("user name", user_name)
        old = self.seats.get(user_id)
        outputs = self._replace(old, now_s) if old is not None else []
        seat = Seat(
            user_id=user_id,
            user_name=user_name,
            session=self._make_secret(),
            token_room=claims.room if claims is not None else None,
            token_role=claims.role if claims is not None else "host",
            connection=connection,
            token_exp=claims.exp if claims is not None else None,
            may_moderate=claims is None or claims.moderator,
        )
        connected.seat = self.seats[user_id] = self._sessions[seat.session] = seat
        self._login_by.drop(connection)
        return seat, False, [*outputs, Send(connection, self._logged_in(seat, request.id, resumed=False))]

    def logout(self, seat: Seat, now_s: float) -> list[Output]:
        closed = self._close(seat, CLOSE_NORMAL, "logged out")
        return [*closed, *self.drop(seat, LeaveReason.USER_LEFT, "", now_s)]

    def link_lost(
        self, connection: int, now_s: float, *, went_away: bool, heard_s: float | None
    ) -> tuple[Seat | None, list[Output]]:
        """(the seat that is held now, if any; what it causes). One that `went_away` is gone at once."""
        connected = self.connections.pop(connection, None)
        self._login_by.drop(connection)
        seat = connected.seat if connected is not None else None
        if seat is None:
            return None, []
        seat.connection = None
        if went_away:
            return None, self.drop(seat, LeaveReason.USER_LEFT, "", now_s)
        self._held_until.set(seat, now_s + self._settings.seat_grace_s)
        seat.heard_s = heard_s
        return seat, []

    def put_off(self, seat: Seat, kicked: Kicked, left: LeaveReason, code: RtcErrorCode, now_s: float) -> list[Output]:
        """Off the hub: `kicked` to it, `left` to its room; its session hears `code` should it come back."""
        outputs = [*seat.to(kicked), *self._close(seat, CLOSE_EVICTED, kicked.reason)]
        self._farewell(seat, RtcError(kicked.message or f"you were put out: {kicked.reason}", code=code), now_s)
        return [*outputs, *self.drop(seat, left, kicked.message, now_s)]

    def drop(self, seat: Seat, reason: LeaveReason, message: str, now_s: float) -> list[Output]:
        outputs = self._part(seat, reason, message, now_s)
        del self.seats[seat.user_id]
        del self._sessions[seat.session]
        self._held_until.drop(seat)
        return outputs

    def next_deadline_s(self) -> float | None:
        deadlines = (self._login_by.next_s(), self._held_until.next_s())
        return min((deadline_s for deadline_s in deadlines if deadline_s is not None), default=None)

    def expire(self, now_s: float) -> list[Output]:
        outputs: list[Output] = []
        for connection in self._login_by.due(now_s):
            del self.connections[connection]
            why = f"no login within {self._settings.login_timeout_s:g} s"
            outputs.append(Send(connection, Error(code=RtcErrorCode.NOT_LOGGED_IN, message=why)))
            outputs.append(Close(connection, CLOSE_POLICY, why))
        for seat in self._held_until.due(now_s):
            outputs += self.drop(seat, LeaveReason.RECONNECT_TIMEOUT, "connection lost", now_s)
        return outputs

    # --- inside

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
            self._farewell(old, RtcError("logged in from somewhere else", code=RtcErrorCode.KICKED), now_s)
            return self.drop(old, LeaveReason.RECONNECT_TIMEOUT, "connection lost", now_s)
        if self._settings.duplicate_login == "reject_new":
            raise DuplicateUserError(f"{old.user_id!r} is logged in already")
        kicked = Kicked(reason="kick", message="logged in from somewhere else", code=LeaveReason.KICKED)
        return self.put_off(old, kicked, LeaveReason.KICKED, RtcErrorCode.KICKED, now_s)

    def _farewell(self, seat: Seat, error: RtcError, now_s: float) -> None:
        self._exclusions.part(seat.session, error, now_s + self._settings.seat_grace_s, now_s)

    def _close(self, seat: Seat, code: int, reason: str) -> list[Output]:
        if seat.connection is None:
            return []
        del self.connections[seat.connection]
        return [Close(seat.connection, code, reason)]

    def _logged_in(self, seat: Seat, request_id: int, *, resumed: bool) -> LoggedIn:
        return LoggedIn(
            id=request_id,
            user_id=seat.user_id,
            session=seat.session,
            hub=self._hub_id,
            resumed=resumed,
            in_room=seat.room is not None,
            heartbeat_s=self._settings.heartbeat_s,
            seat_grace_s=self._settings.seat_grace_s,
        )


def check_text(name: str, text: str) -> None:
    """Raises `InvalidArgumentError` for control characters."""
    if _CONTROL.search(text):
        raise InvalidArgumentError(f"{name} {text!r} has control characters in it")
