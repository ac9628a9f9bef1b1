"""What is published, received and muted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Literal

from appliance.events import Event

if TYPE_CHECKING:
    from appliance.room.signaling_base import Kind
    from appliance.room.streams import RemoteStream


class MediaStatus(StrEnum):
    """U43 to U46."""

    AVAILABLE = "AVAILABLE"
    UNAVAILABLE = "UNAVAILABLE"


class MediaStatusReason(IntEnum):
    """Why a track became (un)available (SPARK-V16 to V19, X28)."""

    PEER_OFFLINE = 0
    PEER_MUTE = 1
    PEER_UNMUTE = 2


@dataclass(frozen=True, kw_only=True)
class StreamAdded(Event):
    """U32."""

    stream: RemoteStream
    kinds: tuple[Kind, ...]


@dataclass(frozen=True, kw_only=True)
class StreamRemoved(Event):
    """U33."""

    stream: RemoteStream
    reason: Literal["unpublished", "peer_left", "role_changed"]


@dataclass(frozen=True, kw_only=True)
class StreamUpdated(Event):
    """U34. `video_spec` is (width, height) in pixels when it changed."""

    stream: RemoteStream
    added: tuple[Kind, ...] = ()
    removed: tuple[Kind, ...] = ()
    replaced: tuple[Kind, ...] = ()
    video_spec: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class StreamSubscribed(Event):
    """U35: one a kind (X24)."""

    stream: RemoteStream
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class _MuteChanged(Event):
    room_id: str
    user_id: str
    status: MediaStatus
    reason: MediaStatusReason


@dataclass(frozen=True, kw_only=True)
class AudioMuted(_MuteChanged):
    """U43."""


@dataclass(frozen=True, kw_only=True)
class AudioUnmuted(_MuteChanged):
    """U44."""


@dataclass(frozen=True, kw_only=True)
class VideoMuted(_MuteChanged):
    """U45."""


@dataclass(frozen=True, kw_only=True)
class VideoUnmuted(_MuteChanged):
    """U46."""
