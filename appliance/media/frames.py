"""What leaves an encoder: packetized once, shared by every leg."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["audio", "video"]
VideoCodec = Literal["h264", "vp8"]

AUDIO_CLOCK_HZ = 48_000  # RFC 7587 section 4.1
VIDEO_CLOCK_HZ = 90_000  # RFC 6184 section 8.2.1, RFC 7741 section 6.1


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One encoded picture or 20 ms of sound.

    `payloads` are RTP payloads, in order; the last one carries the marker bit. `timestamp` is in RTP clock units and
    derived from `captured_s`. `keyframe` is True for every audio frame. `audio_level` is RFC 6464's: 0..127 = -dBov;
    None for video.
    """

    payloads: tuple[bytes, ...]
    timestamp: int
    keyframe: bool
    audio_level: int | None
    captured_s: float
