"""How often each peer may ask for something that costs. Pure: monotonic seconds are passed in."""

from __future__ import annotations

from collections import deque


class RequestLimit:
    """`most` requests of one peer within `window_s`. A peer that has asked for nothing in that time is forgotten: who
    may ask is not always a member that is seen to leave.
    """

    def __init__(self, most: int, window_s: float) -> None:
        self._most = most
        self._window_s = window_s
        self._asked_s: dict[str, deque[float]] = {}  # who asked last is last

    def take(self, peer: str, now_s: float) -> bool:
        """Whether `peer` may, once."""
        while self._asked_s and next(iter(self._asked_s.values()))[-1] < now_s - self._window_s:
            del self._asked_s[next(iter(self._asked_s))]
        asked_s = self._asked_s.pop(peer, None) or deque(maxlen=self._most)
        may = len(asked_s) < self._most or now_s - asked_s[0] >= self._window_s
        if may:
            asked_s.append(now_s)
        self._asked_s[peer] = asked_s
        return may

    def drop(self, peer: str) -> None:
        """It has left: the hub limits how often somebody may come back."""
        self._asked_s.pop(peer, None)

    def __len__(self) -> int:
        return len(self._asked_s)
