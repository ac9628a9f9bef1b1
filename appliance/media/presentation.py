"""When a decoded picture is shown. Pure; times are monotonic seconds, `pts_s` the sender's.

At once, as a rule. Two things hold pictures back: sound that they go with (`lip_sync`), and a link on which pictures
come so late, again and again, that the eye would see a freeze before each. Then all are held just so long that the
worst of the last 20 s still come in time; two are forgiven.

    lateness   of a picture before which the eye saw a freeze, against the quickest of the last 10 s
    held to    the third worst lateness in 20 s - (GAP_S - interval)
"""

from __future__ import annotations

from collections import deque

GAP_S = 0.14  # between two pictures: from 150 ms on it is a freeze
MAX_SMOOTHING_S = 0.16
REMEMBER_S = 20.0
FORGIVEN = 2  # late pictures in that time
TOGETHER_S = 1.0  # late pictures of one event
BASE_S = 10.0
RESTART_S = 2.0
RELEASE_S = 0.004  # a picture: holding ends without a jump
_SLICE_S = 0.5


class Presentation:
    """Of one stream."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._least: deque[tuple[float, float]] = deque()  # slices: start, least transit
        self._late: deque[tuple[float, float]] = deque()  # events: start, how long pictures should have been held
        self._interval_s = 1 / 30
        self._last_pts_s: float | None = None
        self._last_ready_s: float | None = None
        self._held_s: float | None = None  # from a picture's time by the sender to the time it is held to

    @property
    def smoothing_s(self) -> float:
        """How long a picture that comes as quickly as possible is held for smoothness alone."""
        worst = sorted((needed_s for _, needed_s in self._late), reverse=True)
        return min(MAX_SMOOTHING_S, worst[FORGIVEN]) if len(worst) > FORGIVEN else 0.0

    def show_s(self, pts_s: float, ready_s: float, sound_s: float | None) -> float:
        """When to show a picture that was decoded at `ready_s`; `sound_s`: not before that, for its sound's sake."""
        transit_s = ready_s - pts_s
        if self._least and abs(transit_s - self._base_s) > RESTART_S:
            self._begin()
        self._observe(pts_s, ready_s, transit_s)
        wanted_s = self._base_s + self.smoothing_s
        if sound_s is not None:
            wanted_s = max(wanted_s, sound_s - pts_s)
        if self._held_s is not None:
            wanted_s = max(wanted_s, self._held_s - RELEASE_S)
        self._held_s = wanted_s
        return max(ready_s, pts_s + wanted_s)

    def pause(self) -> None:
        """Nobody looks: what was late then is no measure."""
        self._last_pts_s = self._last_ready_s = self._held_s = None
        self._least.clear()

    @property
    def _base_s(self) -> float:
        return min(least_s for _, least_s in self._least)

    def _observe(self, pts_s: float, ready_s: float, transit_s: float) -> None:
        if self._least and ready_s < self._least[-1][0] + _SLICE_S:
            start_s, least_s = self._least[-1]
            self._least[-1] = start_s, min(least_s, transit_s)
        else:
            self._least.append((ready_s, transit_s))
            while ready_s - self._least[0][0] > BASE_S:
                self._least.popleft()
        if self._last_pts_s is not None and 0 < pts_s - self._last_pts_s < 1:
            self._interval_s += (pts_s - self._last_pts_s - self._interval_s) / 16
        self._last_pts_s = pts_s
        needed_s = transit_s - self._base_s - max(0.0, GAP_S - self._interval_s)
        last_s, self._last_ready_s = self._last_ready_s, ready_s
        if last_s is not None and ready_s - last_s > GAP_S and needed_s > 0:
            if self._late and ready_s - self._late[-1][0] < TOGETHER_S:
                start_s, most_s = self._late[-1]
                self._late[-1] = start_s, max(most_s, needed_s)
            else:
                self._late.append((ready_s, needed_s))
        while self._late and ready_s - self._late[0][0] > REMEMBER_S:
            self._late.popleft()
