"""Tokens across steps of the wall clock. Pure: both clocks are arguments.

A unit without a clock chip starts in the past, hands out tokens, and then NTP sets its clock forward by a year: on the
new clock they would have ended long ago. Each token says when it was made (`iat`); one that was made while an earlier
clock was in force is moved to today's by the size of the step. The same keeps a token from a clock that ran ahead from
being good for a year too long.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import structs

from appliance.hub.tokens import Claims

STEP_S = 5.0  # more than NTP ever slews between two looks
MAX_EPOCHS = 8
_SLACK_S = 1.0  # `iat` is a whole second


@dataclass(slots=True)
class _Epoch:
    """From one step to the next, in its own wall clock; `offset_s` is wall clock less monotonic clock."""

    begin_s: float
    end_s: float
    offset_s: float

    def covers(self, wall_s: float) -> bool:
        return self.begin_s - _SLACK_S <= wall_s <= self.end_s + _SLACK_S


class TokenClock:
    """Ask it, or have it `look`, at least once a minute: it knows of a step by the look after it."""

    def __init__(self, wall_s: float, monotonic_s: float) -> None:
        self._epochs = [_Epoch(wall_s, wall_s, wall_s - monotonic_s)]

    def look(self, wall_s: float, monotonic_s: float) -> None:
        epoch, offset_s = self._epochs[-1], wall_s - monotonic_s
        if abs(offset_s - epoch.offset_s) < STEP_S:
            epoch.end_s, epoch.offset_s = wall_s, offset_s
            return
        epoch.end_s = monotonic_s + epoch.offset_s  # it may have lasted until now
        self._epochs = [*self._epochs[1 - MAX_EPOCHS :], _Epoch(wall_s, wall_s, offset_s)]

    def today(self, claims: Claims, wall_s: float, monotonic_s: float) -> Claims:
        """`claims` with their times on today's clock."""
        self.look(wall_s, monotonic_s)
        *earlier, now = self._epochs
        if now.covers(claims.iat):
            return claims
        for epoch in reversed(earlier):
            if epoch.covers(claims.iat):
                moved_s = round(now.offset_s - epoch.offset_s)
                nbf = claims.nbf + moved_s if claims.nbf else 0
                return structs.replace(claims, iat=claims.iat + moved_s, exp=claims.exp + moved_s, nbf=nbf)
        return claims
