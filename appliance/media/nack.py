"""Which lost packets of one stream to ask for again, and when. Pure; times are monotonic seconds.

    lost at 0      asked at `reorder_s`, then every round trip and some until it comes
    in between     asked again every third of a round trip, as far as the allowance goes: requests and retransmissions
                   get lost as well, and whoever waits a round trip to find out freezes
    no loss seen   the end of a picture, or all of it, can only be missed by the clock: `expect`

The allowance grows with what arrives, so that a link that is full is not filled up further.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

START_RTT_S = 0.1  # until one is measured
MARGIN_S = 0.010  # of a round trip: jitter, and the sender's turn
MIN_SPACING_S = 0.010
EARLY_SHARE = 1 / 3  # of a round trip, between two requests for one packet
ALLOWANCE = 0.12  # early requests for each packet that came
MAX_ALLOWANCE = 24.0
PATIENT_ROUNDS = 4  # then each round takes twice as long as the one before
TOGETHER_S = 0.002  # requests due so soon go into one RTCP packet
MAX_NACKS = 64  # in one RTCP packet
MAX_REORDER_S = 0.025
REORDER_FORGET_S = 5.0  # a packet that was overtaken is remembered for about so long
RETRANSMITTED_SHARE = 0.7  # of a round trip: what comes later may be a retransmission without RTX


@dataclass(slots=True)
class _Missing:
    since_s: float
    next_s: float
    asked_s: float | None = None  # the newest request that an answer can be expected for
    rounds: int = 0  # requests that an answer could be expected for


class NackList:
    """Sequence numbers are extended: they do not wrap."""

    def __init__(self) -> None:
        self.rtt_s = START_RTT_S
        self.patience_s = 0.0  # what is lost may come back by itself so soon
        self._missing: dict[int, _Missing] = {}  # in order
        self._allowance = MAX_ALLOWANCE / 2
        self._reorder_s = 0.0
        self._reordered_s = -math.inf

    def __len__(self) -> int:
        return len(self._missing)

    @property
    def oldest_s(self) -> float | None:
        """Since when the first packet that is missing is missed."""
        return next((missing.since_s for missing in self._missing.values()), None)

    @property
    def due_s(self) -> float | None:
        """When `take` has something to ask for."""
        return min((missing.next_s for missing in self._missing.values()), default=None)

    @property
    def round_s(self) -> float:
        """From a request to the time when its answer should have come."""
        return self.rtt_s * 1.1 + MARGIN_S

    def lose(self, first: int, end: int, now_s: float) -> None:
        """Packets from `first` to before `end` were overtaken."""
        if now_s - self._reordered_s > REORDER_FORGET_S:
            self._reorder_s = 0.0
        for number in range(first, end):
            self._missing[number] = _Missing(now_s, now_s + max(self._reorder_s, self.patience_s))

    def earn(self) -> None:
        """A packet came that was not missing."""
        if self._allowance < MAX_ALLOWANCE:
            self._allowance += ALLOWANCE

    def came(self, number: int, now_s: float, *, retransmitted: bool) -> None:
        self.earn()
        missing = self._missing.pop(number, None)
        if missing is None or retransmitted:
            return
        late_s = now_s - missing.since_s
        if late_s < RETRANSMITTED_SHARE * self.rtt_s:
            self._reordered_s = now_s
            self._reorder_s = min(MAX_REORDER_S, max(self._reorder_s, 1.2 * late_s))

    def forget_before(self, number: int) -> None:
        for lost in [lost for lost in self._missing if lost < number]:
            del self._missing[lost]

    def take(self, now_s: float, *, urgent: bool = False) -> list[int]:
        """What to ask for now; `urgent`: without it nothing is seen at all, whatever it costs."""
        asked: list[int] = []
        for number, missing in self._missing.items():
            if missing.next_s > now_s + TOGETHER_S:
                continue
            if len(asked) >= MAX_NACKS:
                break
            if missing.asked_s is None or now_s + TOGETHER_S >= missing.asked_s + self._waits_s(missing):
                missing.asked_s = now_s
                missing.rounds += 1
                asked.append(number)
            elif urgent or self._allowance >= 1:
                self._allowance = max(0.0, self._allowance - 1)
                asked.append(number)
            early_s = now_s + max(MIN_SPACING_S, EARLY_SHARE * self.rtt_s)
            missing.next_s = min(missing.asked_s + self._waits_s(missing), early_s)
        return asked

    def _waits_s(self, missing: _Missing) -> float:
        """Who does not answer is slow or does not have it."""
        return self.round_s * float(1 << min(4, max(0, missing.rounds - PATIENT_ROUNDS)))
