"""How long media takes at each stage of its way: a histogram a stage, of the last minute or two.

    out   capture    the device's delay: from the capture time to our hands
          cancel     echo, noise and gain: what these hold back, and the work
          encode     one frame's encoder
          send       from the capture time to the hands of the legs
    in    network    half a round trip
          buffer     of sound: from arrival to playing; of a picture: from its first packet to its last
          decode     one packet's decoder; of a picture: from its last packet on, with the wait for the decoder
          mix        all peers of one 10 ms block, their decoders included
          play       what waits in the sound card
          present    what a picture is held for: its sound, or smoothness
          camera-to-screen   from the sender's capture time, as its reports tell its clock, to the watchers

A value costs about a microsecond; each stage is fed from one thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Stage = Literal[
    "audio-capture",
    "audio-cancel",
    "audio-encode",
    "audio-send",
    "video-capture",
    "video-encode",
    "video-send",
    "network",
    "audio-buffer",
    "audio-decode",
    "audio-mix",
    "audio-play",
    "video-buffer",
    "video-decode",
    "video-present",
    "camera-to-screen",
]
STAGES: tuple[Stage, ...] = get_args(Stage)

WINDOW_S = 60.0
FIRST_MS = 0.01  # up to the end of the first bucket
STEPS = 4  # buckets for each doubling: a quantile is at most 19 % too high
BUCKETS = 84  # to 20 s


@dataclass(frozen=True, slots=True)
class Summary:
    """In ms, of `count` values."""

    count: int
    p50_ms: float
    p95_ms: float
    max_ms: float


class Histogram:
    """Counts in buckets that grow by 2 ** (1 / STEPS)."""

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.max_ms = 0.0

    def add(self, value_ms: float) -> None:
        self.counts[_bucket(value_ms)] += 1
        self.max_ms = max(self.max_ms, value_ms)


def summarize(histograms: list[Histogram]) -> Summary | None:
    """All of them together; None of nothing."""
    counts = [sum(column) for column in zip(*(one.counts for one in histograms), strict=True)]
    total, max_ms = sum(counts), max((one.max_ms for one in histograms), default=0.0)
    if not total:
        return None
    return Summary(total, _quantile(counts, total, 0.5, max_ms), _quantile(counts, total, 0.95, max_ms), max_ms)


class Trace:
    """One for a call; `add` in the thread of the stage, `summaries` on the loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stages = {stage: _Window(clock()) for stage in STAGES}

    def add(self, stage: Stage, duration_s: float) -> None:
        self._stages[stage].add(duration_s * 1000, self._clock())

    def since(self, stage: Stage, started_s: float) -> None:
        """The time from `started_s` (monotonic) to now."""
        now_s = self._clock()
        self._stages[stage].add((now_s - started_s) * 1000, now_s)

    def summaries(self) -> Mapping[Stage, Summary]:
        """Of each stage that something passed in the last minute or two."""
        now_s = self._clock()
        found = {stage: summarize(window.histograms(now_s)) for stage, window in self._stages.items()}
        return {stage: summary for stage, summary in found.items() if summary is not None}


class _Window:
    """The minute under way and the one before."""

    def __init__(self, now_s: float) -> None:
        self._started_s = now_s
        self._now, self._last = Histogram(), Histogram()

    def add(self, value_ms: float, now_s: float) -> None:
        if now_s - self._started_s >= WINDOW_S:
            self._last = self._now if now_s - self._started_s < 2 * WINDOW_S else Histogram()
            self._now, self._started_s = Histogram(), now_s
        self._now.add(value_ms)

    def histograms(self, now_s: float) -> list[Histogram]:
        if now_s - self._started_s >= 2 * WINDOW_S:
            return []
        return [self._now, self._last]


def _bucket(value_ms: float) -> int:
    if value_ms <= FIRST_MS:
        return 0
    return min(BUCKETS - 1, math.ceil(STEPS * math.log2(value_ms / FIRST_MS)))


def _quantile(counts: list[int], total: int, share: float, max_ms: float) -> float:
    """The upper end of the bucket in which `share` of all values is reached."""
    reached = 0
    for bucket, count in enumerate(counts):
        reached += count
        if reached >= share * total:
            return float(min(FIRST_MS * 2.0 ** (bucket / STEPS), max_ms))
    return max_ms
