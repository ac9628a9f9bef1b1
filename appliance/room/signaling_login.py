"""The login scope: what a client and the hub say to each other in a room or out of one.

    client                                   hub
      Login(id) ------------------------------> LoggedIn(id)                   the token, if any, is checked
      Logout(id) -----------------------------> Ok(id), close
      RenewToken(id) -------------------------> TokenRenewed(id)               TokenWillExpire, TokenExpired pushed
      SetUserName(id) ------------------------> Ok(id)                         -> MemberChanged to its room
      SubscribePresence(id), Unsubscribe... --> Ok(id)                         PresenceChanged pushed
      SendPeerMessage(id) --------------------> PeerMessageSent(id)            PeerMessageReceived at the other,
                                                                               who answers PeerMessageAck
      SendInvitation(id), Cancel..., Answer.. > Ok(id)                         InvitationReceived, InvitationChanged
      ListMissedInvitations(id) --------------> MissedInvitations(id)          ClearMissedInvitations(id) -> Ok(id)
      Ping -----------------------------------> Pong

Every request may be answered with Error(id) instead. A push that a lost link swallowed is sent again when the session
is resumed, where this page says so.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from appliance.errors import InvalidArgumentError
from appliance.room.signaling_base import Message, RequestId, Token, UserId, UserName

PROTOCOL_VERSION = 1

MESSAGES_PER_S, MESSAGE_BURST = 60.0, 60  # of one user to others (D69)
MAX_TEXT_BYTES = 32 * 1024  # in UTF-8 (X38): `check_size`
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_BYTES)]
MAX_INVITATION_BYTES = 8 * 1024  # in UTF-8 (D68): `check_size`
InvitationText = Annotated[str, msgspec.Meta(max_length=MAX_INVITATION_BYTES)]
InvitationId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
MAX_USER_ID_BYTES = 64  # in UTF-8 (X04): `check_user_id`
MAX_PRESENCE_IDS = 512  # D69
UserIds = Annotated[tuple[UserId, ...], msgspec.Meta(min_length=1, max_length=MAX_PRESENCE_IDS)]
PresenceState = Literal["ONLINE", "UNREACHABLE", "OFFLINE"]  # D67
InvitationState = Literal["received", "accepted", "refused", "canceled", "failed"]
InvitationFailure = Literal["", "peer-offline", "peer-no-response", "expired", "accept-failure", "not-logged-in"]


def check_size(text: str, most: int, what: str, operation: str = "") -> None:
    """Its size in UTF-8, which no schema says. Raises `InvalidArgumentError`, for half a surrogate pair too."""
    size = _utf8_bytes(text, what, operation)
    if size > most:
        raise InvalidArgumentError(f"{what} of {size} bytes; at most {most} are allowed", operation=operation)


def check_user_id(user_id: str, operation: str = "") -> None:
    """The id of somebody else, never empty. Raises `InvalidArgumentError`."""
    what = f"user id {user_id!r}"
    if not 0 < _utf8_bytes(user_id, what, operation) <= MAX_USER_ID_BYTES:
        raise InvalidArgumentError(f"{what}: 1 to {MAX_USER_ID_BYTES} bytes are allowed", operation=operation)


def _utf8_bytes(text: str, what: str, operation: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as exc:
        raise InvalidArgumentError(f"{what} is no text: {exc.reason} at {exc.start}", operation=operation) from exc


class Login(Message, frozen=True, tag="login"):
    """First message on every connection. `session` of an earlier LoggedIn takes that seat over, if it is still held."""

    id: RequestId
    version: int = PROTOCOL_VERSION
    token: Token = ""
    user_id: UserId = ""
    user_name: UserName = ""
    session: Annotated[str, msgspec.Meta(max_length=128)] = ""


class Logout(Message, frozen=True, tag="logout"):
    """Out of the room too, if in one; the hub answers Ok and closes. Without it a closed connection is a lost link."""

    id: RequestId


class RenewToken(Message, frozen=True, tag="renew-token"):
    """Answered with TokenRenewed; a token for another user or room is refused and the old one stays (IL21)."""

    id: RequestId
    token: Token


class SetUserName(Message, frozen=True, tag="set-user-name"):
    id: RequestId
    user_name: UserName


class SubscribePresence(Message, frozen=True, tag="subscribe-presence"):
    """The states as they are follow in one PresenceChanged; the subscription lives as long as the session."""

    id: RequestId
    user_ids: UserIds


class UnsubscribePresence(Message, frozen=True, tag="unsubscribe-presence"):
    id: RequestId
    user_ids: UserIds


class SendPeerMessage(Message, frozen=True, tag="send-peer-message"):
    """`offline`: keep it for the next login of `to` when nobody of that name is logged in."""

    id: RequestId
    to: UserId
    text: Text
    offline: bool = False


class PeerMessageAck(Message, frozen=True, tag="peer-message-ack"):
    """The receiving client has it: `message` of PeerMessageReceived."""

    message: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class SendInvitation(Message, frozen=True, tag="send-invitation"):
    """`invitation` is an id of the caller's making, unique among its own."""

    id: RequestId
    invitation: InvitationId
    to: UserId
    content: InvitationText = ""


