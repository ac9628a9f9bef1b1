"""What is published, received and muted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Literal

from appliance.events import Event

if TYPE_CHECKING:
    from appliance.room.events.connection import ConnectionState
    from appliance.room.signaling_base import MediaKind
    from appliance.room.streams import LocalStream, RemoteStream


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
    kinds: tuple[MediaKind, ...]


@dataclass(frozen=True, kw_only=True)
class StreamRemoved(Event):
    """U33."""

    stream: RemoteStream
    reason: Literal["unpublished", "peer_left", "role_changed"]


@dataclass(frozen=True, kw_only=True)
class StreamUpdated(Event):
    """U34. `video_spec` is (width, height) in pixels when it changed."""

    stream: RemoteStream
    added: tuple[MediaKind, ...] = ()
    removed: tuple[MediaKind, ...] = ()
    replaced: tuple[MediaKind, ...] = ()
    video_spec: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class StreamSubscribed(Event):
    """U35: one a kind (X24)."""

    stream: RemoteStream
    kind: MediaKind


@dataclass(frozen=True, kw_only=True)
class StreamConnectionStateChanged(Event):
    """U40: of one remote stream's media, from subscribe to unsubscribe. The state of the room is another one: U07."""

    stream: RemoteStream
    prev_state: ConnectionState
    cur_state: ConnectionState


@dataclass(frozen=True, kw_only=True)
class SeiMessage(Event):
    """U83: with a picture of that user, whether it is shown or not. `data` of `payload_type` 5 begins with a UUID."""

    user_id: str
    data: bytes
    payload_type: int


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


@dataclass(frozen=True, kw_only=True)
class ScreenMuted(_MuteChanged):
    """U47."""


@dataclass(frozen=True, kw_only=True)
class ScreenUnmuted(_MuteChanged):
    """U48."""


@dataclass(frozen=True, kw_only=True)
class ScreenShareStopped(Event):
    """U71: the source of one's own `screen` has ended, or was taken away; the stream is withdrawn."""

    stream: LocalStream
