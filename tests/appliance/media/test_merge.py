"""Requests and reports of many legs, merged."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from appliance.media.merge import (
    KEYFRAME_INTERVAL_S,
    REPORT_LIFE_S,
    KeyframeRequests,
    Report,
    merge_bitrate,
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


def test_the_slowest_leg_sets_the_bit_rate_within_floor_and_ceiling() -> None:
    def merged(*bps: float, at_s: float = 0.0) -> int:
        return merge_bitrate([Report(value, at_s) for value in bps], 200, 1000, 2000, 1.0)

    assert merged(1500, 700, 1900) == 700
    assert merged(10) == 200
    assert merged(99_999) == 2000
    assert merged() == 1000
    assert merged(300, at_s=1.0 - REPORT_LIFE_S - 0.1) == 1000  # reports of a dead leg


def test_the_worst_loss_counts() -> None:
    assert merge_loss([Report(0.01, 0.0), Report(0.2, 0.0)], 1.0) == 0.2
    assert merge_loss([], 1.0) == 0.0
    assert merge_loss([Report(0.2, 0.0)], REPORT_LIFE_S + 0.1) == 0.0
