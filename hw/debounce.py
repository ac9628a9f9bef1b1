"""What a bouncing contact means. Pure; time comes in with the levels."""

from __future__ import annotations

import math
from dataclasses import dataclass

SETTLE_S = 0.005  # a level counts once it has stood so long: longer than one bounce or a spike on a long wire
MIN_GAP_S = 0.03  # between two edges; no finger is faster, and worn contacts open once more within it


@dataclass(frozen=True, slots=True)
class Edge:
    """The contact went to `level` at `at_s`, which is when it first moved."""

    level: bool
    at_s: float


class Debounce:
    """One contact. Tell every change to `change`, and call `settle` at `deadline_s()`.

    `level` is where it stands at the beginning: a button that is down then (stuck, or wired the other way) means
    nothing until it was let go.
    """

    def __init__(self, level: bool) -> None:
        self._told = Edge(level, -math.inf)
        self._level = level
        self._since_s = -math.inf
        self._moved_s = -math.inf

    def change(self, level: bool, at_s: float) -> None:
        if level == self._level:
            return
        if self._level == self._told.level and at_s - self._since_s >= SETTLE_S:
            self._moved_s = at_s  # out of rest: the first of the bounces
        self._level, self._since_s = level, at_s

    def deadline_s(self) -> float | None:
        """When an edge is due if nothing changes; None: never."""
        if self._level == self._told.level:
            return None
        return max(self._since_s + SETTLE_S, self._told.at_s + MIN_GAP_S)

    def settle(self, now_s: float) -> Edge | None:
        """The edge that is due by `now_s`."""
        deadline_s = self.deadline_s()
        if deadline_s is None or now_s < deadline_s:
            return None
        self._told = Edge(self._level, self._moved_s)
        return self._told
