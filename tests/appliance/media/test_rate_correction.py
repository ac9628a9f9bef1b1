"""How much more an encoder is asked for: encoders that make a share of it, whatever pictures they get."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.rate_correction import MOST, RateCorrection

FPS = 15
WANTED_BPS = 300_000


def run(correction: RateCorrection, seconds: float, share: float, *, from_s: float = 0.0) -> list[float]:
    """Of an encoder that makes `share` of what it is asked for: of each picture, of what was wanted."""
    made = []
    for number in range(round(seconds * FPS)):
        made.append(share * correction.factor)
        size_bytes = round(share * correction.factor * WANTED_BPS / FPS / 8)
        correction.add(from_s + number / FPS, size_bytes, WANTED_BPS)
    return made


@pytest.mark.parametrize("share", [0.7, 0.8, 0.95])
def test_what_is_made_becomes_what_is_wanted(share: float) -> None:
    late = run(RateCorrection(), 10, share)[-2 * FPS :]
    assert all(0.97 < made < 1.03 for made in late)


def test_an_encoder_that_makes_too_much_is_asked_for_no_less_than_what_is_wanted() -> None:
    correction = RateCorrection()
    run(correction, 10, 1.2)
    assert correction.factor == 1.0


def test_pictures_that_become_hard_bring_it_down_again_within_two_seconds() -> None:
    correction = RateCorrection()
    run(correction, 10, 0.6)
    assert correction.factor == MOST
    made = run(correction, 4, 1.0, from_s=10)
    assert made[0] == MOST
    assert all(share < 1.15 for share in made[2 * FPS :])


def test_still_pictures_and_pauses_say_nothing() -> None:
    correction = RateCorrection()
    run(correction, 10, 0.1)
    for number in range(20):
        correction.add(20.0 + 2 * number, WANTED_BPS, WANTED_BPS)
    assert correction.factor == 1.0


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.integers(0, 1 << 24), st.floats(0, 1e8))))
def test_it_stays_within_its_bounds(pictures: list[tuple[float, int, float]]) -> None:
    correction = RateCorrection()
    for at_s, size_bytes, wanted_bps in pictures:
        correction.add(at_s, size_bytes, wanted_bps)
        assert 1.0 <= correction.factor <= MOST
