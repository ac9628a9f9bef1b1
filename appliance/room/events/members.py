"""Who is in the room, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.errors import LeaveReason
from appliance.events import Event

if TYPE_CHECKING:
    from appliance.room.signaling_base import MediaKind, Role
    from appliance.room.streams import MediaPriority


@dataclass(frozen=True, kw_only=True)
class PeerJoined(Event):
    """U14."""

    user_id: str
    user_name: str = ""
    role: Role = "host"
    rejoined: bool = False


@dataclass(frozen=True, kw_only=True)
class PeerLeft(Event):
    """U15."""

    user_id: str
    user_name: str = ""
    reason: LeaveReason = LeaveReason.USER_LEFT
    message: str = ""
    role_change: bool = False


@dataclass(frozen=True, kw_only=True)
class PeerNameChanged(Event):
    """U17."""

    room_id: str
    user_id: str
    user_name: str


@dataclass(frozen=True, kw_only=True)
class RoleChanged(Event):
    """U23: one's own role, once the hub has agreed."""

    role: Role


@dataclass(frozen=True, kw_only=True)
class MediaPriorityChanged(Event):
    """One's own media priority (U42, D13): `by` has taken HIGH over."""

    priority: MediaPriority
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class MuteForced(Event):
    """A host has shut one's own gate, or lets one open it again (server-side mute)."""

    kind: MediaKind
    muted: bool
    by: str = ""
    message: str = ""
