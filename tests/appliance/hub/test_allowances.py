from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.hub.allowances import Allowances
from appliance.room.bucket import TokenBucket


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([0.0, 0.1, 1.0, 3.0])), max_size=60))
def test_forgetting_changes_nothing(steps: list[tuple[str, float]]) -> None:
    allowances, buckets, now_s = Allowances(2.0, 4), {user: TokenBucket(2.0, 4, 0.0) for user in "ab"}, 0.0
    for user, pause_s in steps:
        now_s += pause_s
        allowances.forget(now_s)
        assert allowances.take(user, now_s) == buckets[user].take(1, now_s)
    allowances.forget(now_s + 2.0)
    assert len(allowances) == 0
