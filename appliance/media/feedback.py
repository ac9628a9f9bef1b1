"""What a receiver says about what a leg sends to it. Values: how they stand on the wire is told elsewhere.

`at_s` is when it came, in monotonic seconds of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """About one stream, about once a second (RFC 3550 section 6.4.2)."""

    loss: float  # 0..1 since the last report
    packets_lost: int  # in all
    jitter: int  # in RTP clock units
    rtt_s: float | None  # smoothed; None before the first sender report has been answered
    at_s: float


@dataclass(frozen=True, slots=True)
class BitrateEstimate:
    """REMB: what the receiver thinks that the link carries of this leg's video. It counts for 10 s."""

    bitrate_bps: int
    at_s: float


@dataclass(frozen=True, slots=True)
class PacketFate:
    """One packet of a leg, whatever it carried: sound, pictures, retransmissions."""

    sent_s: float  # monotonic, when it went to the socket
    arrived_s: float | None  # None: lost. The receiver's clock: only differences mean anything, in steps of 0.25 ms
    size_bytes: int  # of RTP, header and payload


@dataclass(frozen=True, slots=True)
class TransportReport:
    """Transport-wide feedback on one leg (draft-holmer-rmcat-transport-wide-cc-extensions-01), every 50 to 100 ms.

    `packets` in the order of sending. A packet is told once, but one that was told lost is told again if it came late.
    Those of a report that was lost itself are never told.
    """

    packets: tuple[PacketFate, ...]
    at_s: float


Feedback = ReceiverReport | BitrateEstimate | TransportReport
