"""When pictures are shown: at once, and on a bad link as late as it takes to show them all in time."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.presentation import MAX_SMOOTHING_S, Presentation


def shown(late_s: list[float], fps: float = 30.0, sound_s: list[float] | None = None) -> list[float]:
    """When pictures are shown whose way took so much longer; the sender's clock is 100 s ahead."""
    presentation = Presentation()
    times_s, ready_s = [], 0.0
    for number, late in enumerate(late_s):
        ready_s = max(ready_s, number / fps + late)  # in order
        sound = None if sound_s is None else number / fps + sound_s[number]
        times_s.append(presentation.show_s(number / fps + 100.0, ready_s, sound))
    return times_s


def delays_s(times_s: list[float], fps: float = 30.0) -> list[float]:
    return [time_s - number / fps for number, time_s in enumerate(times_s)]


def freezes(times_s: list[float]) -> int:
    return sum(after - before > 0.15 for before, after in itertools.pairwise(times_s))


def test_on_a_good_link_nothing_is_held() -> None:
    rng = random.Random(1)
    late = [rng.uniform(0.0, 0.04) for _ in range(600)]
    ready = list(itertools.accumulate((number / 30 + each for number, each in enumerate(late)), max))
    assert shown(late) == pytest.approx(ready)


def test_late_pictures_now_and_then_are_forgiven() -> None:
    late = [0.0] * 600
    late[300] = late[400] = 0.25
    delays = delays_s(shown(late))
    assert max(delays[:300] + delays[310:400] + delays[410:]) < 0.001


def test_a_link_that_is_late_again_and_again_is_smoothed_and_no_more_than_it_takes() -> None:
    late = [0.18 if number % 60 == 59 else 0.0 for number in range(1800)]
    times_s = shown(late)
    assert freezes(times_s) == 3
    assert freezes(times_s[190:]) == 0
    held = sorted(delays_s(times_s)[190:])
    assert 0.05 < held[len(held) // 2] < 0.08


def test_bursts_of_loss_every_five_seconds_are_smoothed() -> None:
    """What comes of 200 ms without a packet and a round trip of 50 ms."""
    late = [max(0.0, 0.25 - number % 150 / 30) if number % 150 < 8 else 0.0 for number in range(1800)]
    times_s = shown(late)
    assert freezes(times_s[600:]) == 0


def test_when_the_link_is_good_again_holding_ends_without_a_jump() -> None:
    late = [0.18 if number % 60 == 59 else 0.0 for number in range(300)] + [0.0] * 1800
    times_s = shown(late)
    assert delays_s(times_s)[-1] < 0.001
    steps = [after - before for before, after in itertools.pairwise(times_s[400:])]
    assert min(steps) > 0.02


def test_sound_holds_pictures() -> None:
    assert min(delays_s(shown([0.02] * 100, sound_s=[0.1] * 100))) > 0.099
    assert max(delays_s(shown([0.02] * 100, sound_s=[0.01] * 100))) < 0.021


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=200), st.sampled_from([5.0, 30.0]))
def test_pictures_are_never_shown_before_they_are_there_nor_held_for_ever(late_s: list[float], fps: float) -> None:
    presentation, ready_s = Presentation(), 0.0
    for number, late in enumerate(late_s):
        ready_s = max(ready_s, number / fps + late)
        show_s = presentation.show_s(number / fps, ready_s, None)
        assert ready_s <= show_s <= ready_s + MAX_SMOOTHING_S + 1.0
        assert presentation.smoothing_s <= MAX_SMOOTHING_S
