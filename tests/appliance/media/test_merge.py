"""Requests and reports of many legs, merged."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from appliance.media.merge import (
    FALL,
    FALL_INTERVAL_S,
    KEYFRAME_INTERVAL_S,
    REPORT_LIFE_S,
    RISE,
    RISE_INTERVAL_S,
    BitrateRequests,
    KeyframeRequests,
    Report,
    merge_loss,
)


def test_the_first_request_is_due_at_once_and_many_become_one() -> None:
    requests = KeyframeRequests().request().request().request()
    assert requests.due(0.0)
    assert not requests.made(0.0).due(10.0)


def test_a_request_within_the_interval_waits_for_its_end_and_is_not_lost() -> None:
    requests = KeyframeRequests().request().made(1.0).request()
    assert not requests.due(1.0 + KEYFRAME_INTERVAL_S - 0.01)
    assert requests.due(1.0 + KEYFRAME_INTERVAL_S)


@given(st.lists(st.tuples(st.booleans(), st.floats(0.001, 0.2)), max_size=200))
def test_key_frames_are_never_closer_than_the_interval_however_often_one_is_asked_for(
    steps: list[tuple[bool, float]],
) -> None:
    requests, now_s = KeyframeRequests(), 0.0
    made: list[float] = []
    for asked, step_s in steps:
        now_s += step_s
        if asked:
            requests = requests.request()
        if requests.due(now_s):
            requests = requests.made(now_s)
            made.append(now_s)
    assert all(after - before >= KEYFRAME_INTERVAL_S for before, after in itertools.pairwise(made))
    if any(asked for asked, _ in steps):
        assert made or requests.asked


def test_the_worst_loss_counts() -> None:
    assert merge_loss([Report(0.01, 0.0), Report(0.2, 0.0)], 1.0) == 0.2
    assert merge_loss([], 1.0) is None
    assert merge_loss([Report(0.2, 0.0)], REPORT_LIFE_S + 0.1) is None


def told(wanted: list[int], start_bps: int = 1_000_000, step_s: float = 0.1) -> list[tuple[float, int]]:
    """When an encoder that is asked every 0.1 s is told what, of the estimates that come one after the other."""
    requests, heard = BitrateRequests(start_bps), []
    for number, bps in enumerate(wanted):
        now_s = round(number * step_s, 3)
        requests = requests.want(bps)
        if requests.due(now_s):
            requests = requests.told(now_s)
            heard.append((now_s, bps))
    return heard


def test_a_new_encoder_is_told_at_once() -> None:
    assert told([1_000_000]) == [(0.0, 1_000_000)]


def test_less_is_told_soon_more_seldom_and_what_swings_never() -> None:
    swings = [1_000_000 + 20_000 * (-1) ** number for number in range(50)]
    assert told(swings) == [(0.0, 1_020_000)]
    assert told([1_000_000, *[500_000] * 20]) == [(0.0, 1_000_000), (FALL_INTERVAL_S, 500_000)]
    assert told([500_000, *[1_000_000] * 40]) == [(0.0, 500_000), (RISE_INTERVAL_S, 1_000_000)]


def test_a_fall_in_steps_is_followed_twice_a_second() -> None:
    falling = [2_000_000 - 50_000 * number for number in range(20)]
    assert told(falling) == [(0.0, 2_000_000), (0.5, 1_750_000), (1.0, 1_500_000), (1.5, 1_250_000)]


@given(st.lists(st.integers(1, 10_000_000), min_size=1, max_size=200))
def test_what_was_told_is_near_what_is_wanted_in_the_end(wanted: list[int]) -> None:
    last_bps = wanted[-1]
    _, heard_bps = told([*wanted, *[last_bps] * 25])[-1]
    assert last_bps / RISE <= heard_bps <= last_bps / FALL