class CancelInvitation(Message, frozen=True, tag="cancel-invitation"):
    """`answered`: somebody else took the call, so the callee has not missed it."""

    id: RequestId
    invitation: InvitationId
    content: InvitationText = ""
    answered: bool = False


class AnswerInvitation(Message, frozen=True, tag="answer-invitation"):
    """The callee's word on `invitation` of `sender`. `missed`: no person refused it, so it is kept as missed."""

    id: RequestId
    invitation: InvitationId
    sender: UserId
    accept: bool
    response: InvitationText = ""
    missed: bool = False


class InvitationAck(Message, frozen=True, tag="invitation-ack"):
    """The callee's client has the invitation, and shows it."""

    invitation: InvitationId
    sender: UserId


class Ping(Message, frozen=True, tag="ping"):
    """Sent by either side; answered with Pong carrying the same `t`."""

    t: float = 0.0


class Pong(Message, frozen=True, tag="pong"):
    t: float = 0.0


class ListMissedInvitations(Message, frozen=True, tag="list-missed-invitations"):
    """Answered with MissedInvitations."""

    id: RequestId


class ClearMissedInvitations(Message, frozen=True, tag="clear-missed-invitations"):
    id: RequestId


ClientLoginMessage = (
    Login
    | Logout
    | RenewToken
    | SetUserName
    | SubscribePresence
    | UnsubscribePresence
    | SendPeerMessage
    | PeerMessageAck
    | SendInvitation
    | CancelInvitation
    | AnswerInvitation
    | InvitationAck
    | ListMissedInvitations
    | ClearMissedInvitations
    | Ping
    | Pong
)


# --- hub to client


class LoggedIn(Message, frozen=True, tag="logged-in"):
    """`resumed`: the old seat was taken over; `in_room`: it is in a room, and a Joined with `id` 0 follows at once."""

    id: RequestId
    user_id: UserId
    session: str
    hub: str  # changes when the hub was started anew
    resumed: bool = False
    in_room: bool = False
    heartbeat_s: float = 2.0
    seat_grace_s: float = 30.0
    token_left_s: float | None = None  # how long the token is good; None: for ever, or there is none


class Ok(Message, frozen=True, tag="ok"):
    id: RequestId


class Error(Message, frozen=True, tag="error"):
    """`id` of the request that failed; 0 when it had none or could not be read. `field` is a path such as $.room."""

    code: str
    message: str
    id: int = 0
    field: str = ""


class TokenRenewed(Message, frozen=True, tag="token-renewed"):
    """`expires_at`: seconds since 1970; `token_left_s`: how long it is good from now."""

    id: RequestId
    expires_at: float
    token_left_s: float


class TokenWillExpire(Message, frozen=True, tag="token-will-expire"):
    expires_at: float
    token_left_s: float


class TokenExpired(Message, frozen=True, tag="token-expired"):
    """Within `grace_s` a RenewToken keeps the session; past it comes Kicked (X37)."""

    code: Literal["expired", "invalid"] = "expired"
    message: str = ""
    grace_s: float = 0.0


class PresenceChanged(Message, frozen=True, tag="presence-changed"):
    """Sent whole after a resume too: what changed meanwhile is delivered once (OR09)."""

    statuses: dict[str, PresenceState]


class PeerMessageSent(Message, frozen=True, tag="peer-message-sent"):
    """`delivered`: the other's client has it; `stored`: it is kept for the other's next login; `refusal`: why not."""

    id: RequestId
    delivered: bool
    stored: bool = False
    refusal: str = ""


class PeerMessageReceived(Message, frozen=True, tag="peer-message"):
    message: str
    sender: UserId
    text: Text
    server_ts_ms: int
    offline: bool = False


class InvitationReceived(Message, frozen=True, tag="invitation-received"):
    """Sent again after a resume while it is open."""

    invitation: InvitationId
    sender: UserId
    sender_name: UserName = ""
    content: InvitationText = ""
    left_s: float = 60.0  # how long it can be answered


class InvitationChanged(Message, frozen=True, tag="invitation-changed"):
    """To both sides; `peer` is the other one. Every state but `received` is final."""

    invitation: InvitationId
    peer: UserId
    state: InvitationState
    outgoing: bool
    content: InvitationText = ""
    failure: InvitationFailure = ""


class MissedInvitation(Message, frozen=True):
    """`at_ms` since 1970."""

    sender: UserId
    sender_name: UserName = ""
    content: InvitationText = ""
    at_ms: int = 0


class MissedInvitations(Message, frozen=True, tag="missed-invitations"):
    """Oldest first."""

    id: RequestId
    calls: tuple[MissedInvitation, ...]


HubLoginMessage = (
    LoggedIn
    | Ok
    | Error
    | TokenRenewed
    | TokenWillExpire
    | TokenExpired
    | PresenceChanged
    | PeerMessageSent
    | PeerMessageReceived
    | InvitationReceived
    | InvitationChanged
    | MissedInvitations
    | Ping
    | Pong
)
