"""When the whole media of a stay is lost although the hub can be reached: RS03 of a room without a media server.

Legs that fail are asked for again, each for itself; that is the first remedy. Who has had media with nobody for
`deadline_s`, of several who were to be received, is the one that is cut off: the others still have each other. Of two
alone neither can tell whose media failed, so both keep trying.
"""

from __future__ import annotations

from collections.abc import Set

MIN_OTHERS = 2


class MediaLoss:
    """Pure; times are monotonic seconds."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._since_s: float | None = None

    def look(self, cut_off: Set[str], reached: Set[str], now_s: float, *, online: bool = True) -> bool:
        """Whether all is lost. `cut_off`: whose media are wanted and do not come through; `reached`: with whom a leg
        is connected, either way. Time counts while one is `online` only: without the hub no leg can be asked for.
        """
        if not online or reached or len(cut_off) < MIN_OTHERS:
            self._since_s = None
            return False
        self._since_s = now_s if self._since_s is None else self._since_s
        return now_s - self._since_s >= self._deadline_s
