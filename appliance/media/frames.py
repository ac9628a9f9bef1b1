"""What leaves an encoder, and what leaves for the wire: packetized once, shared by every leg."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from appliance.media.e2ee import FrameKey
from appliance.media.sei import SeiPayload

Kind = Literal["audio", "video"]
SourceName = Literal["audio", "video", "screen"]  # what is muted: microphone, camera, screen
StreamName = Literal["main", "screen"]
VideoCodec = Literal["h264", "vp8"]
Codec = Literal["opus", "h264", "vp8"]
CODECS: tuple[Codec, ...] = get_args(Codec)
Layer = Literal["high", "low"]
Selection = Literal["high", "low", "none"]  # what a receiver wants of the layers; none: no picture for now

AUDIO_CLOCK_HZ = 48_000  # RFC 7587 section 4.1
VIDEO_CLOCK_HZ = 90_000  # RFC 6184 section 8.2.1, RFC 7741 section 6.1


@dataclass(frozen=True, slots=True)
class CodedFrame:
    """One picture or packet of sound as its encoder gives it: an access unit in Annex B, a VP8 frame, an Opus packet.

    The other fields are EncodedFrame's.
    """

    data: bytes
    timestamp: int
    keyframe: bool
    audio_level: int | None
    captured_s: float


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One encoded picture or packet of sound, ready for the wire.

    `payloads` are RTP payloads, in order; the last one carries the marker bit. `timestamp` is in RTP clock units and
    derived from `captured_s`. `keyframe` is True for every audio frame. `audio_level` is RFC 6464's: 0..127 = -dBov;
    None for video. `key`: what it is encrypted with; None: it is in the clear.
    `sei`: messages that its codec cannot carry, and that travel beside it.
    """

    payloads: tuple[bytes, ...]
    timestamp: int
    keyframe: bool
    audio_level: int | None
    captured_s: float
    key: FrameKey | None = None
    sei: tuple[SeiPayload, ...] = ()
