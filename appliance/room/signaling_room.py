"""The room scope: what is said inside a room, and the legs of its media."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from appliance.media.e2ee import EncryptionMode
from appliance.room.signaling_base import (
    Fingerprint,
    Kind,
    LegId,
    MediaKind,
    Message,
    Priority,
    Profile,
    RequestId,
    Role,
    RoomId,
    Sdp,
    Selection,
    StreamName,
    Token,
    TrackId,
    UserData,
    UserId,
    UserName,
    VideoCodec,
)

ModerationAction = Literal["kick", "ban", "remove", "mute", "unmute"]
Reason = Annotated[str, msgspec.Meta(max_length=256)]
VideoCodecs = Annotated[tuple[VideoCodec, ...], msgspec.Meta(max_length=2)]


class TrackInfo(Message, frozen=True):
    """One track of a published stream. `width` and `height` are 0 for audio; `track` changes when something else takes
    the place of what was sent; `low`: there is a LOW layer to select.
    """

    muted: bool = False
    track: TrackId = ""
    low: bool = False
    width: Annotated[int, msgspec.Meta(ge=0, le=8192)] = 0
    height: Annotated[int, msgspec.Meta(ge=0, le=8192)] = 0


class StreamInfo(Message, frozen=True):
    """A published stream: at least one of its tracks is there."""

    name: StreamName = "main"
    audio: TrackInfo | None = None
    video: TrackInfo | None = None


class Member(Message, frozen=True):
    """One user in the room as everybody sees it. `forced`: the kinds that a host has muted."""

    user_id: UserId
    user_name: UserName = ""
    role: Role = "host"
    streams: tuple[StreamInfo, ...] = ()
    data: UserData = ""
    priority: Priority = 100
    forced: tuple[MediaKind, ...] = ()


class IceServer(Message, frozen=True):
    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""


# --- legs, inside Signal


class LegRequest(Message, frozen=True, tag="leg-request"):
    """Receiver to sender: send me these kinds of this stream on a new leg, the video in this layer."""

    leg: LegId
    stream: StreamName = "main"
    kinds: Annotated[tuple[Kind, ...], msgspec.Meta(min_length=1, max_length=2)] = ("audio", "video")
    layer: Selection = "high"


class LegSelect(Message, frozen=True, tag="leg-select"):
    """Receiver to sender: go on with this layer of the video, from its next key frame on. The leg stays as it is."""

    leg: LegId
    layer: Selection


class LegShort(Message, frozen=True, tag="leg-short"):
    """Sender with HIGH media priority to receiver: the video goes out with less than it needs, or no longer so. Said
    again every few seconds while it is so.
    """

    leg: LegId
    short: bool


class LegOffer(Message, frozen=True, tag="leg-offer"):
    leg: LegId
    sdp: Sdp


class LegAnswer(Message, frozen=True, tag="leg-answer"):
    leg: LegId
    sdp: Sdp


class LegClose(Message, frozen=True, tag="leg-close"):
    leg: LegId
    reason: Annotated[str, msgspec.Meta(max_length=256)] = ""


LegMessage = LegRequest | LegSelect | LegShort | LegOffer | LegAnswer | LegClose


# --- client to hub


class Join(Message, frozen=True, tag="join"):
    """`token` for a room that the token of the login does not open; it must be for the same user. `probe`: a test of
    the network before a call: nobody sees it, and nobody hears of its end (RS09). `data`: for the others to see.
    `encryption` and `key_fingerprint`: must be those of whoever is in the room already; the key itself is never told.
    `priority` is asked for, `preemptive` also of who has HIGH already. `video_codecs`: what it can send and receive.
    """

    id: RequestId
    room: RoomId
    role: Role = "host"
    profile: Profile = "rtc"
    token: Token = ""
    probe: bool = False
    data: UserData = ""
    encryption: EncryptionMode = "none"
    key_fingerprint: Fingerprint = ""
    priority: Priority = 100
    preemptive: bool = False
    video_codecs: VideoCodecs = ("h264", "vp8")


LeaveWhy = Literal[0, 2, 4]


class Leave(Message, frozen=True, tag="leave"):
    """`reason` 2: its media reaches nobody (RS03); 4: the client has a fault of its own and cannot go on (RS05)."""

    id: RequestId
    reason: LeaveWhy = 0


class Publish(Message, frozen=True, tag="publish"):
    """Adds the stream or replaces the one of this name."""

    id: RequestId
    stream: StreamInfo


class Unpublish(Message, frozen=True, tag="unpublish"):
    id: RequestId
    name: StreamName = "main"


class SetMute(Message, frozen=True, tag="set-mute"):
    id: RequestId
    kind: Kind
    muted: bool
    name: StreamName = "main"


class SignalTo(Message, frozen=True, tag="signal"):
    to: UserId
    leg: LegMessage


class SetRole(Message, frozen=True, tag="set-role"):
    """host or audience from now on; an audience's streams are withdrawn by the hub (OR08)."""

    id: RequestId
    role: Role


