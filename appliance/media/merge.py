"""What many legs ask of one encoder, merged. Pure; times are monotonic seconds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

KEYFRAME_INTERVAL_S = 0.5  # a broken stream was seen asking 30 times a second
FALL, FALL_INTERVAL_S = 0.95, 0.5  # a link that is full cannot wait
RISE, RISE_INTERVAL_S = 1.1, 2.0
REPORT_LIFE_S = 10.0  # receivers report every 1 to 7.5 s: one that stopped no longer counts


@dataclass(frozen=True, slots=True)
class KeyframeRequests:
    """At most one key frame every 500 ms; a request within that time waits for its end, and many become one."""

    asked: bool = False
    last_s: float = float("-inf")

    def request(self) -> KeyframeRequests:
        return replace(self, asked=True)

    def due(self, now_s: float) -> bool:
        """Whether the picture that is about to be encoded must be a key frame."""
        return self.asked and now_s - self.last_s >= KEYFRAME_INTERVAL_S

    def made(self, now_s: float) -> KeyframeRequests:
        """A key frame was made at `now_s`, asked for or not: it serves everybody who asked before."""
        return KeyframeRequests(False, now_s)


@dataclass(frozen=True, slots=True)
class BitrateRequests:
    """What an encoder that somebody else runs is told: less soon, more seldom, and small changes never.

    Estimates swing by some per cent all the time, and each change costs a hardware encoder some even pictures.
    """

    wanted_bps: int
    told_bps: int | None = None
    told_s: float = float("-inf")

    def want(self, bps: int) -> BitrateRequests:
        return replace(self, wanted_bps=bps)

    def due(self, now_s: float) -> bool:
        """Whether it must be told `wanted_bps` now; a new encoder must."""
        if self.told_bps is None:
            return True
        waited_s = now_s - self.told_s
        if self.wanted_bps < FALL * self.told_bps:
            return waited_s >= FALL_INTERVAL_S
        return self.wanted_bps > RISE * self.told_bps and waited_s >= RISE_INTERVAL_S

    def told(self, now_s: float) -> BitrateRequests:
        return BitrateRequests(self.wanted_bps, self.wanted_bps, now_s)


@dataclass(frozen=True, slots=True)
class Report:
    """The newest figure of one leg."""

    value: float
    at_s: float


def merge_loss(reports: Iterable[Report], now_s: float) -> float | None:
    """The worst leg's loss, 0..1; None while nobody reports."""
    worst = max((report.value for report in reports if now_s - report.at_s <= REPORT_LIFE_S), default=None)
    return None if worst is None else max(0.0, min(1.0, worst))
