"""When to ask a sender for a key frame: many wishes become one request, repeated with back-off. Pure."""

from __future__ import annotations

FIRST_REPEAT_S = 0.3  # beside a round trip: a sender encodes, and may have made one less than 500 ms ago
MAX_REPEAT_S = 1.0


class KeyframeWish:
    """Of one stream."""

    def __init__(self) -> None:
        self.rtt_s = 0.1
        self._next_s: float | None = None  # None: nothing is wished for
        self._asked_s: float | None = None
        self._repeat_s = 0.0

    @property
    def due_s(self) -> float | None:
        return self._next_s

    def wish(self, now_s: float, *, wait_s: float = 0.0) -> None:
        """A key frame is needed; `wait_s`: the sender may send one by itself. More of this changes nothing."""
        if self._next_s is not None:
            return
        first_s = FIRST_REPEAT_S + self.rtt_s
        self._repeat_s = first_s
        self._next_s = now_s + wait_s
        if self._asked_s is not None:
            self._next_s = max(self._next_s, self._asked_s + first_s)

    def fulfilled(self) -> None:
        """One came, or is not needed any more."""
        self._next_s = None

    def take(self, now_s: float) -> bool:
        """Whether to ask now."""
        if self._next_s is None or now_s < self._next_s:
            return False
        self._asked_s = now_s
        self._next_s = now_s + self._repeat_s
        self._repeat_s = min(MAX_REPEAT_S, 1.5 * self._repeat_s)
        return True
