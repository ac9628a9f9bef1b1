"""Edges of buttons become presses, holds and chords, at the right time and never out of nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw import BUTTON_NAMES, ButtonEdge, ButtonName
from hw.gestures import (
    CHORD_STEPS_S,
    HOLD_S,
    STUCK_S,
    ChordEnd,
    ChordHeld,
    DoublePress,
    Gesture,
    Gestures,
    HoldEnd,
    HoldStart,
    Press,
)

MUTE: ButtonName = "mute"
CALL: ButtonName = "call"


def play(*edges: tuple[float, ButtonName, bool], until_s: float | None = None) -> list[Gesture]:
    gestures = Gestures()
    told = [gesture for at_s, button, down in edges for gesture in gestures.feed(ButtonEdge(button, down, at_s))]
    return told + ([] if until_s is None else gestures.advance(until_s))


@pytest.mark.parametrize("button", BUTTON_NAMES)
def test_a_press_is_told_at_its_release(button: ButtonName) -> None:
    assert play((1.0, button, True), until_s=1.3) == []
    assert play((1.0, button, True), (1.3, button, False)) == [Press(button)]


@pytest.mark.parametrize("button", BUTTON_NAMES)
def test_a_hold_starts_at_its_time_and_ends_with_the_release(button: ButtonName) -> None:
    gestures = Gestures()
    assert gestures.feed(ButtonEdge(button, True, 1.0)) == []
    deadline_s = gestures.next_deadline_s()
    assert deadline_s is not None
    assert deadline_s == pytest.approx(1.0 + HOLD_S[button])
    assert gestures.advance(deadline_s - 0.001) == []
    assert gestures.advance(deadline_s) == [HoldStart(button)]
    assert gestures.advance(99.0) == []
    assert gestures.next_deadline_s() == 1.0 + STUCK_S
    assert gestures.feed(ButtonEdge(button, False, 99.0)) == [HoldEnd(button)]
    assert gestures.next_deadline_s() is None


@pytest.mark.parametrize("button", BUTTON_NAMES)
def test_a_button_held_for_a_minute_is_a_hold_of_a_minute(button: ButtonName) -> None:
    assert play((0.0, button, True), (60.0, button, False)) == [HoldStart(button), HoldEnd(button)]


@pytest.mark.parametrize(("stuck", "other"), [(MUTE, CALL), (CALL, MUTE)])
def test_a_stuck_button_ends_its_hold_and_leaves_the_other_one_alone(stuck: ButtonName, other: ButtonName) -> None:
    gestures = Gestures()
    gestures.feed(ButtonEdge(stuck, True, 0.0))
    assert gestures.advance(STUCK_S - 1) == [HoldStart(stuck)]
    assert not gestures.stuck
    assert gestures.advance(STUCK_S) == [HoldEnd(stuck)]
    assert gestures.stuck == (stuck,)
    assert gestures.next_deadline_s() is None
    assert gestures.feed(ButtonEdge(other, True, 200.0)) == []
    assert gestures.feed(ButtonEdge(other, False, 200.1)) == [Press(other)]
    gestures.feed(ButtonEdge(other, True, 300.0))
    assert gestures.advance(330.0) == [HoldStart(other)]  # no chord: nobody holds both
    assert gestures.feed(ButtonEdge(other, False, 331.0)) == [HoldEnd(other)]
    assert gestures.feed(ButtonEdge(stuck, False, 400.0)) == []
    assert not gestures.stuck
    assert gestures.feed(ButtonEdge(stuck, True, 401.0)) == []
    assert gestures.feed(ButtonEdge(stuck, False, 401.1)) == [Press(stuck)]


def test_both_buttons_stuck() -> None:
    gestures = Gestures()
    gestures.feed(ButtonEdge(MUTE, True, 0.0))
    gestures.feed(ButtonEdge(CALL, True, 0.1))
    assert gestures.advance(1000.0) == [ChordHeld(5.0), ChordHeld(10.0), ChordHeld(20.0), ChordEnd()]
    assert gestures.stuck == BUTTON_NAMES
    assert gestures.next_deadline_s() is None


def test_a_late_clock_does_not_turn_a_hold_into_a_press() -> None:
    assert play((0.0, CALL, True), (1.2, CALL, False)) == [HoldStart(CALL), HoldEnd(CALL)]


def test_the_second_of_two_quick_presses_is_a_double_press_and_the_third_a_press() -> None:
    edges = [
        (at_s, MUTE, down) for start_s in (0.0, 0.3, 0.6) for at_s, down in ((start_s, True), (start_s + 0.1, False))
    ]
    assert play(*edges) == [Press(MUTE), DoublePress(MUTE), Press(MUTE)]


def test_two_slow_presses_and_presses_of_two_buttons_are_no_double_press() -> None:
    assert play((0.0, MUTE, True), (0.1, MUTE, False), (0.4, MUTE, True), (0.5, MUTE, False)) == [Press(MUTE)] * 2
    assert play((0.0, MUTE, True), (0.1, MUTE, False), (0.2, CALL, True), (0.3, CALL, False)) == [
        Press(MUTE),
        Press(CALL),
    ]


def test_both_buttons_count_from_the_second_one_and_mean_nothing_before_five_seconds() -> None:
    both = ((0.0, MUTE, True), (0.2, CALL, True))
    assert play(*both, (4.9, CALL, False), (5.0, MUTE, False)) == []
    assert play(*both, until_s=5.19) == []
    assert play(*both, until_s=5.2) == [ChordHeld(5.0)]
    assert play(*both, (12.0, MUTE, False), (30.0, CALL, False)) == [ChordHeld(5.0), ChordHeld(10.0), ChordEnd()]
    assert play(*both, until_s=99.0) == [ChordHeld(5.0), ChordHeld(10.0), ChordHeld(20.0)]


def test_a_chord_ends_a_hold_that_runs() -> None:
    assert play((0.0, MUTE, True), (1.0, CALL, True)) == [HoldStart(MUTE), HoldEnd(MUTE)]


def test_after_a_chord_nothing_counts_until_both_were_up() -> None:
    chord = ((0.0, MUTE, True), (0.1, CALL, True), (0.5, CALL, False))
    assert play(*chord, (0.7, CALL, True), (0.8, CALL, False), until_s=60.0) == []
    assert play(*chord, (0.7, MUTE, False), (0.8, MUTE, True), (0.9, MUTE, False)) == [Press(MUTE)]


def test_a_press_after_a_chord_is_no_double_press_with_one_before_it() -> None:
    press = ((0.0, MUTE, True), (0.05, MUTE, False))
    chord = ((0.1, MUTE, True), (0.12, CALL, True), (0.14, CALL, False), (0.16, MUTE, False))
    assert play(*press, *chord, (0.2, MUTE, True), (0.25, MUTE, False)) == [Press(MUTE), Press(MUTE)]


def test_repeated_edges_are_ignored() -> None:
    assert play((0.0, MUTE, False), (0.1, MUTE, True), (0.2, MUTE, True), (0.3, MUTE, False), (0.4, MUTE, False)) == [
        Press(MUTE)
    ]


steps = st.lists(
    st.tuples(
        st.floats(0, 25) | st.sampled_from([0.0, 0.25, 0.4, 1.0, 5.0]), st.sampled_from(BUTTON_NAMES), st.booleans()
    ),
    max_size=30,
)


@given(steps)
def test_whatever_fingers_do(steps: list[tuple[float, ButtonName, bool]]) -> None:
    """A press needs a release, holds and chords start once and end, and a late clock changes nothing but the delay."""
    gestures, late = Gestures(), Gestures()
    told: list[Gesture] = []
    told_late: list[Gesture] = []
    now_s = 0.0
    releases = 0
    down: set[ButtonName] = set()
    for wait_s, button, pressed in steps:
        now_s += wait_s
        while (deadline_s := gestures.next_deadline_s()) is not None and deadline_s <= now_s:
            stuck = gestures.stuck
            due = gestures.advance(deadline_s)
            assert due or gestures.stuck != stuck, "a deadline that brings nothing would be waited for again at once"
            assert not any(isinstance(gesture, Press | DoublePress) for gesture in due)
            told += due
        edge = ButtonEdge(button, pressed, now_s)
        releases += not pressed and button in down
        (down.add if pressed else down.discard)(button)
        told += gestures.feed(edge)
        told_late += late.feed(edge)
        presses = sum(isinstance(gesture, Press | DoublePress) for gesture in told)
        assert presses <= releases
    assert told_late == told
    for button in down:
        told += gestures.feed(ButtonEdge(button, False, now_s))
    assert gestures.next_deadline_s() is None
    assert gestures.advance(now_s + 100) == []

    for button in BUTTON_NAMES:
        holds = [gesture for gesture in told if gesture in (HoldStart(button), HoldEnd(button))]
        assert holds == [HoldStart(button), HoldEnd(button)] * (len(holds) // 2)
    step = 0
    for gesture in told:
        if isinstance(gesture, ChordHeld):
            assert gesture.step_s == CHORD_STEPS_S[step]
            step += 1
        else:
            assert step == 0 or gesture == ChordEnd(), "between a chord's first step and its end nothing else is told"
            step = 0
