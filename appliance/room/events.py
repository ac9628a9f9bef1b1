"""The events of a room (capabilities T2): what `RoomClient.on` takes, by class or by hyphenated name."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Literal

from appliance.errors import LeaveReason, RtcErrorCode
from appliance.events import Event
from appliance.vendor_codes import VendorCode, vendor_codes

if TYPE_CHECKING:
    from appliance.room.invitations import LocalInvitation, RemoteInvitation
    from appliance.room.signaling_base import Kind, Role
    from appliance.room.signaling_login import InvitationFailure, PresenceState
    from appliance.room.streams import RemoteStream


class ConnectionState(StrEnum):
    """S1 to S6 of T3-S."""

    DISCONNECTED = "DISCONNECTED"
    CONNECTING = "CONNECTING"
    CONNECTED = "CONNECTED"
    RECONNECTING = "RECONNECTING"
    RECONNECTED = "RECONNECTED"
    DISCONNECTING = "DISCONNECTING"


class ConnectionReason(StrEnum):
    """Why the connection state changed (T3-T)."""

    JOIN = "JOIN"
    JOIN_SUCCESS = "JOIN_SUCCESS"
    INTERRUPTED = "INTERRUPTED"
    RECONNECTED = "RECONNECTED"
    LEAVE = "LEAVE"
    ERROR = "ERROR"
    KICKED = "KICKED"
    ROOM_CLOSED = "ROOM_CLOSED"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"


class LoginState(StrEnum):
    """Of the login layer: S1 to S4 and S7 of T3-S, D64."""

    DISCONNECTED = "DISCONNECTED"
    CONNECTING = "CONNECTING"
    CONNECTED = "CONNECTED"
    RECONNECTING = "RECONNECTING"
    ABORTED = "ABORTED"


class LoginReason(StrEnum):
    """RS23, D64."""

    LOGIN = "LOGIN"
    LOGIN_SUCCESS = "LOGIN_SUCCESS"
    LOGIN_FAILURE = "LOGIN_FAILURE"
    LOGIN_TIMEOUT = "LOGIN_TIMEOUT"
    INTERRUPTED = "INTERRUPTED"
    LOGOUT = "LOGOUT"
    BANNED_BY_SERVER = "BANNED_BY_SERVER"
    REMOTE_LOGIN = "REMOTE_LOGIN"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"


class MediaStatus(StrEnum):
    """U43 to U46."""

    AVAILABLE = "AVAILABLE"
    UNAVAILABLE = "UNAVAILABLE"


class MediaStatusReason(IntEnum):
    """Why a track became (un)available (SPARK-V16 to V19, X28)."""

    PEER_OFFLINE = 0
    PEER_MUTE = 1
    PEER_UNMUTE = 2


class NetworkQuality(IntEnum):
    """0..6 of Appendix B."""

    UNKNOWN = 0
    EXCELLENT = 1
    GOOD = 2
    POOR = 3
    BAD = 4
    VERY_BAD = 5
    DOWN = 6


@dataclass(frozen=True, slots=True)
class RtcErrorInfo:
    """X12. `vendor_codes`: what vendors call it, for information (X10)."""

    code: RtcErrorCode
    name: str
    message: str
    recoverable: bool = False
    vendor_codes: tuple[VendorCode, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "vendor_codes", vendor_codes(self.code))


@dataclass(frozen=True, kw_only=True)
class ConnectionStateChanged(Event, retained=True):
    """U07."""

    prev_state: ConnectionState
    cur_state: ConnectionState
    reason: ConnectionReason
    reconnect: bool = False
    resumed: bool = False
    will_reconnect: bool = False
    error: RtcErrorInfo | None = None


@dataclass(frozen=True, kw_only=True)
class LoginStateChanged(Event, retained=True):
    """The login layer's own state (TR15, TR16, RS23): it is there in a room and out of one."""

    prev_state: LoginState
    cur_state: LoginState
    reason: LoginReason
    error: RtcErrorInfo | None = None


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


@dataclass(frozen=True, kw_only=True)
class TokenWillExpire(Event):
    """U73. `expires_at`: seconds since 1970 by the hub's clock."""

    expires_at: float
    seconds_left: float


@dataclass(frozen=True, kw_only=True)
class TokenExpired(Event):
    """U74: `renew_token` within `grace_s` keeps the login."""

    code: Literal["expired", "invalid"]
    message: str
    grace_s: float


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
class MuteForced(Event):
    """A host has shut one's own gate, or lets one open it again (server-side mute)."""

    kind: Kind
    muted: bool
    by: str = ""
    message: str = ""


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


@dataclass(frozen=True, kw_only=True)
class Kicked(Event):
    """U24."""

    user_id: str
    reason: Literal["kick", "banned", "removed", "token_expired"]
    message: str = ""
    code: LeaveReason = LeaveReason.KICKED


@dataclass(frozen=True, kw_only=True)
class RoomClosed(Event):
    """U25."""

    room_id: str
    reason: LeaveReason = LeaveReason.ROOM_DISMISSED
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class LogUploadResult(Event):
    """U93. `status`: of HTTP, 200 when the log is kept; 0: no answer."""

    status: int


@dataclass(frozen=True, kw_only=True)
class ErrorRaised(Event):
    """U10: unrecoverable faults only; named `error`."""

    error: RtcErrorInfo


# The contract's names are `error` and `network-quality`; the classes avoid Python's and the enum's names.
ErrorRaised.event_name = "error"
NetworkQualityChanged.event_name = "network-quality"
