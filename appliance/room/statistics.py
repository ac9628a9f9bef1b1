"""What `RoomClient` says of a call in figures (capabilities U57, U59 to U64; X33, X34).

Bit rates are kbit/s (1000 bit) of RTP payload, of the last two seconds or so; bytes are payload, too, and packets and
bytes count what was sent again only where they say so. Loss is 0..1, times are ms. Counters are of the stay in the
room, over every leg that there was. None: not measured yet, or there is no such thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appliance.room.signaling_base import MediaKind, Selection, StreamName

VideoKind = Literal["video", "screen"]
NetworkType = Literal["ethernet", "wifi", "other", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAudioStats:
    """The microphone, to all receivers together: in a mesh each of them gets it from us."""

    muted: bool
    level: int  # 0..100 behind the gate
    receivers: int
    codec: str = "opus"
    sample_rate_hz: int = 48_000
    packets_sent: int = 0
    bytes_sent: int = 0
    bitrate_kbps: float = 0.0
    loss: float | None = None  # mean of the receivers' newest reports
    jitter_ms: float | None = None  # the worst receiver's
    rtt_ms: float | None = None  # mean of the receivers


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalVideoStats:
    """One layer of the camera or the screen, to all of its receivers together."""

    media_type: VideoKind
    layer: Selection
    muted: bool
    receivers: int
    codec: str = ""  # of several the most used
    width: int = 0  # of the picture that is sent
    height: int = 0
    capture_frame_rate: float = 0.0
    frame_rate: float = 0.0  # sent, to one receiver
    target_bitrate_kbps: float | None = None  # of the encoder
    frames_sent: int = 0  # to all receivers, like all that follow
    key_frames_sent: int = 0
    packets_sent: int = 0
    bytes_sent: int = 0
    packets_repeated: int = 0
    key_frame_requests: int = 0
    bitrate_kbps: float = 0.0
    loss: float | None = None
    jitter_ms: float | None = None
    rtt_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAudioStats:
    """The sound of one user. `delay_ms` is how long a packet waits here until it is played."""

    user_id: str
    muted: bool
    level: int  # 0..100
    codec: str = "opus"
    packets_received: int = 0
    packets_lost: int = 0
    bytes_received: int = 0
    bitrate_kbps: float = 0.0
    loss: float | None = None
    jitter_ms: float | None = None
    rtt_ms: float | None = None
    delay_ms: float | None = None
    total_concealed_ms: float = 0.0  # made up for sound that did not come in time


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteVideoStats:
    """The camera or the screen of one user. Nothing is decoded, and nothing freezes, while nobody watches."""

    user_id: str
    media_type: VideoKind
    layer: Selection  # that is asked for
    muted: bool
    codec: str = ""
    width: int = 0  # of the last picture that was decoded
    height: int = 0
    frame_rate: float = 0.0  # received
    shown_frame_rate: float = 0.0
    frames_received: int = 0
    frames_decoded: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    bytes_received: int = 0
    bitrate_kbps: float = 0.0
    loss: float | None = None
    jitter_ms: float | None = None
    rtt_ms: float | None = None
    total_freeze_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStats:
    """`duration_s` since one came into the room; `user_count` of those who are seen there, oneself included."""

    duration_s: float
    user_count: int
    bytes_sent: int
    bytes_received: int
    send_kbps: float
    recv_kbps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportStats:
    """`uplink_rtt_ms` and `downlink_rtt_ms` are means over the legs of a direction, `rtt_ms` over all."""

    rtt_ms: float | None
    uplink_rtt_ms: float | None
    downlink_rtt_ms: float | None
    downlinks_rtt_ms: dict[str, float]  # by sender
    outgoing_kbps: float
    incoming_kbps: float
    available_outgoing_kbps: float | None  # what the slowest link to a receiver is thought to carry
    network_type: NetworkType


@dataclass(frozen=True, slots=True, kw_only=True)
class RtcStatsRow:
    """One track, local or remote (U57). RTT is of local ones only; `layer` of video only."""

    user_id: str
    user_name: str
    is_remote: bool
    stream_type: StreamName
    media_type: MediaKind
    layer: Selection | None
    bitrate_kbps: float
    frame_rate: float | None
    rtt_ms: float | None
    jitter_ms: float | None
    loss: float | None
