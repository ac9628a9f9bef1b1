"""Every error this program raises on purpose.

ApplianceError
|- ConfigError                  a file, key or value; names where and what is allowed
|- RestartsExceededError        a supervisor gave up
|- HookError                    a private touch point of aiortc or aioice moved
`- RtcError(code, operation, state)           capabilities T3-I, T3-R
   |- InvalidStateError
   |  |- AlreadyJoinedError     IL01
   |  |- NotJoinedError         IL02 IL16 IL19 IL20
   |  |- ReconnectingError      IL02 in RECONNECTING
   |  |- ApiOrderError          IL07 IL11
   |  `- ClientDestroyedError   IL27
   |- NotLoggedInError          IL25
   |- InvitationEndedError      IL26
   |- InvalidArgumentError      IL08 IL09 IL29
   |- UnknownEventError         IL28
   |- RoleError                 IL03
   |- EmptyStreamError          IL04
   |- StreamNotFoundError       IL06
   |- JoinError
   |  |- JoinCancelledError     TR04
   |  |- JoinTimeoutError       RS19
   |  |- TokenMissingError      RS15
   |  |- TokenInvalidError      RS13
   |  |- TokenExpiredError      RS14
   |  |- RoomFullError          RS16
   |  |- DuplicateUserError     RS17
   |  |- BannedError            RS06
   |  |- CryptError             RS18
   |  `- ServiceUnavailableError RS04
   |- MediaTimeoutError
   |- SeiUnavailableError       IL24
   `- RateLimitError
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import ClassVar

from appliance.vendor_codes import VendorCode, vendor_codes


class ApplianceError(Exception):
    """Root of the errors of this program."""


class ConfigError(ApplianceError):
    """What is wrong in a configuration: one line a problem, each with key path, value, allowed values and line.

    `problems`: of each key that is to blame its name, "section.key" or "section", and what is wrong with it.
    """

    def __init__(self, message: str, problems: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class RestartsExceededError(ApplianceError):
    """A supervised child failed too often within its window."""


class HookError(ApplianceError):
    """A self-test of `aiortc_hooks` failed: names the hook and what it found."""


class LeaveReason(IntEnum):
    """Why a user left a room (capabilities X17, RS01 to RS12). Same numbers on the wire, at peers and for oneself."""

    USER_LEFT = 0
    SERVER_ERROR = 1
    SFU_ERROR = 2
    SERVICE_UNAVAILABLE = 3
    INTERNAL_ERROR = 4
    KICKED = 5
    TOKEN_EXPIRED = 6
    RECONNECT_TIMEOUT = 7
    NETWORK_PROBE = 8
    REMOVED = 9
    ROOM_DISMISSED = 10
    ROLE_CHANGED = 11


class RtcErrorCode(StrEnum):
    """Codes of room errors: on the wire in `Error.code`, in `RtcError.code` and in the `error` event (X10)."""

    INVALID_STATE = "invalid-state"
    ALREADY_JOINED = "already-joined"
    NOT_JOINED = "not-joined"
    NOT_LOGGED_IN = "not-logged-in"
    RECONNECTING = "reconnecting"
    API_ORDER = "api-order"
    CLIENT_DESTROYED = "client-destroyed"
    INVALID_ARGUMENT = "invalid-argument"
    UNKNOWN_EVENT = "unknown-event"
    ROLE = "role"
    EMPTY_STREAM = "empty-stream"
    STREAM_NOT_FOUND = "stream-not-found"
    JOIN_CANCELLED = "join-cancelled"
    JOIN_TIMEOUT = "join-timeout"
    JOIN_FAILED = "join-failed"
    TOKEN_MISSING = "token-missing"
    TOKEN_INVALID = "token-invalid"
    TOKEN_EXPIRED = "token-expired"
    ROOM_FULL = "room-full"
    DUPLICATE_USER = "duplicate-user"
    BANNED = "banned"
    CRYPT_MISMATCH = "crypt-mismatch"
    SERVICE_UNAVAILABLE = "service-unavailable"
    RATE_LIMIT = "rate-limit"
    RECONNECT_TIMEOUT = "reconnect-timeout"
    MEDIA_TIMEOUT = "media-timeout"
    MEDIA_LOST = "media-lost"
    SEI_UNAVAILABLE = "sei-unavailable"
    KICKED = "kicked"
    PEER_NOT_FOUND = "peer-not-found"
    INVITATION_ENDED = "invitation-ended"
    PROFILE = "profile"
    TASK_LIMIT = "task-limit"
    TASK_EXISTS = "task-exists"
    TASK_NOT_FOUND = "task-not-found"
    MESSAGE_MALFORMED = "message-malformed"
    MESSAGE_TOO_LARGE = "message-too-large"
    MESSAGE_UNKNOWN = "message-unknown"
    INTERNAL = "internal"


class RtcError(ApplianceError):
    """A room operation that cannot be done: `code`, the `operation` and the connection `state` it was called in."""

    default_code: ClassVar[RtcErrorCode] = RtcErrorCode.INTERNAL

    def __init__(self, message: str, *, operation: str = "", state: str = "", code: RtcErrorCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.state = state
        self.code = code if code is not None else self.default_code

    @property
    def vendor_codes(self) -> tuple[VendorCode, ...]:
        """What vendors call it, for information."""
        return vendor_codes(self.code)


class InvalidStateError(RtcError):
    """The call is not legal in this connection state (IL10)."""

    default_code = RtcErrorCode.INVALID_STATE


class AlreadyJoinedError(InvalidStateError):
    """join() while joining, joined or leaving (IL01)."""

    default_code = RtcErrorCode.ALREADY_JOINED


class NotJoinedError(InvalidStateError):
    """A room call outside a room (IL02, IL16, IL19, IL20)."""

    default_code = RtcErrorCode.NOT_JOINED


class ReconnectingError(InvalidStateError):
    """A network call while the link is being restored (IL02)."""

    default_code = RtcErrorCode.RECONNECTING


class ApiOrderError(InvalidStateError):
    """A setter that is only legal before join (IL07, IL11)."""

    default_code = RtcErrorCode.API_ORDER


class ClientDestroyedError(InvalidStateError):
    """Any call after destroy() (IL27)."""

    default_code = RtcErrorCode.CLIENT_DESTROYED


class NotLoggedInError(RtcError):
    """A call of the login layer before login(), or after its end (IL25)."""

    default_code = RtcErrorCode.NOT_LOGGED_IN


class InvitationEndedError(RtcError):
    """An invitation that can no longer be sent, answered or canceled (IL26)."""

    default_code = RtcErrorCode.INVITATION_ENDED


class InvalidArgumentError(RtcError):
    """An argument outside its documented range (IL08, IL09, IL29)."""

    default_code = RtcErrorCode.INVALID_ARGUMENT


class UnknownEventError(RtcError):
    """on() with a name that no event has (IL28)."""

    default_code = RtcErrorCode.UNKNOWN_EVENT


class RoleError(RtcError):
    """The role does not allow it (IL03)."""

    default_code = RtcErrorCode.ROLE


class EmptyStreamError(RtcError):
    """publish() of a stream without a track (IL04)."""

    default_code = RtcErrorCode.EMPTY_STREAM


class StreamNotFoundError(RtcError):
    """The stream is no longer there (IL06)."""

    default_code = RtcErrorCode.STREAM_NOT_FOUND


class ProfileError(RtcError):
    """The room's profile does not know this call (IL14)."""

    default_code = RtcErrorCode.PROFILE


