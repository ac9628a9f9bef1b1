"""How good the network is, and who is how loud."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from appliance.events import Event

if TYPE_CHECKING:
    from appliance.room.streams import RemoteStream


class NetworkQuality(IntEnum):
    """0..6 of Appendix B."""

    UNKNOWN = 0
    EXCELLENT = 1
    GOOD = 2
    POOR = 3
    BAD = 4
    VERY_BAD = 5
    DOWN = 6


@dataclass(frozen=True, kw_only=True)
class NetworkQualityChanged(Event, retained=True):
    """U55, every 2 s. RTT in ms and loss 0..1; None while nothing was measured."""

    uplink: NetworkQuality
    downlink: NetworkQuality
    uplink_rtt_ms: float | None = None
    uplink_loss: float | None = None
    downlink_rtt_ms: float | None = None
    downlink_loss: float | None = None
    changed: bool = False


@dataclass(frozen=True, slots=True)
class MemberQuality:
    """One entry of U56."""

    user_id: str
    uplink: NetworkQuality
    downlink: NetworkQuality


@dataclass(frozen=True, kw_only=True)
class RoomNetworkQuality(Event):
    """U56: every visible member of the room, oneself included, as the hub heard it last."""

    items: tuple[MemberQuality, ...]


@dataclass(frozen=True, slots=True)
class VolumeItem:
    """One entry of U51: volume 0..100."""

    user_id: str
    volume: int
    is_local: bool
    stream: RemoteStream | None = None


@dataclass(frozen=True, kw_only=True)
class AudioVolume(Event):
    """U51, loudest first."""

    result: tuple[VolumeItem, ...]


@dataclass(frozen=True, slots=True)
class IndicatedVolume:
    """One entry of U53: volume 0..100."""

    user_id: str
    volume: int


@dataclass(frozen=True, kw_only=True)
class VolumeIndicator(Event):
    """U53: the loudest of the room, loudest first, while `enable_top_n_audio` is on."""

    users: tuple[IndicatedVolume, ...]


@dataclass(frozen=True, kw_only=True)
class ActiveSpeaker(Event):
    """U52."""

    user_id: str


NetworkQualityChanged.event_name = "network-quality"  # the contract's name; the class avoids the enum's
