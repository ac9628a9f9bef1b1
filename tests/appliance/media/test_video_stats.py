"""When a video counts as frozen, and how many pictures a second it shows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.media.video_stats import Counters, Mean, ShownFrames


def shown(*times_s: float) -> ShownFrames:
    frames = ShownFrames()
    for time_s in times_s:
        frames.add(time_s)
    return frames


STEADY = [number / 30 for number in range(60)]


def test_a_steady_picture_never_freezes() -> None:
    frames = shown(*STEADY)
    assert (frames.frames, frames.freezes, frames.frozen_s) == (60, 0, 0.0)
    assert frames.fps(STEADY[-1] + 0.01) == 30
    assert frames.fps(STEADY[-1] + 0.51) == 15


def test_a_freeze_is_the_whole_interval_between_two_pictures() -> None:
    last_s = STEADY[-1]
    assert shown(*STEADY, last_s + 0.18).freezes == 0  # the mean and 150 ms are 183 ms
    frozen = shown(*STEADY, last_s + 0.19, last_s + 0.23)
    assert (frozen.freezes, round(frozen.frozen_s, 3)) == (1, 0.19)


def test_a_slow_picture_freezes_at_three_times_its_interval() -> None:
    slides = [2.0 * number for number in range(5)]
    assert shown(*slides, 13.0).freezes == 0
    assert shown(*slides, 14.1).freezes == 1


def test_a_pause_is_no_freeze() -> None:
    frames = shown(*STEADY)
    frames.pause()
    frames.add(100.0)
    assert (frames.freezes, frames.fps(100.0)) == (0, 1)


def test_the_mean_forgets() -> None:
    mean = Mean()
    assert mean.ms == 0.0
    mean.add(0.010)
    assert mean.ms == 10.0
    for _ in range(200):
        mean.add(0.020)
    assert 19.5 < mean.ms <= 20.0


@given(st.lists(st.floats(0.0, 3.0), max_size=60))
def test_never_more_frozen_than_time_has_passed(steps_s: list[float]) -> None:
    frames, now_s = ShownFrames(), 0.0
    for step_s in steps_s:
        now_s += step_s
        frames.add(now_s)
    assert frames.frozen_s <= now_s + 1e-6
    assert frames.freezes <= max(0, len(steps_s) - 1)
    stats = Counters().snapshot(frames, now_s)
    assert stats.frames_shown == len(steps_s)
