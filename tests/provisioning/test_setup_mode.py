"""When the unit's own network opens and closes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from provisioning.setup_mode import (
    ASKED_S,
    LOOK_EVERY_S,
    LOOK_S,
    OFFLINE_S,
    RETRY_S,
    UNKNOWN_S,
    Action,
    Facts,
    Phase,
    State,
    ask,
    next_s,
    step,
)

ONLINE = Facts(online=True)
OFFLINE = Facts()
UP = Facts(access_point=True)


def run(state: State, *moments: tuple[float, Facts]) -> tuple[State, list[Action]]:
    actions = []
    for now_s, facts in moments:
        state, action = step(state, facts, now_s)
        actions += [action] if action is not None else []
    return state, actions


def test_online_nothing_happens() -> None:
    assert run(State(), (0, ONLINE), (1000, ONLINE)) == (State(), [])
    assert next_s(State(), ONLINE, 0) is None


def test_offline_for_a_minute_opens() -> None:
    state, actions = run(State(), (5, OFFLINE), (5 + OFFLINE_S - 0.1, OFFLINE))
    assert (state.phase, actions) == (Phase.IDLE, [])
    assert next_s(state, OFFLINE, 64) == 5 + OFFLINE_S
    state, actions = run(state, (5 + OFFLINE_S, OFFLINE))
    assert (state.phase, actions) == (Phase.ACCESS_POINT, [Action.RAISE])


def test_a_network_that_comes_back_in_time_starts_the_minute_anew() -> None:
    state, actions = run(State(), (0, OFFLINE), (50, ONLINE), (55, OFFLINE), (100, OFFLINE))
    assert (state.phase, actions) == (Phase.IDLE, [])
    assert run(state, (55 + OFFLINE_S, OFFLINE))[1] == [Action.RAISE]


def test_where_no_network_is_known_nobody_waits_a_minute() -> None:
    fresh = Facts(known=False)
    assert run(State(), (0, fresh), (UNKNOWN_S, fresh))[1] == [Action.RAISE]


@pytest.mark.parametrize("facts", [Facts(wired=True), Facts(wifi=False), Facts(wired=True, wifi=False)])
def test_never_with_a_cable_or_without_a_radio(facts: Facts) -> None:
    state = ask(State(), 0)
    assert run(state, (0, facts), (500, facts))[1] == []


def test_a_cable_closes_it() -> None:
    state = State(Phase.ACCESS_POINT, 0, 0)
    assert run(state, (1, replace(UP, wired=True))) == (State(Phase.IDLE, 1), [Action.LOWER])


def test_the_buttons_open_it_at_once_and_close_it_again() -> None:
    state = ask(run(State(), (0, ONLINE))[0], 1)
    state, actions = run(state, (1, ONLINE), (2, UP))
    assert (state.phase, actions) == (Phase.ACCESS_POINT, [Action.RAISE])
    state, actions = run(ask(state, 3), (3, UP))
    assert (state.phase, actions) == (Phase.LOOKING, [Action.LOOK])


def test_asked_for_it_does_not_look_around_and_ends_by_itself() -> None:
    state, _ = run(ask(State(), 0), (0, ONLINE), (1, UP))
    state, actions = run(state, (LOOK_EVERY_S + 2, UP), (ASKED_S - 1, UP))
    assert actions == []
    assert run(state, (ASKED_S, UP))[1] == [Action.LOOK]


def test_asked_for_lasts_while_somebody_uses_it() -> None:
    state, _ = run(ask(State(), 0), (0, ONLINE), (1, UP), (ASKED_S - 1, replace(UP, busy=True)))
    assert state.is_asked(2 * ASKED_S - 2)


def test_looks_around_and_leaves_when_a_known_network_is_back() -> None:
    state, actions = run(State(Phase.ACCESS_POINT, 0, 0), (LOOK_EVERY_S - 1, UP), (LOOK_EVERY_S, UP))
    assert (state.phase, actions) == (Phase.LOOKING, [Action.LOOK])
    found = Facts(reach=True)
    state, actions = run(state, (LOOK_EVERY_S + 8, found), (LOOK_EVERY_S + 12, replace(found, online=True)))
    assert (state.phase, actions) == (Phase.IDLE, [])


def test_nothing_known_in_reach_opens_again_at_once() -> None:
    state = State(Phase.LOOKING, 100, 0)
    assert run(state, (108, Facts(reach=False)))[1] == [Action.RAISE]


def test_a_known_network_that_does_not_let_the_unit_in_does_not_hold_it_up() -> None:
    state = State(Phase.LOOKING, 100, 0)
    state, actions = run(state, (101, Facts(reach=True)), (100 + LOOK_S, Facts(reach=True)))
    assert (state.phase, actions) == (Phase.ACCESS_POINT, [Action.RAISE])


def test_who_uses_it_is_not_thrown_out() -> None:
    state, actions = run(State(Phase.ACCESS_POINT, 0, 0), *((10.0 * n, replace(UP, busy=True)) for n in range(1, 90)))
    assert (state.phase, actions) == (Phase.ACCESS_POINT, [])
    assert run(state, (890 + LOOK_EVERY_S, UP))[1] == [Action.LOOK]


def test_where_nothing_is_known_it_does_not_look() -> None:
    assert run(State(Phase.ACCESS_POINT, 0, 0), (10_000, replace(UP, known=False)))[1] == []


def test_an_access_point_that_did_not_come_up_is_tried_again() -> None:
    state, _ = run(State(), (0, OFFLINE), (OFFLINE_S, OFFLINE))
    assert run(state, (OFFLINE_S + RETRY_S - 1, OFFLINE))[1] == []
    state, actions = run(state, (OFFLINE_S + RETRY_S, OFFLINE), (OFFLINE_S + RETRY_S + 1, OFFLINE))
    assert actions == [Action.RAISE]


def test_a_join_is_left_alone_and_what_follows_depends_on_how_it_went() -> None:
    joining = Facts(joining=True)
    state, actions = run(State(Phase.ACCESS_POINT, 0, 0), (200, joining), (230, joining))
    assert (state.phase, actions) == (Phase.JOINING, [])
    assert run(state, (231, ONLINE)) == (State(Phase.IDLE, 231), [])
    assert run(state, (231, OFFLINE))[1] == [Action.RAISE]


def test_a_failed_join_from_a_network_gives_that_a_minute_to_come_back() -> None:
    state, actions = run(State(), (0, ONLINE), (1, Facts(joining=True)), (5, OFFLINE), (8, ONLINE))
    assert (state.phase, actions) == (Phase.IDLE, [])


def test_a_join_that_worked_ends_what_the_buttons_began() -> None:
    state, _ = run(ask(State(), 0), (0, ONLINE), (1, UP), (2, Facts(joining=True)), (9, ONLINE), (10, ONLINE))
    assert state == State(Phase.IDLE, 9)


FACTS = st.builds(
    Facts,
    wifi=st.booleans(),
    wired=st.booleans(),
    online=st.booleans(),
    access_point=st.booleans(),
    known=st.booleans(),
    reach=st.none() | st.booleans(),
    busy=st.booleans(),
    joining=st.booleans(),
)


@given(st.lists(st.tuples(st.floats(0, 300), FACTS, st.booleans()), max_size=60))
def test_whatever_happens(moments: list[tuple[float, Facts, bool]]) -> None:
    state, now_s = State(), 0.0
    for wait_s, facts, pressed in moments:
        now_s += wait_s
        if pressed:
            state = ask(state, now_s)
        state, action = step(state, facts, now_s)
        if action in (Action.RAISE, Action.LOOK):
            assert facts.wifi
            assert not facts.wired
        if facts.joining:
            assert action is None
        if action is Action.LOOK:
            assert not facts.busy
            assert not state.is_asked(now_s)
        settled, again = step(state, facts, now_s)
        assert again is None or (again is action is Action.LOWER)  # nothing is done twice for one moment
        assert settled.phase is state.phase
        due_s = next_s(state, facts, now_s)
        assert due_s is None or due_s >= now_s - 1e-6 or facts.busy or facts.access_point or state.phase is Phase.IDLE


class World(RuleBasedStateMachine):
    """A radio that does as it is told, a home network that comes and goes, a person who comes and goes."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.now_s = 0.0
        self.home = True
        self.person = False
        self.joined_s: float | None = 0.0  # when it got into the home network
        self.is_up = False
        self.reach: bool | None = None

    @rule(home=st.booleans())
    def home_comes_or_goes(self, home: bool) -> None:
        self.home = home

    @rule(person=st.booleans())
    def person_comes_or_goes(self, person: bool) -> None:
        self.person = person

    @rule()
    def buttons(self) -> None:
        self.state = ask(self.state, self.now_s)

    @rule(seconds=st.integers(1, 400))
    def time_passes(self, seconds: int) -> None:
        for _ in range(seconds):
            self.tick()

    @rule()
    def left_alone_near_home_it_comes_home(self) -> None:
        self.home, self.person = True, False
        for _ in range(int(ASKED_S + 2 * LOOK_EVERY_S + 2 * LOOK_S + OFFLINE_S)):
            self.tick()
        assert self.state.phase is Phase.IDLE
        assert not self.is_up

    def tick(self) -> None:
        self.now_s += 1
        if self.is_up or not self.home:
            self.joined_s = None
        elif self.joined_s is None:
            self.joined_s = self.now_s + 5
        online = self.joined_s is not None and self.now_s >= self.joined_s
        facts = Facts(online=online, access_point=self.is_up, reach=self.reach, busy=self.is_up and self.person)
        self.state, action = step(self.state, facts, self.now_s)
        if action is Action.RAISE:
            self.is_up = True
        elif action is not None:
            assert self.is_up
            assert not (self.person and action is Action.LOOK)
            self.is_up = False
            self.reach = self.home if action is Action.LOOK else None

    @invariant()
    def up_only_when_open(self) -> None:
        assert not self.is_up or self.state.phase is Phase.ACCESS_POINT


TestWorld = World.TestCase
