"""What is counted of each track of a leg: cumulative since the leg was made; times are monotonic seconds."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.media.frames import Kind
from appliance.media.remote_audio import AudioInStats
from appliance.media.video_stats import VideoInStats
from appliance.room.signaling_base import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class OutTrack:
    """Sent to one receiver. `bytes` are payload without headers, and like `packets` without what was sent again."""

    kind: Kind
    codec: str
    layer: Selection = "high"
    frames: int = 0
    key_frames: int = 0
    packets: int = 0
    bytes: int = 0
    repeated_packets: int = 0
    repeated_bytes: int = 0
    key_frame_requests: int = 0
    packets_lost: int = 0  # as the receiver has reported
    loss: float | None = None  # 0..1 in its newest report
    jitter_s: float | None = None
    rtt_s: float | None = None
    reported_s: float | None = None  # when that came
    estimate_bps: float | None = None  # what the link to it carries


@dataclass(frozen=True, slots=True, kw_only=True)
class InTrack:
    """Received of one sender. `packets_lost` before any retransmission; `bytes` are payload without headers."""

    kind: Kind
    codec: str
    packets: int = 0
    packets_expected: int = 0
    bytes: int = 0
    jitter_s: float | None = None
    last_packet_s: float | None = None
    opened: int = 0  # frames that were encrypted, and
    refused: int = 0  # that were not, or not with the room's key
    audio: AudioInStats | None = None
    video: VideoInStats | None = None

    @property
    def packets_lost(self) -> int:
        return max(0, self.packets_expected - self.packets)