class Moderate(Message, frozen=True, tag="moderate"):
    """A host's act on a member of its room. `kind` is for mute and unmute; `ban_s` None: for good."""

    id: RequestId
    user_id: UserId
    action: ModerationAction
    kind: MediaKind = "audio"
    message: Reason = ""
    ban_s: Annotated[float, msgspec.Meta(gt=0, le=10 * 366 * 86_400)] | None = None


class Disband(Message, frozen=True, tag="disband"):
    """A host ends the room for everybody."""

    id: RequestId
    message: Reason = ""


class ReportQuality(Message, frozen=True, tag="report-quality"):
    """One's own levels 0..6, every 2 s; the hub tells everybody all of them (U56)."""

    uplink: Annotated[int, msgspec.Meta(ge=0, le=6)]
    downlink: Annotated[int, msgspec.Meta(ge=0, le=6)]


ClientRoomMessage = (
    Join | Leave | Publish | Unpublish | SetMute | SignalTo | SetRole | Moderate | Disband | ReportQuality
)


# --- hub to client


class Joined(Message, frozen=True, tag="joined"):
    """The room as it is: `members` are the visible others. `id` 0: a resync after a resumed login. `priority` is one's
    own, as the hub gave it; `video_codecs` are those of the room.
    """

    id: int
    room: RoomId
    user_id: UserId
    role: Role
    profile: Profile
    session_id: str
    members: tuple[Member, ...] = ()
    ice_servers: tuple[IceServer, ...] = ()
    media: Literal["mesh", "janus"] = "mesh"
    may_moderate: bool = False  # `Moderate` and `Disband` are obeyed
    priority: Priority = 100
    video_codecs: VideoCodecs = ("h264", "vp8")


class MemberChanged(Message, frozen=True, tag="member-changed"):
    """A member is new (`joined`, `rejoined` when it was here before) or something of it changed."""

    member: Member
    joined: bool = False
    rejoined: bool = False


class MemberLeft(Message, frozen=True, tag="member-left"):
    user_id: UserId
    reason: int = 0
    message: str = ""
    role_change: bool = False


class SignalFrom(Message, frozen=True, tag="signal"):
    sender: UserId
    leg: LegMessage


class Kicked(Message, frozen=True, tag="kicked"):
    """Out of the room. `login_ends`: off the hub as well, which closes: another login with this id, a ban, a token past
    its grace. Told again at a resume that missed it.
    """

    reason: Literal["kick", "banned", "removed", "token_expired"]
    login_ends: bool = True
    message: str = ""
    code: int = 5


class RoomClosed(Message, frozen=True, tag="room-closed"):
    room: RoomId
    reason: int = 10
    message: str = ""


class MuteForced(Message, frozen=True, tag="mute-forced"):
    """The hub mutes this member, or allows it to speak again: the client moves its gate (server-side mute). "screen" is
    the stream `screen`, with the sound of a shared tab.
    """

    kind: MediaKind
    muted: bool
    by: UserId = ""
    message: Reason = ""


class PriorityChanged(Message, frozen=True, tag="priority-changed"):
    """One's own media priority is another one: `by` has taken HIGH over (D13)."""

    priority: Priority
    by: UserId = ""


class Warning(Message, frozen=True, tag="warning"):
    """Something will not work well, and the stay goes on. 406: no video codec in common with the room (RS20)."""

    code: int
    reason: Reason = ""


class MemberQuality(Message, frozen=True):
    user_id: UserId
    uplink: int
    downlink: int


class RoomQuality(Message, frozen=True, tag="room-quality"):
    """Every visible member with what it reported last (U56, X31)."""

    items: tuple[MemberQuality, ...]


HubRoomMessage = (
    Joined
    | MemberChanged
    | MemberLeft
    | SignalFrom
    | Kicked
    | RoomClosed
    | MuteForced
    | PriorityChanged
    | Warning
    | RoomQuality
)
