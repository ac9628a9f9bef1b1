"""The mute gate: the one place where sound and pictures stop. Pure; times are monotonic seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gate:
    """Shut or open. `epoch` grows with each change: what was encoded in another epoch must not go out."""

    muted: bool = False
    epoch: int = 0
    opened_s: float = float("-inf")

    def set(self, muted: bool, now_s: float) -> Gate:
        """The gate after somebody asked for `muted`; itself when nothing changes."""
        if muted == self.muted:
            return self
        return Gate(muted, self.epoch + 1, self.opened_s if muted else now_s)

    def passes(self, first_s: float) -> bool:
        """Whether what was captured from `first_s` on may pass: nothing of the time when the gate was shut does."""
        return not self.muted and first_s >= self.opened_s
