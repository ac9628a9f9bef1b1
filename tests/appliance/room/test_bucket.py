from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.room.bucket import TokenBucket


def test_a_burst_and_then_the_rate() -> None:
    bucket = TokenBucket(rate=10, burst=5, now_s=0.0)
    assert [bucket.take(1, 0.0) for _ in range(6)] == [True] * 5 + [False]
    assert [bucket.take(1, 0.1), bucket.take(1, 0.1)] == [True, False]
    assert [bucket.take(1, 100.0) for _ in range(6)] == [True] * 5 + [False]


def test_more_than_the_burst_never_passes() -> None:
    assert not TokenBucket(rate=10, burst=5, now_s=0.0).take(6, 1000.0)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5)), max_size=60))
def test_never_more_than_burst_plus_rate_times_time(takes: list[tuple[float, float]]) -> None:
    bucket = TokenBucket(rate=3, burst=7, now_s=50.0)
    now_s, taken = 50.0, 0.0
    for pause_s, amount in takes:
        now_s += pause_s
        taken += amount if bucket.take(amount, now_s) else 0.0
        assert taken <= 7 + 3 * (now_s - 50.0) + 1e-6
