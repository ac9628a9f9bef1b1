"""Who gets which layer, so that one slow receiver does not drag everybody down. Pure.

A receiver may ask for the low layer itself; it gets that. One that asks for the high layer and can take far less than
the others is moved to the low one; it is tried again after a while, each time that fails after twice as long. Alone on
the high layer nobody is moved: the high layer is fitted to it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from appliance.media.frames import Layer

SLOW_SHARE = 0.4  # of what the best of the others takes
SLOW_S = 2.0
RETRY_S, MAX_RETRY_S = 15.0, 240.0
TRIAL_S = 4.0  # on the high layer without counting for its bit rate; a sign of a full link within it ends it


@dataclass(frozen=True, slots=True)
class LegView:
    """`congested_s`: when there was the newest sign of a full link."""

    wanted: Layer
    target_bps: float
    congested_s: float


@dataclass(slots=True)
class _Slow:
    slow_s: float | None = None  # since when
    moved: bool = False
    retry_at_s: float = 0.0
    retry_s: float = RETRY_S
    trial_s: float | None = None  # since when


class LayerChoice:
    """Legs by any name; one that is not named any more is forgotten. `trials`: legs whose target does not count yet."""

    def __init__(self) -> None:
        self._legs: dict[Hashable, _Slow] = {}

    def choose(self, legs: Mapping[Hashable, LegView], now_s: float) -> dict[Hashable, Layer]:
        """Called some times a second."""
        self._legs = {name: self._legs.get(name, _Slow()) for name in legs}
        return {
            name: "low" if view.wanted == "low" or self._moved(name, legs, now_s) else "high"
            for name, view in legs.items()
        }

    def starts_trial(self, name: Hashable, now_s: float) -> bool:
        return name in self._legs and self._legs[name].trial_s == now_s

    def is_tried(self, name: Hashable) -> bool:
        """Whether this leg is on the high layer again and has not shown yet what it can take."""
        return name in self._legs and self._legs[name].trial_s is not None

    def _moved(self, name: Hashable, legs: Mapping[Hashable, LegView], now_s: float) -> bool:
        leg, view = self._legs[name], legs[name]
        others = [
            other.target_bps
            for key, other in legs.items()
            if key != name and other.wanted == "high" and not self._legs[key].moved
        ]
        if not others:
            leg.moved, leg.slow_s, leg.trial_s = False, None, None
        elif leg.moved:
            if now_s >= leg.retry_at_s and now_s - view.congested_s > RETRY_S / 2:
                leg.moved, leg.trial_s = False, now_s
        elif leg.trial_s is not None:
            if view.congested_s > leg.trial_s:
                leg.retry_s = min(MAX_RETRY_S, 2 * leg.retry_s)
                self._move(leg, now_s)
            elif now_s - leg.trial_s >= TRIAL_S:
                leg.trial_s = None
        elif view.target_bps >= SLOW_SHARE * max(others):
            leg.slow_s = None
        elif leg.slow_s is None:
            leg.slow_s = now_s
        elif now_s - leg.slow_s >= SLOW_S:
            self._move(leg, now_s)
        return leg.moved

    def _move(self, leg: _Slow, now_s: float) -> None:
        leg.moved, leg.slow_s, leg.trial_s, leg.retry_at_s = True, None, None, now_s + leg.retry_s
