"""Who is online: told to those who subscribed (U81, U82, X40, TM05). Pure.

ONLINE --nothing heard for 6 s--> UNREACHABLE --seat given up, logged out--> OFFLINE
   ^<------------ back ----------------+                                        |
   ^<------------------------------ logged in ----------------------------------+
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.errors import InvalidArgumentError, RateLimitError
from appliance.hub.allowances import Allowances
from appliance.hub.deadlines import Deadlines
from appliance.hub.feature import Feature
from appliance.hub.seat import Output, Seat
from appliance.room.signaling_login import (
    MAX_PRESENCE_IDS,
    Ok,
    PresenceChanged,
    PresenceState,
    SubscribePresence,
    UnsubscribePresence,
)

UNREACHABLE_S = 6.0  # TM05
CALLS_PER_S, CALL_BURST = 2.0, 10  # D69: 10 calls in 5 s


class Presence(Feature):
    requests = (SubscribePresence, UnsubscribePresence)

    def __init__(self, seats: Mapping[str, Seat]) -> None:
        self._seats = seats
        self._watched: dict[Seat, dict[str, None]] = {}  # whom a seat watches
        self._watchers: dict[str, dict[Seat, None]] = {}  # who watches a user id
        self._calls = Allowances(CALLS_PER_S, CALL_BURST)
        self._unreachable_at = Deadlines[Seat]()  # of seats whose link is lost
        self._unreachable: set[Seat] = set()

    def receive(self, seat: Seat, message: Any, now_s: float) -> list[Output]:
        if not self._calls.take(seat.user_id, now_s):
            raise RateLimitError(f"over {CALL_BURST} presence calls in {CALL_BURST / CALLS_PER_S:g} s")
        watched = self._watched.get(seat, {})
        if isinstance(message, UnsubscribePresence):
            for user_id in message.user_ids:
                if user_id in watched:
                    self._forget(seat, user_id)
            return seat.to(Ok(id=message.id))
        total = len(watched.keys() | set(message.user_ids))
        if total > MAX_PRESENCE_IDS:
            raise InvalidArgumentError(f"{total} user ids; at most {MAX_PRESENCE_IDS} can be subscribed")
        for user_id in message.user_ids:
            self._watched.setdefault(seat, {})[user_id] = None
            self._watchers.setdefault(user_id, {})[seat] = None
        statuses = {user_id: self._state(user_id) for user_id in message.user_ids}
        return [*seat.to(Ok(id=message.id)), *seat.to(PresenceChanged(statuses=statuses))]

    def seated(self, seat: Seat, now_s: float, *, resumed: bool) -> list[Output]:
        self._unreachable_at.drop(seat)
        outputs: list[Output] = []
        if not resumed or seat in self._unreachable:
            self._unreachable.discard(seat)
            outputs += self._tell(seat.user_id)
        if watched := self._watched.get(seat):
            outputs += seat.to(PresenceChanged(statuses={user_id: self._state(user_id) for user_id in watched}))
        return outputs

    def link_lost(self, seat: Seat, now_s: float) -> list[Output]:
        self._unreachable_at.set(seat, (seat.heard_s if seat.heard_s is not None else now_s) + UNREACHABLE_S)
        return self.expire(now_s)

    def unseated(self, seat: Seat, now_s: float) -> list[Output]:
        self._unreachable_at.drop(seat)
        self._unreachable.discard(seat)
        for user_id in list(self._watched.get(seat, ())):
            self._forget(seat, user_id)
        return self._tell(seat.user_id, "OFFLINE")

    def next_deadline_s(self) -> float | None:
        return self._unreachable_at.next_s()

    def expire(self, now_s: float) -> list[Output]:
        self._calls.forget(now_s)
        outputs: list[Output] = []
        for seat in self._unreachable_at.due(now_s):
            self._unreachable.add(seat)
            outputs += self._tell(seat.user_id)
        return outputs

    def _state(self, user_id: str) -> PresenceState:
        seat = self._seats.get(user_id)
        return "OFFLINE" if seat is None else "UNREACHABLE" if seat in self._unreachable else "ONLINE"

    def _tell(self, user_id: str, state: PresenceState | None = None) -> list[Output]:
        message = PresenceChanged(statuses={user_id: state or self._state(user_id)})
        return [output for watcher in self._watchers.get(user_id, ()) for output in watcher.to(message)]

    def _forget(self, seat: Seat, user_id: str) -> None:
        for index, key, value in ((self._watched, seat, user_id), (self._watchers, user_id, seat)):
            entries: Any = index
            del entries[key][value]
            if not entries[key]:
                del entries[key]
