"""How many bits the one Opus stream gets, and how long its packets are, out of what all its legs say. Pure; times are
monotonic seconds.

Sound is a small part of a call, so pictures give way first: it falls with a link that carries little of both, and where
loss says that a link is full. Every leg hears the same stream: the worst one decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.media.opus_encoder import BITRATE_BPS, LONG_FRAMES, MAX_BITRATE_BPS, MIN_BITRATE_BPS, SHORT_FRAMES

FULL_LINK_BPS, POOR_LINK_BPS = 1_000_000, 250_000  # of sound and pictures together: the most and the least for sound
LOSS_LIMITS = ((0.02, MAX_BITRATE_BPS), (0.05, 40_000), (0.10, BITRATE_BPS))  # below this loss: this at the most
RISE_BPS_S = 2_000
NARROW_LINK_BPS = 600_000  # headers of short packets take from what is said and shown


def wanted_bps(loss: float | None, link_bps: float | None) -> int:
    """For the worst `loss` 0..1 that a leg reports and the least that a leg's link carries; None: nobody knows."""
    by_loss = BITRATE_BPS
    if loss is not None:
        by_loss = next((bps for below, bps in LOSS_LIMITS if loss < below), MIN_BITRATE_BPS)
    if link_bps is None:
        return by_loss
    share = min(1.0, max(0.0, (link_bps - POOR_LINK_BPS) / (FULL_LINK_BPS - POOR_LINK_BPS)))
    return min(by_loss, round(MIN_BITRATE_BPS + share * (MAX_BITRATE_BPS - MIN_BITRATE_BPS)))


def packet_length(loss: float | None, link_bps: float | None, before: int) -> int:
    """Samples of the packets to come, at 48 kHz; `before`: of those now."""
    if loss is not None and loss >= LOSS_LIMITS[-1][0]:
        return LONG_FRAMES
    if link_bps is None:
        return SHORT_FRAMES
    return LONG_FRAMES if link_bps < (NARROW_LINK_BPS if before == SHORT_FRAMES else FULL_LINK_BPS) else SHORT_FRAMES


@dataclass(frozen=True, slots=True)
class AudioRate:
    """Falls at once, rises slowly."""

    bps: int = BITRATE_BPS
    at_s: float = float("-inf")

    def toward(self, wanted: int, now_s: float) -> AudioRate:
        if wanted <= self.bps:
            return AudioRate(wanted, now_s)
        if self.at_s == float("-inf"):
            return AudioRate(self.bps, now_s)
        return AudioRate(min(wanted, self.bps + int(RISE_BPS_S * (now_s - self.at_s))), now_s)
