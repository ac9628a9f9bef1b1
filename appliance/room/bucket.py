"""Token buckets: how much one connection may say. Pure: monotonic seconds are passed in."""

from __future__ import annotations


class TokenBucket:
    """`rate` units a second on average, `burst` at once."""

    __slots__ = ("_at_s", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now_s: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at_s = now_s

    def take(self, amount: float, now_s: float) -> bool:
        """False when the bucket has less than `amount` left; then nothing is taken."""
        self._level = min(self._burst, self._level + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        if amount > self._level:
            return False
        self._level -= amount
        return True
