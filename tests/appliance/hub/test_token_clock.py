from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.hub.token_clock import MAX_EPOCHS, STEP_S, TokenClock
from appliance.hub.tokens import Claims

YEAR_S = 365 * 86_400
START_S = 1_600_000_000.0


def claims(iat: float, ttl_s: float = 600) -> Claims:
    return Claims(sub="anna", room="lobby", iat=int(iat), exp=int(iat + ttl_s))


@pytest.mark.parametrize("step_s", [YEAR_S, -YEAR_S, 60, -600])
def test_a_token_lives_as_long_as_it_was_made_for(step_s: float) -> None:
    clock = TokenClock(START_S, 100)
    made = claims(START_S + 30)
    later = clock.today(made, START_S + 90 + step_s, 190)  # 90 s after the start, the clock stepped somewhere between
    assert later.exp == pytest.approx(START_S + 30 + 600 + step_s, abs=1)
    assert later.iat == pytest.approx(START_S + 30 + step_s, abs=1)
    assert later.nbf == 0
    fresh = claims(START_S + 91 + step_s)
    assert clock.today(fresh, START_S + 95 + step_s, 195) == fresh


def test_tokens_from_elsewhere_are_left_alone() -> None:
    clock = TokenClock(START_S, 0)
    for made in (claims(START_S - 1000), claims(START_S + YEAR_S - 1000)):
        assert clock.today(made, START_S + 10, 10) == made
        assert clock.today(made, START_S + YEAR_S, 20) == made
        clock.look(START_S + 30, 30)


def test_a_clock_that_is_only_slewed_makes_no_step() -> None:
    clock = TokenClock(START_S, 0)
    made = claims(START_S)
    wall_s = START_S
    for second in range(100):
        wall_s += 1 + STEP_S / 2
        assert clock.today(made, wall_s, second + 1) == made


@given(st.lists(st.floats(-2 * YEAR_S, 2 * YEAR_S), max_size=2 * MAX_EPOCHS))
def test_however_often_it_steps_what_was_made_on_this_clock_is_good(steps_s: list[float]) -> None:
    clock, offset_s, monotonic_s = TokenClock(START_S, 0), START_S, 0.0
    for step_s in steps_s:
        monotonic_s += 10
        offset_s += step_s
        made = claims(monotonic_s + offset_s)
        assert clock.today(made, monotonic_s + offset_s, monotonic_s).exp == pytest.approx(made.exp, abs=STEP_S + 2)
