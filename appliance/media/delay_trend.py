"""Whether what waits before a bottleneck grows: the trend of the one-way delay, from transport-wide feedback. Pure.

In the manner of Google Congestion Control (draft-ietf-rmcat-gcc-02 section 5, with the trendline filter of libwebrtc):
packets sent within 5 ms are one group; the delay that groups gain on each other is summed and smoothed; the slope of
the last 20 is held against a threshold that follows it, so that a link that jitters is not taken for a full one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from appliance.media.feedback import PacketFate

GROUP_S = 0.005
WINDOW = 20  # groups
SMOOTHING = 0.9
GAIN = 4.0
MAX_DELTAS = 60
OVERUSE_S = 0.01  # above the threshold for longer than this
THRESHOLD_MS, MIN_THRESHOLD_MS, MAX_THRESHOLD_MS = 12.5, 6.0, 600.0
RISE, FALL = 0.0087, 0.039  # of the threshold, per ms and ms of distance
MAX_DISTANCE_MS = 15.0  # a spike does not move the threshold
PAUSE_S = 1.0  # nothing sent for so long: what was before says nothing
BASE_WINDOW_S = 10.0  # the least delay of the last 10 to 20 s is that of an empty queue

Usage = Literal["normal", "over", "under"]


@dataclass(slots=True)
class _Group:
    first_sent_s: float
    sent_s: float
    arrived_s: float


class DelayTrend:
    """Of one leg. `usage` is that of the newest packets; `queue_s` how much longer they took than the quickest."""

    def __init__(self) -> None:
        self.usage: Usage = "normal"
        self.queue_s = 0.0
        self._now: _Group | None = None
        self._last: _Group | None = None
        self._points: deque[tuple[float, float]] = deque(maxlen=WINDOW)  # arrival and smoothed delay, ms
        self._sum_ms = self._smooth_ms = 0.0
        self._deltas = 0
        self._threshold_ms = THRESHOLD_MS
        self._over_s = 0.0
        self._slope = 0.0
        self._base = (float("inf"), float("inf"))  # least delay of this window and of the one before
        self._base_since_s = float("-inf")

    def add(self, packets: Iterable[PacketFate]) -> None:
        """Packets in the order of sending; those that were lost say nothing here."""
        for packet in packets:
            if packet.arrived_s is not None:
                self._measure(packet.sent_s, packet.arrived_s)
                self._group(packet.sent_s, packet.arrived_s)

    @property
    def base_s(self) -> float:
        """The least delay, from our clock to the receiver's."""
        return min(self._base)

    def _measure(self, sent_s: float, arrived_s: float) -> None:
        delay_s = arrived_s - sent_s
        if sent_s - self._base_since_s > BASE_WINDOW_S:
            self._base, self._base_since_s = (delay_s, self._base[0]), sent_s
        self._base = (min(self._base[0], delay_s), self._base[1])
        self.queue_s = delay_s - self.base_s

    def _group(self, sent_s: float, arrived_s: float) -> None:
        group = self._now
        if group is None or sent_s - group.sent_s > PAUSE_S:
            self._now, self._last = _Group(sent_s, sent_s, arrived_s), None
            self._points.clear()
            self._sum_ms = self._smooth_ms = self._over_s = 0.0
            self._deltas, self.usage = 0, "normal"
        elif sent_s < group.first_sent_s:
            return  # told late
        elif sent_s - group.first_sent_s <= GROUP_S:
            group.sent_s = max(group.sent_s, sent_s)
            group.arrived_s = max(group.arrived_s, arrived_s)
        else:
            if self._last is not None:
                self._compare(self._last, group)
            self._last, self._now = group, _Group(sent_s, sent_s, arrived_s)

    def _compare(self, before: _Group, group: _Group) -> None:
        sent_s = group.sent_s - before.sent_s
        arrived_s = group.arrived_s - before.arrived_s
        self._deltas += 1
        self._sum_ms += 1000 * (arrived_s - sent_s)
        self._smooth_ms = SMOOTHING * self._smooth_ms + (1 - SMOOTHING) * self._sum_ms
        self._points.append((1000 * group.arrived_s, self._smooth_ms))
        if len(self._points) == WINDOW:
            self._judge(_slope(self._points), sent_s, arrived_s)

    def _judge(self, slope: float, sent_s: float, arrived_s: float) -> None:
        trend_ms = min(self._deltas, MAX_DELTAS) * slope * GAIN
        if trend_ms > self._threshold_ms:
            self._over_s += sent_s
            if self._over_s > OVERUSE_S and slope >= self._slope:
                self._over_s, self.usage = 0.0, "over"
        else:
            self._over_s = 0.0
            self.usage = "under" if trend_ms < -self._threshold_ms else "normal"
        self._slope = slope
        distance_ms = abs(trend_ms) - self._threshold_ms
        if distance_ms <= MAX_DISTANCE_MS:
            pace = RISE if distance_ms > 0 else FALL
            moved_ms = self._threshold_ms + pace * distance_ms * min(100.0, max(0.0, 1000 * arrived_s))
            self._threshold_ms = max(MIN_THRESHOLD_MS, min(MAX_THRESHOLD_MS, moved_ms))


def _slope(points: deque[tuple[float, float]]) -> float:
    """Of the line through the points with the least squares; 0 when they lie at one time."""
    first_x, first_y = points[0]
    sum_x = sum_y = sum_xx = sum_xy = 0.0
    for x, y in points:
        dx, dy = x - first_x, y - first_y
        sum_x += dx
        sum_y += dy
        sum_xx += dx * dx
        sum_xy += dx * dy
    below = len(points) * sum_xx - sum_x * sum_x
    return (len(points) * sum_xy - sum_x * sum_y) / below if below > 0 else 0.0
