"""Network quality 0..6 for each direction out of the legs' counters (capabilities U55, Appendix B). Pure.

The legs of a direction share one network, so they are pooled: packets lost over packets expected of all of them, and
the mean of their RTTs. A leg without a packet for 4 s doesn't count while another one carries media; when none does,
the direction is DOWN. A lost link to the hub says nothing about them: media goes on without it.

| level       | loss <         | and RTT < |
| EXCELLENT 1 | 2 %            | 100 ms    |
| GOOD 2      | 5 %            | 200 ms    |
| POOR 3      | 10 %           | 350 ms    |
| BAD 4       | 20 %           | 500 ms    |
| VERY_BAD 5  | anything worse |           |

Both are smoothed over two reports, the loss over more (ten at most) while a pause in what is said leaves few packets to
go by; it gets worse at once and better when two reports in a row say so. Receivers of sound alone report every 5 s or
so (RFC 3550 section 6.2): what they said last counts until they say something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.room.events import NetworkQuality, NetworkQualityChanged

if TYPE_CHECKING:
    from appliance.room.leg import LegStats

DOWN_AFTER_S = 4.0
LOSS_LIFE_S = 10.0  # of a loss that nobody has confirmed
ENOUGH_PACKETS = 50  # one lost of so few is not much of a network's fault
_REPORTS = 2
_MOST_REPORTS = 10
LIMITS: tuple[tuple[NetworkQuality, float, float], ...] = (
    (NetworkQuality.EXCELLENT, 0.02, 0.100),  # level, loss below, RTT (s) below
    (NetworkQuality.GOOD, 0.05, 0.200),
    (NetworkQuality.POOR, 0.10, 0.350),
    (NetworkQuality.BAD, 0.20, 0.500),
)


def level_of(loss: float | None, rtt_s: float | None) -> NetworkQuality:
    """The worse of loss (0..1) and RTT; UNKNOWN when neither was measured."""
    if loss is None and rtt_s is None:
        return NetworkQuality.UNKNOWN
    for level, loss_below, rtt_below_s in LIMITS:
        if (loss is None or loss < loss_below) and (rtt_s is None or rtt_s < rtt_below_s):
            return level
    return NetworkQuality.VERY_BAD


@dataclass(frozen=True, slots=True)
class _Report:
    lost: int = 0
    expected: int = 0
    rtt_s: float | None = None


class DirectionQuality:
    """One direction; `level`, `loss` (0..1) and `rtt_s` are those of the last report."""

    def __init__(self) -> None:
        self.level = NetworkQuality.UNKNOWN
        self.loss: float | None = None
        self.rtt_s: float | None = None
        self._counted: dict[str, tuple[int, int]] = {}  # (lost, expected) of each leg so far
        self._reports: tuple[_Report, ...] = ()  # those with packets in them, the newest last
        self._rtts_s: tuple[float | None, ...] = ()  # of the newest reports
        self._loss_s = float("-inf")  # when `loss` was measured
        self._level_before = NetworkQuality.UNKNOWN  # what the last report said, before hysteresis

    def report(self, legs: Mapping[str, LegStats], now_s: float, resting: Set[str] = frozenset()) -> None:
        """Takes the counters of every leg of this direction by leg id; of a leg that was lost, its last ones. From
        those that are `resting` nothing has to come.
        """
        now = self._pool(legs, now_s)
        last = {leg_id: stats.last_packet_s for leg_id, stats in legs.items() if stats.last_packet_s is not None}
        heard = [at_s for leg_id, at_s in last.items() if leg_id not in resting or now_s - at_s < DOWN_AFTER_S]
        if heard and now_s - max(heard) > DOWN_AFTER_S:
            self._reset(NetworkQuality.DOWN)
        elif not heard:
            self._reset(NetworkQuality.UNKNOWN)
        else:
            self._smooth(now, now_s)

    def _pool(self, legs: Mapping[str, LegStats], now_s: float) -> _Report:
        lost = expected = 0
        rtts = []
        for leg_id, stats in legs.items():
            lost_before, expected_before = self._counted.get(leg_id, (0, 0))
            if stats.last_packet_s is None or now_s - stats.last_packet_s > DOWN_AFTER_S:
                continue
            # A late packet takes a loss back: its leg's count may fall.
            expected += max(0, stats.packets_expected - expected_before)
            lost += stats.packets_lost - lost_before
            if stats.rtt_s is not None:
                rtts.append(stats.rtt_s)
        self._counted = {leg_id: (stats.packets_lost, stats.packets_expected) for leg_id, stats in legs.items()}
        return _Report(max(0, lost), expected, sum(rtts) / len(rtts) if rtts else None)

    def _reset(self, level: NetworkQuality) -> None:
        self.level = self._level_before = level
        self.loss = 1.0 if level is NetworkQuality.DOWN else None
        self.rtt_s = None
        self._reports = self._rtts_s = ()

    def _smooth(self, now: _Report, now_s: float) -> None:
        self._rtts_s = (*self._rtts_s, now.rtt_s)[-_REPORTS:]
        rtts = [rtt_s for rtt_s in self._rtts_s if rtt_s is not None]
        self.rtt_s = sum(rtts) / len(rtts) if rtts else None
        if now.expected:
            self._reports = (*self._reports, now)[-_MOST_REPORTS:]
            lost = expected = 0
            for number, report in enumerate(reversed(self._reports)):
                if number >= _REPORTS and expected >= ENOUGH_PACKETS:
                    break
                lost, expected = lost + report.lost, expected + report.expected
            self.loss, self._loss_s = min(1.0, lost / max(expected, ENOUGH_PACKETS)), now_s
        elif now_s - self._loss_s > LOSS_LIFE_S:
            self.loss = None
        found, found_before = level_of(self.loss, self.rtt_s), self._level_before
        self._level_before = found
        fresh = self.level in (NetworkQuality.UNKNOWN, NetworkQuality.DOWN)
        self.level = found if fresh or found >= self.level else min(self.level, max(found, found_before))


class NetworkMeter:
    """Both directions; call `report` every 2 s and raise what it gives."""

    def __init__(self) -> None:
        self.uplink = DirectionQuality()
        self.downlink = DirectionQuality()

    def report(
        self,
        uplinks: Mapping[str, LegStats],
        downlinks: Mapping[str, LegStats],
        now_s: float,
        resting: Set[str] = frozenset(),
    ) -> NetworkQualityChanged:
        """The event of this report; `changed` when a level is another one than in the report before."""
        before = (self.uplink.level, self.downlink.level)
        self.uplink.report(uplinks, now_s)
        self.downlink.report(downlinks, now_s, resting)
        return NetworkQualityChanged(
            uplink=self.uplink.level,
            downlink=self.downlink.level,
            uplink_rtt_ms=_ms(self.uplink.rtt_s),
            uplink_loss=self.uplink.loss,
            downlink_rtt_ms=_ms(self.downlink.rtt_s),
            downlink_loss=self.downlink.loss,
            changed=before != (self.uplink.level, self.downlink.level),
        )


def _ms(time_s: float | None) -> float | None:
    return None if time_s is None else time_s * 1000.0