class TaskLimitError(RtcError):
    """The room, or the hub, has as many relay tasks as it may have (IL17)."""

    default_code = RtcErrorCode.TASK_LIMIT


class TaskExistsError(RtcError):
    """A relay task of this id is there already (IL18)."""

    default_code = RtcErrorCode.TASK_EXISTS


class TaskNotFoundError(RtcError):
    """There is no relay task of this id (IL18)."""

    default_code = RtcErrorCode.TASK_NOT_FOUND


class RateLimitError(RtcError):
    """Too many calls in a second."""

    default_code = RtcErrorCode.RATE_LIMIT


class MediaTimeoutError(RtcError):
    """subscribe() got no media in time; the wish stands until unsubscribe()."""

    default_code = RtcErrorCode.MEDIA_TIMEOUT


class SeiUnavailableError(RtcError):
    """There is no video on its way that could carry it (IL24)."""

    default_code = RtcErrorCode.SEI_UNAVAILABLE


class JoinError(RtcError):
    """join() did not get into the room."""

    default_code = RtcErrorCode.JOIN_FAILED


class JoinCancelledError(JoinError):
    """leave() was called during join() (TR04)."""

    default_code = RtcErrorCode.JOIN_CANCELLED


class JoinTimeoutError(JoinError):
    """No accept in time (RS19, TM09)."""

    default_code = RtcErrorCode.JOIN_TIMEOUT


class TokenMissingError(JoinError):
    """The hub is in secure mode and no token was given (RS15)."""

    default_code = RtcErrorCode.TOKEN_MISSING


class TokenInvalidError(JoinError):
    """Signature, claims or form of the token are wrong (RS13)."""

    default_code = RtcErrorCode.TOKEN_INVALID


class TokenExpiredError(JoinError):
    """The token's `exp` is in the past (RS14)."""

    default_code = RtcErrorCode.TOKEN_EXPIRED


class RoomFullError(JoinError):
    """The room is at its capacity (RS16)."""

    default_code = RtcErrorCode.ROOM_FULL


class DuplicateUserError(JoinError):
    """The user id is taken and the hub's policy is reject_new (RS17)."""

    default_code = RtcErrorCode.DUPLICATE_USER


class BannedError(JoinError):
    """The user may not come back into this room (RS06)."""

    default_code = RtcErrorCode.BANNED


class CryptError(JoinError):
    """The others in the room encrypt with another mode or secret, or not at all (RS18); or it would take the key."""

    default_code = RtcErrorCode.CRYPT_MISMATCH


class ServiceUnavailableError(JoinError):
    """The server cannot be reached or refuses for now (RS04); `retry_after_s`: not before so long, where it says so."""

    default_code = RtcErrorCode.SERVICE_UNAVAILABLE
    retry_after_s: float = 0.0


def _subclasses(cls: type[RtcError]) -> list[type[RtcError]]:
    return [cls, *(deep for sub in cls.__subclasses__() for deep in _subclasses(sub))]


def rtc_error(code: str, message: str, *, operation: str = "", state: str = "") -> RtcError:
    """The error that a `code` from the wire stands for; an unknown code gives a plain RtcError with INTERNAL."""
    for cls in _subclasses(RtcError):
        if cls.default_code == code and "default_code" in vars(cls) and cls is not RtcError:
            return cls(message, operation=operation, state=state)
    known = RtcErrorCode(code) if code in {known.value for known in RtcErrorCode} else RtcErrorCode.INTERNAL
    return RtcError(message, operation=operation, state=state, code=known)
