"""When each of many keys is due, cheap for thousands: a heap whose entries are dropped late. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

_SPARE = 64  # dropped entries that may stand in a small heap

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """Monotonic seconds by key. `set`, `drop` and `due` take O(log n), `next_s` O(1) on average."""

    __slots__ = ("_at_s", "_count", "_heap")

    def __init__(self) -> None:
        self._at_s: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []  # the number keeps keys from being compared
        self._count = 0

    def __len__(self) -> int:
        return len(self._at_s)

    def __contains__(self, key: K) -> bool:
        return key in self._at_s

    def set(self, key: K, at_s: float) -> None:
        """`key` is due at `at_s`, and at no other time."""
        self._count += 1
        self._at_s[key] = at_s, self._count
        heapq.heappush(self._heap, (at_s, self._count, key))
        if len(self._heap) > 2 * len(self._at_s) + _SPARE:
            self._heap = [(at_s, number, key) for key, (at_s, number) in self._at_s.items()]
            heapq.heapify(self._heap)

    def drop(self, key: K) -> None:
        """Nothing when it isn't there."""
        self._at_s.pop(key, None)

    def next_s(self) -> float | None:
        """When the first one is due."""
        while self._heap:
            at_s, number, key = self._heap[0]
            if self._at_s.get(key) == (at_s, number):
                return at_s
            heapq.heappop(self._heap)
        return None

    def due(self, now_s: float) -> list[K]:
        """Takes out what is due by `now_s`, the earliest first, equals in the order of `set`."""
        keys: list[K] = []
        while (at_s := self.next_s()) is not None and at_s <= now_s:
            key = heapq.heappop(self._heap)[2]
            del self._at_s[key]
            keys.append(key)
        return keys
