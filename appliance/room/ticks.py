"""Regular times, and waits that end."""

from __future__ import annotations

import asyncio
import time


class Ticks:
    """Monotonic times, `period_s` apart without drift; ticks that were missed are left out."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._next_s = time.monotonic()

    def __aiter__(self) -> Ticks:
        return self

    async def __anext__(self) -> float:
        now_s = time.monotonic()
        self._next_s = max(self._next_s + self._period_s, now_s)
        await asyncio.sleep(self._next_s - now_s)
        return time.monotonic()


async def is_set_within(event: asyncio.Event, timeout_s: float | None) -> bool:
    """Whether `event` is set in time; None: it has all the time."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
