"""Key frames are asked for once, and again only after a while."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from appliance.media.pli import FIRST_REPEAT_S, MAX_REPEAT_S, KeyframeWish


def asked(wish: KeyframeWish, until_s: float, step_s: float = 0.01) -> list[float]:
    return [step * step_s for step in range(int(until_s / step_s)) if wish.take(step * step_s)]


def test_it_asks_at_once_and_then_ever_more_seldom() -> None:
    wish = KeyframeWish()
    wish.rtt_s = 0.05
    wish.wish(0.0)
    times_s = asked(wish, 20.0)
    assert times_s[0] == 0.0
    gaps_s = [after - before for before, after in itertools.pairwise(times_s)]
    assert FIRST_REPEAT_S < gaps_s[0] < FIRST_REPEAT_S + 0.1
    assert all(after >= before - 0.011 for before, after in itertools.pairwise(gaps_s))
    assert abs(gaps_s[-1] - MAX_REPEAT_S) < 0.02


def test_a_key_frame_ends_it_and_the_next_wish_soon_after_waits() -> None:
    wish = KeyframeWish()
    wish.wish(0.0)
    assert wish.take(0.0)
    wish.fulfilled()
    assert wish.due_s is None
    wish.wish(0.1)
    assert not wish.take(0.2)
    assert wish.take(0.5)


def test_who_sends_one_anyway_is_given_time() -> None:
    wish = KeyframeWish()
    wish.wish(1.0, wait_s=0.5)
    assert not wish.take(1.4)
    assert wish.take(1.5)


@given(st.lists(st.tuples(st.floats(0.0, 0.5), st.sampled_from(["wish", "fulfilled", "take"]))))
def test_never_more_often_than_the_first_repeat(what: list[tuple[float, str]]) -> None:
    wish, now_s, times_s = KeyframeWish(), 0.0, []
    for step_s, action in what:
        now_s += step_s
        if action == "wish":
            wish.wish(now_s)
        elif action == "fulfilled":
            wish.fulfilled()
        elif wish.take(now_s):
            times_s.append(now_s)
    assert all(after - before >= FIRST_REPEAT_S for before, after in itertools.pairwise(times_s))
