"""Time that passes only when somebody sleeps: minutes of waiting take none."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class Clock:
    """`now` for `clock=`, `sleep` for `sleep=`. `advance` lets time pass, and what waits for it run."""

    def __init__(self) -> None:
        self._now_s = 1000.0
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now_s

    async def sleep(self, delay_s: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_s + delay_s, next(self._numbers), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Wakes every sleeper at its time, in order."""
        end_s = self._now_s + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            at_s, _, woken = heapq.heappop(self._sleepers)
            self._now_s = max(self._now_s, at_s)
            if not woken.done():
                woken.set_result(None)
                await _settle()
        self._now_s = end_s
        await _settle()


async def _settle() -> None:
    """Everything that can run does."""
    for _ in range(40):
        await asyncio.sleep(0)
