"""What a full link lets through, out of how long each packet was served there. Pure.

What arrives in a while says less of a link than of its sender, where that sends by the picture. A link that is first
in, first out serves a packet from when the one before has left, or from when it came itself: its size by that time is
the link's rate, also where the link rests between pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

MIN_SERVED = 6  # packets, of which the longest served one does not count: a machine may have had no time for it
MIN_SERVICE_S = 0.001


class Arrival(NamedTuple):
    """`arrived_s` by the receiver's clock, `sent_s` by ours."""

    arrived_s: float
    bits: int
    sent_s: float


def served_bps(arrivals: Sequence[Arrival], base_s: float) -> float | None:
    """Bit rate of the link by packets in the order of sending; `base_s`: arrival by sending where no queue is.

    None: too few of them. Far above the link's rate where there is no queue, for then only jitter is seen.
    """
    if len(arrivals) <= MIN_SERVED:
        return None
    served = sorted(
        (max(0.0, packet.arrived_s - max(before.arrived_s, packet.sent_s + base_s)), packet.bits)
        for before, packet in pairwise(arrivals)
    )
    took_s = sum(service_s for service_s, _ in served[:-1])
    return sum(bits for _, bits in served[:-1]) / max(MIN_SERVICE_S, took_s)
