"""Patterns keep their rate and their range."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.patterns import PULSE_S, Pattern, brightness, is_animated

STEP_S = 0.001


def samples(pattern: Pattern, length_s: float) -> list[float]:
    return [brightness(pattern, 100.0005 + i * STEP_S) for i in range(round(length_s / STEP_S))]


@given(st.sampled_from(Pattern), st.floats(0, 1e7))
def test_brightness_is_a_part(pattern: Pattern, t_s: float) -> None:
    assert 0.0 <= brightness(pattern, t_s) <= 1.0
    assert is_animated(pattern) or brightness(pattern, t_s) == brightness(pattern, 0.0)


@pytest.mark.parametrize(
    ("pattern", "flashes_in_10_s", "lit_part"),
    [
        (Pattern.OFF, 0, 0.0),
        (Pattern.BLINK_1_HZ, 10, 0.5),
        (Pattern.ALL_FLASH, 20, 0.5),
        (Pattern.BLINK_4_HZ, 40, 0.5),
        (Pattern.TWO_FLASHES, 4, 0.06),
    ],
)
def test_flashes(pattern: Pattern, flashes_in_10_s: int, lit_part: float) -> None:
    levels = samples(pattern, 10.0)
    starts = sum(later > earlier for earlier, later in zip([levels[-1], *levels], levels, strict=False))
    assert starts == flashes_in_10_s
    assert sum(levels) / len(levels) == pytest.approx(lit_part, abs=0.005)


def test_on_is_on_and_the_pulse_breathes_without_a_jump() -> None:
    assert brightness(Pattern.ON, 3.21) == 1.0
    levels = samples(Pattern.SLOW_PULSE, PULSE_S)
    assert min(levels) < 0.001
    assert max(levels) > 0.999
    assert max(abs(later - earlier) for earlier, later in pairwise(levels)) < 0.01
