"""Echo return loss enhancement (ITU-T G.168): the echo by what is left of it, as a canceller sees it itself. Pure."""

from __future__ import annotations

import math

SETTLE_BLOCKS = 100  # of echo, before it says anything
_FORGET = 0.998  # a block: five seconds of echo count


class ErleMeter:
    """Its `erle_db` includes what the room's noise hides: it is the least that is taken away."""

    def __init__(self) -> None:
        self._heard = self._left = 0.0
        self._blocks = 0

    @property
    def erle_db(self) -> float | None:
        if self._blocks < SETTLE_BLOCKS or self._heard <= 0.0:
            return None
        return round(10 * math.log10(self._heard / max(self._left, self._heard * 1e-8)), 1)

    def feed(self, heard: float, left: float) -> None:
        """Mean squares of one block of the microphone and of the canceller, while only the far end talks."""
        self._heard = _FORGET * self._heard + heard
        self._left = _FORGET * self._left + left
        self._blocks += 1
