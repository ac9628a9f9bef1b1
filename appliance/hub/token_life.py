"""How long a login's token is good, and what happens at its end (U73 to U75, X37, TM08). Pure.

    good --30 s before its end--> TokenWillExpire --its end--> TokenExpired --grace_s--> Kicked, off the hub
      ^                                  |                          |
      +------------- RenewToken ---------+--------------------------+

The time that a token has left is taken from the clock once, at the login: from then on a clock that steps changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from appliance.errors import LeaveReason, RtcErrorCode, TokenInvalidError
from appliance.hub.deadlines import Deadlines
from appliance.hub.feature import Feature
from appliance.hub.seat import Output, Seat
from appliance.hub.tokens import Claims
from appliance.room.signaling_login import RenewToken, TokenExpired, TokenRenewed, TokenWillExpire
from appliance.room.signaling_room import Kicked

LEAD_S = 30.0  # TM08

PutOff = Callable[[Seat, Kicked, LeaveReason, RtcErrorCode, float], list[Output]]


@dataclass(frozen=True, slots=True)
class _Token:
    expires_at: float  # seconds since 1970, as the token says
    end_s: float  # monotonic
    step: Literal["good", "ending", "expired"] = "good"


class TokenLife(Feature):
    """`verify` gives a token's claims or raises `RtcError`; `put_off` takes a seat off the hub."""

    requests = (RenewToken,)

    def __init__(
        self, verify: Callable[[str], Claims], wall_s: Callable[[], float], grace_s: float, put_off: PutOff
    ) -> None:
        self._verify = verify
        self._wall_s = wall_s
        self._grace_s = grace_s
        self._put_off = put_off
        self._tokens: dict[Seat, _Token] = {}
        self._due = Deadlines[Seat]()

    def receive(self, seat: Seat, message: Any, now_s: float) -> list[Output]:
        claims = self._verify(message.token)
        if claims.sub not in ("", seat.user_id):
            raise TokenInvalidError(f"this token is for user {claims.sub!r}, not {seat.user_id!r}")
        if seat.token_room not in (None, claims.room):
            raise TokenInvalidError(f"this token is for room {claims.room!r}, not {seat.token_room!r}")
        seat.token_exp = claims.exp
        token = self._keep(seat, self._token(claims.exp, now_s))
        left_s = token.end_s - now_s
        return seat.to(TokenRenewed(id=message.id, expires_at=claims.exp, token_left_s=left_s))

    def seated(self, seat: Seat, now_s: float, *, resumed: bool) -> list[Output]:
        if not resumed and seat.token_exp is not None:
            self._keep(seat, self._token(seat.token_exp, now_s))
        elif resumed and seat in self._tokens and self._tokens[seat].step != "good":
            return self._tell(seat, self._tokens[seat], now_s)
        return []

    def unseated(self, seat: Seat, now_s: float) -> list[Output]:
        self._tokens.pop(seat, None)
        self._due.drop(seat)
        return []

    def next_deadline_s(self) -> float | None:
        return self._due.next_s()

    def expire(self, now_s: float) -> list[Output]:
        outputs: list[Output] = []
        while due := self._due.due(now_s):
            for seat in due:
                outputs += self._advance(seat, self._tokens[seat], now_s)
        return outputs

    def _advance(self, seat: Seat, token: _Token, now_s: float) -> list[Output]:
        """To the next step of its life, or off the hub."""
        if token.step == "expired":
            kicked = Kicked(reason="token_expired", message="the token expired", code=LeaveReason.TOKEN_EXPIRED)
            return self._put_off(seat, kicked, LeaveReason.TOKEN_EXPIRED, RtcErrorCode.TOKEN_EXPIRED, now_s)
        step: Literal["ending", "expired"] = "ending" if token.step == "good" else "expired"
        token = self._keep(seat, _Token(token.expires_at, token.end_s, step))
        if step == "expired" or token.end_s > now_s:  # what is over need not be said to end soon
            return self._tell(seat, token, now_s)
        return []

    def _keep(self, seat: Seat, token: _Token) -> _Token:
        self._tokens[seat] = token
        self._due.set(seat, self._due_s(token))
        return token

    def _token(self, expires_at: float, now_s: float) -> _Token:
        return _Token(expires_at, now_s + expires_at - self._wall_s())

    def _due_s(self, token: _Token) -> float:
        return token.end_s + {"good": -LEAD_S, "ending": 0.0, "expired": self._grace_s}[token.step]

    def _tell(self, seat: Seat, token: _Token, now_s: float) -> list[Output]:
        if token.step == "expired":
            left_s = max(0.0, token.end_s + self._grace_s - now_s)
            return seat.to(TokenExpired(code="expired", message="the token expired; renew it", grace_s=left_s))
        return seat.to(TokenWillExpire(expires_at=token.expires_at, token_left_s=max(0.0, token.end_s - now_s)))
