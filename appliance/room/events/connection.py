"""The way in and out: the connection, the login, its token, and faults."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from appliance.errors import LeaveReason, RtcErrorCode
from appliance.events import Event
from appliance.vendor_codes import VendorCode, vendor_codes

if TYPE_CHECKING:
    from appliance.media.e2ee import EncryptionMode

    pass


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
class CryptErrorRaised(Event):
    """U91: the room is encrypted in another way than `crypt_type`, one's own mode, or with another secret, or not at
    all; named `crypt-error`.
    """

    crypt_type: EncryptionMode


@dataclass(frozen=True, kw_only=True)
class ErrorRaised(Event):
    """U10: unrecoverable faults only; named `error`."""

    error: RtcErrorInfo


@dataclass(frozen=True, kw_only=True)
class LogUploadResult(Event):
    """U93. `status`: of HTTP, 200 when the log is kept; 0: no answer."""

    status: int


@dataclass(frozen=True, kw_only=True)
class WarningRaised(Event):
    """U11, named `warning`: something will not work well, and the stay goes on. 406: no video codec in common with the
    room or with a member of it (RS20).
    """

    code: int
    reason: str


CryptErrorRaised.event_name = "crypt-error"  # as below
ErrorRaised.event_name = "error"  # the contract's name; the class avoids Python's
WarningRaised.event_name = "warning"
