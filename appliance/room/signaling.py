"""The wire messages between a client and the hub: JSON objects with a `type`, one WebSocket text message each.

A request carries an `id` that its `Ok`, its own reply or its `Error` repeats. The roster travels as state, not as
events: the hub sends the whole `Member` whenever something of it changed, the client compares and raises the events
(`room/roster.py`), so that a change and a resync after a lost link are one path.

    client                                   hub
      Login(id) ------------------------------> LoggedIn(id) | Error(id)       login scope
      Join(id)  ------------------------------> Joined(id)   | Error(id)       room scope
      Publish, Unpublish, SetMute (id) -------> Ok(id)       | Error(id)       -> MemberChanged to the others
      Signal(to, leg message) ----------------> Signal(sender, leg message)    to that member only
      Leave(id) ------------------------------> Ok(id)                         -> MemberLeft to the others
      Ping -----------------------------------> Pong
              MemberChanged, MemberLeft, Kicked, RoomClosed, Error   <----     pushed

Media legs run one way. The receiving side asks with `LegRequest`, the sending side answers with `LegOffer`, the
receiving side with `LegAnswer`; either ends it with `LegClose`. The receiving side owns recovery: it asks again.
Peers exchange SDP with all its candidates inside: no trickle.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec

from appliance.errors import RtcError, RtcErrorCode

MAX_MESSAGE_BYTES = 64 * 1024  # a whole SDP offer is 3 to 8 KB
PROTOCOL_VERSION = 1

T = TypeVar("T")

UserId = Annotated[str, msgspec.Meta(max_length=64)]
RoomId = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._~-]+\Z")]
UserName = Annotated[str, msgspec.Meta(max_length=256)]
LegId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
RequestId = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Sdp = Annotated[str, msgspec.Meta(max_length=48 * 1024)]
Token = Annotated[str, msgspec.Meta(max_length=4096)]
Kind = Literal["audio", "video"]
StreamName = Literal["main", "screen"]
Role = Literal["host", "audience"]
Profile = Literal["rtc", "live"]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename=None, kw_only=True):
    pass


class TrackInfo(_Message, frozen=True):
    """One track of a published stream. `width` and `height` are 0 for audio."""

    muted: bool = False
    width: Annotated[int, msgspec.Meta(ge=0, le=8192)] = 0
    height: Annotated[int, msgspec.Meta(ge=0, le=8192)] = 0


class StreamInfo(_Message, frozen=True):
    """A published stream: at least one of its tracks is there."""

    name: StreamName = "main"
    audio: TrackInfo | None = None
    video: TrackInfo | None = None


class Member(_Message, frozen=True):
    """One user in the room as everybody sees it."""

    user_id: UserId
    user_name: UserName = ""
    role: Role = "host"
    streams: tuple[StreamInfo, ...] = ()


class IceServer(_Message, frozen=True):
    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""


# --- legs, inside Signal


class LegRequest(_Message, frozen=True, tag="leg-request"):
    """Receiver to sender: send me these kinds of this stream on a new leg."""

    leg: LegId
    stream: StreamName = "main"
    kinds: Annotated[tuple[Kind, ...], msgspec.Meta(min_length=1, max_length=2)] = ("audio", "video")


class LegOffer(_Message, frozen=True, tag="leg-offer"):
    leg: LegId
    sdp: Sdp


class LegAnswer(_Message, frozen=True, tag="leg-answer"):
    leg: LegId
    sdp: Sdp


class LegClose(_Message, frozen=True, tag="leg-close"):
    leg: LegId
    reason: Annotated[str, msgspec.Meta(max_length=256)] = ""


LegMessage = LegRequest | LegOffer | LegAnswer | LegClose


# --- client to hub


class Login(_Message, frozen=True, tag="login"):
    """First message on every connection. `session` of an earlier LoggedIn takes that seat over, if it is still held."""

    id: RequestId
    version: int = PROTOCOL_VERSION
    token: Token = ""
    user_id: UserId = ""
    user_name: UserName = ""
    session: Annotated[str, msgspec.Meta(max_length=128)] = ""


class Join(_Message, frozen=True, tag="join"):
    id: RequestId
    room: RoomId
    role: Role = "host"
    profile: Profile = "rtc"


class Leave(_Message, frozen=True, tag="leave"):
    id: RequestId


class Publish(_Message, frozen=True, tag="publish"):
    """Adds the stream or replaces the one of this name."""

    id: RequestId
    stream: StreamInfo


class Unpublish(_Message, frozen=True, tag="unpublish"):
    id: RequestId
    name: StreamName = "main"


class SetMute(_Message, frozen=True, tag="set-mute"):
    id: RequestId
    kind: Kind
    muted: bool
    name: StreamName = "main"


class SignalTo(_Message, frozen=True, tag="signal"):
    to: UserId
    leg: LegMessage


class Ping(_Message, frozen=True, tag="ping"):
    """Sent by either side; answered with Pong carrying the same `t`."""

    t: float = 0.0


class Pong(_Message, frozen=True, tag="pong"):
    t: float = 0.0


ClientMessage = Login | Join | Leave | Publish | Unpublish | SetMute | SignalTo | Ping | Pong


# --- hub to client


class LoggedIn(_Message, frozen=True, tag="logged-in"):
    """`resumed`: the old seat was taken over; if it was in a room, a Joined with `id` 0 follows at once."""

    id: RequestId
    user_id: UserId
    session: str
    hub: str  # changes when the hub was started anew
    resumed: bool = False
    heartbeat_s: float = 2.0
    seat_grace_s: float = 30.0


class Joined(_Message, frozen=True, tag="joined"):
    """The room as it is: `members` are the visible others. `id` 0: a resync after a resumed login."""

    id: int
    room: RoomId
    user_id: UserId
    role: Role
    profile: Profile
    session_id: str
    members: tuple[Member, ...] = ()
    ice_servers: tuple[IceServer, ...] = ()
    media: Literal["mesh", "janus"] = "mesh"


class Ok(_Message, frozen=True, tag="ok"):
    id: RequestId


class Error(_Message, frozen=True, tag="error"):
    """`id` of the request that failed; 0 when it had none or could not be read. `field` is a path such as $.room."""

    code: str
    message: str
    id: int = 0
    field: str = ""


class MemberChanged(_Message, frozen=True, tag="member-changed"):
    """A member is new (`joined`, `rejoined` when it was here before) or something of it changed."""

    member: Member
    joined: bool = False
    rejoined: bool = False


class MemberLeft(_Message, frozen=True, tag="member-left"):
    user_id: UserId
    reason: int = 0
    message: str = ""
    role_change: bool = False


class SignalFrom(_Message, frozen=True, tag="signal"):
    sender: UserId
    leg: LegMessage


class Kicked(_Message, frozen=True, tag="kicked"):
    """The last message before the hub closes; `kick` is a duplicate login or an administrator."""

    reason: Literal["kick", "banned", "removed", "token_expired"]
    message: str = ""
    code: int = 5


class RoomClosed(_Message, frozen=True, tag="room-closed"):
    room: RoomId
    reason: int = 10
    message: str = ""


HubMessage = (
    LoggedIn | Joined | Ok | Error | MemberChanged | MemberLeft | SignalFrom | Kicked | RoomClosed | Ping | Pong
)

_encoder = msgspec.json.Encoder()
_client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_hub_decoder: msgspec.json.Decoder[HubMessage] = msgspec.json.Decoder(HubMessage)


def encode(message: ClientMessage | HubMessage) -> str:
    """One JSON text message."""
    return _encoder.encode(message).decode()


def decode_client(text: str) -> ClientMessage:
    """What a client sent. Raises `RtcError` with code message-* that names the field; never anything else."""
    return _decode(text, _client_decoder)


def decode_hub(text: str) -> HubMessage:
    """What a hub sent. Raises like `decode_client`."""
    return _decode(text, _hub_decoder)


def _decode(text: str, decoder: msgspec.json.Decoder[T]) -> T:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_MESSAGE_BYTES:
        raise RtcError(
            f"message of {size} bytes; at most {MAX_MESSAGE_BYTES} are allowed", code=RtcErrorCode.MESSAGE_TOO_LARGE
        )
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as exc:
        code = RtcErrorCode.MESSAGE_UNKNOWN if "$.type" in str(exc) else RtcErrorCode.MESSAGE_MALFORMED
        raise RtcError(str(exc), code=code) from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise RtcError(f"not a JSON message: {exc}", code=RtcErrorCode.MESSAGE_MALFORMED) from exc
