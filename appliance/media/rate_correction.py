"""How much more an encoder is to be asked for, so that it makes what is wanted of it. Pure.

x264 with a small buffer makes 0.55 to 0.85 of the bit rate that it is given, more or less with each size and content.
"""

from __future__ import annotations

WINDOW_S = 0.5  # of the pictures' time
GAIN = 0.5  # of what a window is off
MOST = 1.5
EASY = 0.4  # pictures that need less than this of it say nothing of how the rate is kept
PAUSE_S = 1.0


class RateCorrection:
    """`factor`, 1 to MOST, times what is wanted is to be asked for."""

    def __init__(self) -> None:
        self.factor = 1.0
        self._last_s: float | None = None
        self._begin()

    def add(self, at_s: float, size_bytes: int, wanted_bps: float) -> None:
        """A picture taken at `at_s`, in the order of taking; 0 bytes: the encoder left it out."""
        passed_s = at_s - self._last_s if self._last_s is not None else 0.0
        self._last_s = at_s
        if not 0 < passed_s < PAUSE_S:
            self._begin()
            return
        self._passed_s += passed_s
        self._made_bits += 8 * size_bytes
        self._wanted_bits += wanted_bps * passed_s
        if self._passed_s >= WINDOW_S and self._wanted_bits > 0:
            made = self._made_bits / self._wanted_bits
            if made > EASY:
                self.factor = max(1.0, min(MOST, self.factor * (1 + GAIN * (1 - made))))
            self._begin()

    def _begin(self) -> None:
        """A window."""
        self._passed_s = self._made_bits = self._wanted_bits = 0.0
