from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.room.request_limit import RequestLimit


def test_so_many_within_the_window_and_each_peer_by_itself() -> None:
    limit = RequestLimit(3, 10.0)
    assert [limit.take("a", at_s) for at_s in (0.0, 1.0, 2.0, 3.0, 9.9)] == [True, True, True, False, False]
    assert limit.take("b", 9.9)
    assert [limit.take("a", at_s) for at_s in (10.0, 10.5, 11.0)] == [True, False, True]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.0, 4.0)), max_size=80))
def test_nobody_gets_more_than_that(steps: list[tuple[str, float]]) -> None:
    limit, now_s = RequestLimit(3, 10.0), 0.0
    taken: dict[str, list[float]] = {peer: [] for peer in "abc"}
    for peer, pause_s in steps:
        now_s += pause_s
        lately = [at_s for at_s in taken[peer] if now_s - at_s < 10.0]
        assert limit.take(peer, now_s) == (len(lately) < 3)
        if len(lately) < 3:
            taken[peer].append(now_s)


def test_strangers_that_come_once_are_forgotten() -> None:
    limit = RequestLimit(3, 10.0)
    for number in range(5000):
        limit.take(f"guest-{number}", float(number))
    assert len(limit) <= 11


def test_who_has_left_and_comes_back_begins_anew() -> None:
    limit = RequestLimit(1, 10.0)
    assert limit.take("a", 0.0)
    limit.drop("a")
    assert limit.take("a", 0.1)
    assert not limit.take("a", 0.2)
