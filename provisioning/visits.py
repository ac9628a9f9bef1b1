"""Whether somebody uses the set-up network. Pure; time comes in.

A phone that was in it once joins it by itself for ever: it counts only for a while after it came, and after its owner
last did something on the page.
"""

from __future__ import annotations

ARRIVED_S = 90.0  # from joining to the page
USED_S = 300.0  # reading, looking for the password


class Visits:
    def __init__(self) -> None:
        self._stations: int | None = 0
        self._arrived_s: float | None = None
        self._touched_s: float | None = None

    def saw(self, stations: int | None, now_s: float) -> None:
        """So many devices are in the network; None: nobody can tell."""
        if stations is not None and stations > (self._stations or 0):
            self._arrived_s = now_s
        self._stations = stations

    def touched(self, now_s: float) -> None:
        """Somebody asked for a page."""
        self._touched_s = now_s

    def is_busy(self, now_s: float) -> bool:
        if self._stations == 0:
            return False
        has_arrived = self._arrived_s is not None and now_s - self._arrived_s < ARRIVED_S
        return has_arrived or (self._touched_s is not None and now_s - self._touched_s < USED_S)
