"""Which size and rate for which bit rate."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from appliance.media.ladder import HEADROOM, UP_INTERVAL_S, Ladder, Rung, rungs

HD = rungs(1280, 720, 30)


def sizes(ladder: tuple[Rung, ...]) -> list[tuple[int, int, int]]:
    return [(rung.width, rung.height, rung.fps) for rung in ladder]


def test_the_ladder_of_a_camera_goes_down_in_size_then_in_rate_then_in_size() -> None:
    assert sizes(HD) == [
        (1280, 720, 30), (960, 540, 30), (640, 360, 30), (640, 360, 15), (480, 270, 15), (320, 180, 15),
    ]  # fmt: skip
    assert sizes(rungs(720, 1280, 30))[2] == (360, 640, 30)
    assert sizes(rungs(320, 240, 10)) == [(320, 240, 10), (240, 180, 10), (160, 120, 10)]


def test_a_screen_keeps_its_size_as_long_as_it_can() -> None:
    assert sizes(rungs(1920, 1080, 15, detail=True)) == [
        (1920, 1080, 15), (1920, 1080, 10), (1920, 1080, 5), (1440, 810, 5), (960, 540, 5),
    ]  # fmt: skip


@given(st.integers(80, 960), st.integers(45, 540), st.integers(1, 60), st.booleans())
def test_each_rung_needs_less_than_the_one_above(width: int, height: int, fps: int, detail: bool) -> None:
    ladder = rungs(2 * width, 2 * height, fps, detail=detail)
    assert ladder[0] == Rung(2 * width, 2 * height, fps)
    needs = [rung.needs_bps for rung in ladder]
    assert needs == sorted(set(needs), reverse=True)


def test_300_kbit_s_are_good_for_640x360_at_15() -> None:
    assert Ladder(HD).step(300_000 * 0.8, 0, 0.0) == Rung(640, 360, 15)


def test_it_goes_down_at_once_and_up_to_what_was_good_for_a_while() -> None:
    ladder = Ladder(HD)
    assert ladder.step(250_000, 0, 10.0).width == 640
    seen = {number / 4: ladder.step(2_500_000, 0, 10.0 + number / 4) for number in range(80)}
    changes = [at_s for at_s in seen if at_s and seen[at_s] != seen[at_s - 0.25]]
    assert changes == [UP_INTERVAL_S]
    assert ladder.rung == HD[0]


def test_the_least_rate_of_the_while_counts() -> None:
    ladder = Ladder(HD)
    assert ladder.step(250_000, 0, 10.0) == HD[3]
    for number in range(1 + round(4 * UP_INTERVAL_S)):
        ladder.step(2_500_000 if number != 3 else HEADROOM * HD[1].needs_bps, 0, 10.0 + number / 4)
    assert ladder.rung == HD[1]


def test_a_rate_that_swings_about_a_limit_does_not_change_the_size_again_and_again() -> None:
    ladder, need_bps = Ladder(HD), HD[1].needs_bps
    seen = [ladder.step(need_bps * (1.12 if number // 8 % 2 else 0.9), 0, number / 4) for number in range(400)]
    assert sum(later != earlier for earlier, later in pairwise(seen)) <= 1


def test_a_strained_machine_holds_it_down_whatever_the_rate() -> None:
    ladder = Ladder(HD)
    assert ladder.step(2_500_000, 2, 0.0) == HD[2]
    assert ladder.step(2_500_000, 99, 0.1) == HD[-1]
    assert ladder.step(2_500_000, 4, 0.2) == HD[-1]  # slowly up
    for number in range(400):
        ladder.step(2_500_000, 4, 1.0 + number / 4)
    assert ladder.rung == HD[4]


@given(st.lists(st.tuples(st.floats(0, 5e6), st.integers(0, 9), st.floats(0, 5)), max_size=100))
def test_it_never_stands_on_a_forbidden_rung_or_goes_up_too_soon(
    steps: list[tuple[float, int, float]],
) -> None:
    ladder, now_s, up_s, index = Ladder(HD), 0.0, float("-inf"), 0
    for bps, best, passed_s in steps:
        now_s += passed_s
        ladder.step(bps, best, now_s)
        assert ladder.index >= min(best, len(HD) - 1)
        if ladder.index < index:
            assert now_s - up_s >= UP_INTERVAL_S
            assert bps >= HD[ladder.index].needs_bps
            up_s = now_s
        index = ladder.index
