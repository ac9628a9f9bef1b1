"""What logged-in users say to each other, in a room or out of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from appliance.events import Event

if TYPE_CHECKING:
    from appliance.room.invitations import LocalInvitation, RemoteInvitation
    from appliance.room.signaling_login import InvitationFailure, PresenceState


@dataclass(frozen=True, kw_only=True)
class PeersOnlineChanged(Event):
    """U82: the subscribed users whose state is new."""

    statuses: dict[str, PresenceState]


@dataclass(frozen=True, slots=True)
class PeerMessageText:
    """D63."""

    type: Literal["TEXT"]
    text: str


@dataclass(frozen=True, slots=True)
class PeerMessageProps:
    """D63. `server_ts_ms` since 1970, for display only; `offline`: it waited for this login."""

    server_ts_ms: int
    offline: bool


@dataclass(frozen=True, kw_only=True)
class PeerMessage(Event):
    """U76."""

    message: PeerMessageText
    peer_id: str
    props: PeerMessageProps


@dataclass(frozen=True, kw_only=True)
class InvitationReceived(Event):
    """U78: somebody invites; `accept` or `refuse` it."""

    invitation: RemoteInvitation


@dataclass(frozen=True, kw_only=True)
class InvitationReceivedByPeer(Event):
    """U80: the callee's client has it."""

    invitation: LocalInvitation


@dataclass(frozen=True, kw_only=True)
class InvitationAccepted(Event):
    """U80, on both sides, like the next three."""

    invitation: LocalInvitation | RemoteInvitation
    response: str = ""


@dataclass(frozen=True, kw_only=True)
class InvitationRefused(Event):
    """U80."""

    invitation: LocalInvitation | RemoteInvitation
    response: str = ""


@dataclass(frozen=True, kw_only=True)
class InvitationCanceled(Event):
    """U80. `response`: what the caller said with it."""

    invitation: LocalInvitation | RemoteInvitation
    response: str = ""


@dataclass(frozen=True, kw_only=True)
class InvitationFailed(Event):
    """U80, D68."""

    invitation: LocalInvitation | RemoteInvitation
    failure_reason: InvitationFailure
