"""A part of the hub's login scope: presence, messages, invitations, the life of tokens. Each is pure, in one file."""

from __future__ import annotations

from typing import Any, ClassVar

from appliance.hub.room import Room
from appliance.hub.seat import Output, Seat


class Feature:
    """Base of them all: does nothing. `requests`: the client's messages that it decides; it may raise `RtcError`.

    Times are monotonic seconds. A seat is a user who is logged in, in a room or not, also while its link is lost.
    """

    requests: ClassVar[tuple[type[Any], ...]] = ()

    def receive(self, seat: Seat, message: Any, now_s: float) -> list[Output]:
        """One of `requests`, of a user who is logged in."""
        raise NotImplementedError

    def seated(self, seat: Seat, now_s: float, *, resumed: bool) -> list[Output]:
        """`seat` logged in, or took its session up again after a lost link; it has heard LoggedIn already."""
        return []

    def link_lost(self, seat: Seat, now_s: float) -> list[Output]:
        """The link of `seat` is lost; the seat is held."""
        return []

    def left(self, seat: Seat, room: Room) -> list[Output]:
        """`seat` is no longer in `room`, whichever way; the room has heard of it."""
        return []

    def unseated(self, seat: Seat, now_s: float) -> list[Output]:
        """`seat` is gone: logged out, put out, or not back in time."""
        return []

    def next_deadline_s(self) -> float | None:
        """When `expire` has something to do; None: not before something else happens."""
        return None

    def expire(self, now_s: float) -> list[Output]:
        return []
