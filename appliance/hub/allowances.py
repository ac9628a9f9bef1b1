"""How often each user may do something. Pure: monotonic seconds are passed in."""

from __future__ import annotations

from appliance.hub.deadlines import Deadlines
from appliance.room.bucket import TokenBucket


class Allowances:
    """`rate` times a second on average, `burst` at once. By user id, not by login: who logs in anew gains nothing."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: dict[str, TokenBucket] = {}
        self._whole = Deadlines[str]()  # from when on a bucket is as good as a new one

    def take(self, user_id: str, now_s: float, amount: float = 1.0) -> bool:
        """Whether `user_id` may, once; or so much at once."""
        bucket = self._buckets.get(user_id)
        if bucket is None:
            bucket = self._buckets[user_id] = TokenBucket(self._rate, self._burst, now_s)
        self._whole.set(user_id, now_s + self._burst / self._rate)
        return bucket.take(amount, now_s)

    def forget(self, now_s: float) -> None:
        """Those who have their whole allowance again."""
        for user_id in self._whole.due(now_s):
            del self._buckets[user_id]

    def __len__(self) -> int:
        return len(self._buckets)
