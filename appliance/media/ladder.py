"""Which size and rate of pictures a bit rate is good for: a ladder, down at once and up slowly. Pure.

    1280x720@30 > 960x540@30 > 640x360@30 > 640x360@15 > 480x270@15 > 320x180@15      900 580 320 190 120 kbit/s

Fewer pixels need more bits each, so what a rung needs grows with the pixels a second to the power of 3/4, from a rate
at which 720p30 is good.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FULL_BPS, FULL_PIXELS_A_S = 900_000, 1280 * 720 * 30
POWER = 0.75
SLOWEST_FPS = 15
SHARES = (
    (1.0, 1.0),
    (0.75, 1.0),
    (0.5, 1.0),
    (0.5, 0.5),
    (0.375, 0.5),
    (0.25, 0.5),
)  # of width and height, of the rate
DETAIL_SHARES = ((1.0, 1.0), (1.0, 0.67), (1.0, 0.34), (0.75, 0.34), (0.5, 0.34))  # text is to be read
SLOWEST_DETAIL_FPS = 5
MIN_HEIGHT = 120
HEADROOM = 1.25  # over what the rung above needs, before going up to it
UP_INTERVAL_S = 4.0  # and for so long; then to the best rung that the least rate meanwhile is good for
DOWN_INTERVAL_S = 1.0  # a new size costs a key frame


@dataclass(frozen=True, slots=True)
class Rung:
    width: int
    height: int
    fps: int

    @property
    def needs_bps(self) -> float:
        return FULL_BPS * math.pow(self.width * self.height * self.fps / FULL_PIXELS_A_S, POWER)


def rungs(width: int, height: int, fps: int, *, detail: bool = False) -> tuple[Rung, ...]:
    """The ladder below these settings, the best first; `detail`: rather fewer pictures than smaller ones."""
    slowest_fps = min(fps, SLOWEST_DETAIL_FPS if detail else SLOWEST_FPS)
    found: list[Rung] = []
    for size, rate in DETAIL_SHARES if detail else SHARES:
        rung = Rung(_even(width * size), _even(height * size), max(round(fps * rate), slowest_fps))
        if not found or (rung != found[-1] and min(rung.width, rung.height) >= MIN_HEIGHT):
            found.append(rung)
    return tuple(found)


def _even(size: float) -> int:
    return max(2, round(size / 2) * 2)


class Ladder:
    """`index` of the rung that is stood on, 0 is the best."""

    def __init__(self, ladder: tuple[Rung, ...], index: int = 0) -> None:
        self._rungs = ladder
        self.index = min(index, len(ladder) - 1)
        self._moved_s = float("-inf")
        self._enough_s: float | None = None  # since when there has been enough for the rung above
        self._least_bps = 0.0  # since then

    @property
    def rung(self) -> Rung:
        return self._rungs[self.index]

    def step(self, bitrate_bps: float, best: int, now_s: float) -> Rung:
        """The rung for this bit rate; none above the rung `best`, whatever the rate. Called some times a second."""
        best = min(best, len(self._rungs) - 1)
        fits = next((n for n, rung in enumerate(self._rungs) if rung.needs_bps <= bitrate_bps), len(self._rungs) - 1)
        lowest = max(best, fits)
        above = self._rungs[self.index - 1] if self.index > best else None
        if lowest > self.index:
            self._enough_s = None
            if now_s - self._moved_s >= DOWN_INTERVAL_S or best > self.index:
                self.index, self._moved_s = lowest, now_s
        elif above is None or bitrate_bps < HEADROOM * above.needs_bps:
            self._enough_s = None
        elif self._enough_s is None:
            self._enough_s, self._least_bps = now_s, bitrate_bps
        else:
            self._least_bps = min(self._least_bps, bitrate_bps)
            if now_s - self._enough_s >= UP_INTERVAL_S:
                good = (n for n in range(best, self.index) if self._least_bps >= HEADROOM * self._rungs[n].needs_bps)
                self.index, self._moved_s, self._enough_s = next(good), now_s, None
        return self.rung
