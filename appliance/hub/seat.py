"""One logged-in user of the hub, and what a decision of the hub gives: messages to send, connections to close."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.media.e2ee import EncryptionMode
from appliance.room.signaling import HubMessage
from appliance.room.signaling_base import MediaKind, Priority, Role
from appliance.room.signaling_room import Member, StreamInfo

if TYPE_CHECKING:
    from appliance.hub.room import Room

MAX_MISSED = 16  # messages kept for a lost link


@dataclass(frozen=True, slots=True)
class Send:
    """Send `message` on `connection`; `durable`: once the changes of this step are on the disk."""

    connection: int
    message: HubMessage
    durable: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """Close `connection` with this WebSocket code once everything before is sent; nothing follows."""

    connection: int
    code: int
    reason: str


Output = Send | Close


@dataclass(slots=True, eq=False)
class Seat:
    """`connection` None: its link is lost and the seat is held for a while."""

    user_id: str
    user_name: str
    session: str
    token_room: str | None  # the only room that its token opens; None: every room
    token_role: Role  # the most that its token allows
    connection: int | None
    token_exp: float | None = None  # seconds since 1970; None: without a token
    heard_s: float | None = None  # of a lost link: its last message
    may_moderate: bool = False  # while it is a host
    forced_mutes: set[MediaKind] = field(default_factory=set)  # kinds that a host has muted, of this stay in the room
    room: Room | None = None
    role: Role = "host"
    is_probe: bool = False  # only tests the network: hidden
    data: str = ""  # of its application, for the others in the room
    session_id: str = ""  # of this stay in the room
    encryption: tuple[EncryptionMode, str] = ("none", "")  # of this stay: mode, and fingerprint of the key
    priority: Priority = 100  # in this stay
    streams: dict[str, StreamInfo] = field(default_factory=dict)
    missed: list[HubMessage] = field(default_factory=list)  # told at the resume

    def member(self) -> Member:
        return Member(
            user_id=self.user_id,
            user_name=self.user_name,
            role=self.role,
            streams=tuple(self.streams.values()),
            data=self.data,
            priority=self.priority,
            forced=tuple(sorted(self.forced_mutes)),
        )

    def to(self, message: HubMessage, *, durable: bool = False) -> list[Output]:
        """`message` for this user; nothing while its link is lost: state, which the resume brings anyhow."""
        return [] if self.connection is None else [Send(self.connection, message, durable)]

    def tell(self, message: HubMessage) -> list[Output]:
        """Like `to`, for what must be heard: while the link is lost it is kept for the resume, the oldest go first."""
        if self.connection is not None:
            return [Send(self.connection, message)]
        self.missed = [*self.missed, message][-MAX_MISSED:]
        return []
