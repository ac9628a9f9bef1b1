"""When to try again (capabilities TM03, TM04) and when silence means a lost link. Pure: time is an argument."""

from __future__ import annotations

import random
from collections.abc import Sequence

RECONNECT_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
REFUSED_DELAY_S = 2.0  # a host that refuses is alive, its hub is about to be: everybody is back 3 s after the hub is
JITTER = 0.2  # of a delay, both ways: the clients of a hub that came back must not all knock at once


class Backoff:
    """The delays of one round of attempts, growing along `delays_s` and staying at the last."""

    def __init__(self, delays_s: Sequence[float] = RECONNECT_DELAYS_S, *, rng: random.Random | None = None) -> None:
        self.attempts = 0
        self._delays_s = tuple(delays_s)
        self._rng = rng if rng is not None else random.Random()

    def next_s(self, *, refused: bool = False) -> float:
        """Seconds to wait before the next attempt; `refused`: the last one was answered by a host without a hub."""
        delay_s = self._delays_s[min(self.attempts, len(self._delays_s) - 1)]
        if refused:
            delay_s = min(delay_s, REFUSED_DELAY_S)
        self.attempts += 1
        return delay_s * self._rng.uniform(1 - JITTER, 1 + JITTER)

    def reset(self) -> None:
        self.attempts = 0


STALLED_S = 1.0  # a look that comes so late: this process did not run
GRACE_S = 2.0  # after that: for what waits to be read, and for the answer to a ping


class Heartbeat:
    """Ping after `period_s` of silence and each `period_s` again; lost after `lost_after_s` without any message.

    After a time in which this process did not run (stopped, or its loop blocked) the other side has `GRACE_S` to show
    that it is there: what it said meanwhile may be waiting to be read.
    """

    def __init__(self, now_s: float, period_s: float = 2.0, lost_after_s: float = 5.0) -> None:
        self.period_s = period_s
        self.lost_after_s = lost_after_s
        self.heard_s = now_s
        self._pinged_s = now_s
        self._look_s = now_s  # when the next look is due

    def heard(self, now_s: float) -> None:
        self.heard_s = now_s

    def is_lost(self, now_s: float) -> bool:
        if now_s - self._look_s > STALLED_S:
            self.heard_s = max(self.heard_s, now_s - self.lost_after_s + min(GRACE_S, self.lost_after_s))
            self._look_s = now_s
        return now_s - self.heard_s >= self.lost_after_s

    def ping_due(self, now_s: float) -> bool:
        """True once each time that a ping must go out now."""
        if now_s - max(self.heard_s, self._pinged_s) < self.period_s:
            return False
        self._pinged_s = now_s
        return True

    def next_look_s(self, now_s: float) -> float:
        """Seconds until something can be due: until the next look."""
        ping_s = max(self.heard_s, self._pinged_s) + self.period_s
        self._look_s = max(now_s, min(ping_s, self.heard_s + self.lost_after_s))
        return self._look_s - now_s
