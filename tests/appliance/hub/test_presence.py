"""The pure presence of the hub, one decision at a time and under random lives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from appliance.errors import InvalidArgumentError, RateLimitError
from appliance.hub.presence import UNREACHABLE_S, Presence
from appliance.hub.seat import Output, Seat, Send
from appliance.room.signaling_login import Ok, PresenceChanged, SubscribePresence, UnsubscribePresence


def seat(user_id: str, connection: int | None) -> Seat:
    return Seat(user_id, "", f"session of {user_id}", None, "host", connection)


def told(outputs: list[Output]) -> list[tuple[int, dict[str, str]]]:
    return [
        (output.connection, dict(output.message.statuses))
        for output in outputs
        if isinstance(output, Send) and isinstance(output.message, PresenceChanged)
    ]


class Few:
    """Presence over a few seats."""

    def __init__(self) -> None:
        self.seats: dict[str, Seat] = {}
        self.presence = Presence(self.seats)
        self.now_s = 0.0

    def arrive(self, user_id: str, connection: int) -> list[Output]:
        self.seats[user_id] = seat(user_id, connection)
        return self.presence.seated(self.seats[user_id], self.now_s, resumed=False)

    def lose(self, user_id: str, heard_s: float | None = None) -> list[Output]:
        self.seats[user_id].connection, self.seats[user_id].heard_s = None, heard_s
        return self.presence.link_lost(self.seats[user_id], self.now_s)

    def resume(self, user_id: str, connection: int) -> list[Output]:
        self.seats[user_id].connection = connection
        return self.presence.seated(self.seats[user_id], self.now_s, resumed=True)

    def go(self, user_id: str) -> list[Output]:
        return self.presence.unseated(self.seats.pop(user_id), self.now_s)

    def subscribe(self, user_id: str, *others: str) -> list[Output]:
        return self.presence.receive(self.seats[user_id], SubscribePresence(id=7, user_ids=others), self.now_s)


def test_the_states_as_they_are_come_first_and_then_every_change() -> None:
    few = Few()
    few.arrive("a", 1)
    few.arrive("b", 2)
    outputs = few.subscribe("a", "b", "c")
    assert outputs[0] == Send(1, Ok(id=7))
    assert told(outputs) == [(1, {"b": "ONLINE", "c": "OFFLINE"})]
    assert told(few.arrive("c", 3)) == [(1, {"c": "ONLINE"})]
    assert told(few.go("b")) == [(1, {"b": "OFFLINE"})]
    few.presence.receive(few.seats["a"], UnsubscribePresence(id=8, user_ids=("b", "c", "never")), few.now_s)
    assert told(few.go("c")) == []


def test_a_lost_link_is_told_six_seconds_after_its_last_word() -> None:
    few = Few()
    few.arrive("a", 1)
    few.arrive("b", 2)
    few.subscribe("a", "b")
    few.now_s = 105.0
    assert told(few.lose("b", heard_s=100.0)) == []
    assert few.presence.next_deadline_s() == 100.0 + UNREACHABLE_S
    few.now_s = 106.0
    assert told(few.presence.expire(few.now_s)) == [(1, {"b": "UNREACHABLE"})]
    assert few.presence.next_deadline_s() is None
    assert told(few.resume("b", 5)) == [(1, {"b": "ONLINE"})]


def test_a_short_break_is_nobodys_business() -> None:
    few = Few()
    few.arrive("a", 1)
    few.arrive("b", 2)
    few.subscribe("a", "b")
    few.lose("b", heard_s=0.0)
    few.now_s = 5.9
    assert told(few.presence.expire(few.now_s)) == []
    assert told(few.resume("b", 5)) == []


def test_who_was_away_hears_the_states_once_on_coming_back() -> None:
    few = Few()
    few.arrive("a", 1)
    few.arrive("b", 2)
    few.subscribe("a", "b")
    few.lose("a")
    assert told(few.go("b")) == [], "nothing to a lost link"
    assert told(few.resume("a", 3)) == [(3, {"b": "OFFLINE"})]


def test_too_many_ids_and_too_many_calls_are_refused() -> None:
    few = Few()
    few.arrive("a", 1)
    few.subscribe("a", *map(str, range(512)))
    with pytest.raises(InvalidArgumentError, match="513"):
        few.subscribe("a", "one more")
    few.now_s += 100
    for _ in range(10):
        few.subscribe("a", "5")
    with pytest.raises(RateLimitError):
        few.subscribe("a", "5")
    few.now_s += 0.5
    few.subscribe("a", "5")


USERS = ["a", "b", "c", "d"]


class Lives(RuleBasedStateMachine):
    """What a watcher was told last is what is so, as long as its link stands."""

    def __init__(self) -> None:
        super().__init__()
        self.few = Few()
        self.last = 0
        self.views: dict[str, dict[str, str]] = {}

    def take(self, outputs: list[Output]) -> None:
        owners = {seat.connection: user_id for user_id, seat in self.few.seats.items()}
        for connection, statuses in told(outputs):
            self.views[owners[connection]].update(statuses)

    @rule(user=st.sampled_from(USERS))
    def arrive(self, user: str) -> None:
        if user not in self.few.seats:
            self.last += 1
            self.views[user] = {}
            self.take(self.few.arrive(user, self.last))

    @rule(user=st.sampled_from(USERS))
    def lose(self, user: str) -> None:
        if user in self.few.seats and self.few.seats[user].connection is not None:
            self.take(self.few.lose(user, self.few.now_s))

    @rule(user=st.sampled_from(USERS))
    def resume(self, user: str) -> None:
        if user in self.few.seats and self.few.seats[user].connection is None:
            self.last += 1
            self.take(self.few.resume(user, self.last))

    @rule(user=st.sampled_from(USERS))
    def go(self, user: str) -> None:
        if user in self.few.seats:
            del self.views[user]
            self.take(self.few.go(user))

    @rule(user=st.sampled_from(USERS), others=st.sets(st.sampled_from(USERS), min_size=1), stays=st.booleans())
    def subscribe(self, user: str, others: set[str], stays: bool) -> None:
        if user not in self.few.seats or self.few.seats[user].connection is None:
            return
        self.few.now_s += 1  # the limit of calls is another test's
        message: Any = (SubscribePresence if stays else UnsubscribePresence)(id=1, user_ids=tuple(others))
        self.take(self.few.presence.expire(self.few.now_s))
        self.take(self.few.presence.receive(self.few.seats[user], message, self.few.now_s))
        if not stays:
            self.views[user] = {other: state for other, state in self.views[user].items() if other not in others}

    @rule(seconds=st.sampled_from([0.5, 4.0, 7.0]))
    def wait(self, seconds: float) -> None:
        self.few.now_s += seconds
        self.take(self.few.presence.expire(self.few.now_s))
        deadline_s = self.few.presence.next_deadline_s()
        assert deadline_s is None or deadline_s > self.few.now_s

    @invariant()
    def views_are_true(self) -> None:
        for user, view in self.views.items():
            if self.few.seats[user].connection is None:
                continue
            for other, state in view.items():
                there = self.few.seats.get(other)
                if there is None:
                    assert state == "OFFLINE"
                elif there.connection is not None:
                    assert state == "ONLINE"
                else:
                    assert there.heard_s is not None
                    late = self.few.now_s - there.heard_s >= UNREACHABLE_S
                    assert state == ("UNREACHABLE" if late else "ONLINE")

    @invariant()
    def nothing_is_left_of_who_is_gone(self) -> None:
        presence, there = self.few.presence, set(self.few.seats.values())
        assert set(presence._watched) <= there
        assert {watcher for watchers in presence._watchers.values() for watcher in watchers} <= there
        assert presence._unreachable <= there
        assert len(presence._unreachable_at) <= sum(seat.connection is None for seat in there)


TestLives = Lives.TestCase
