"""One's own place in a room: what was asked for, and what the hub has given. Pure."""

from __future__ import annotations

from dataclasses import replace

from appliance.media.e2ee import FrameKey
from appliance.room.entry import Ticket
from appliance.room.signaling_base import MediaKind, Priority, Role, VideoCodec
from appliance.room.signaling_room import Joined
from appliance.room.streams import MediaPriority


class Seat:
    """`ticket` is what a rejoin asks for: what has changed since the join stays so."""

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket
        self.user_id: str | None = None
        self.role: Role = ticket.role
        self.profile = ticket.profile
        self.session_id = ""
        self.may_moderate = False
        self.joined_s = 0.0  # seconds since 1970
        self.priority = MediaPriority.NORMAL  # as the hub gave it
        self.video_codecs: tuple[VideoCodec, ...] = ()  # of ours that the room takes
        self.forced_mutes: set[MediaKind] = set()  # by a host: only it can lift them

    def take(self, joined: Joined, now_s: float) -> None:
        """The hub let us in, at `now_s` (seconds since 1970)."""
        self.user_id = joined.user_id
        self.role = joined.role
        self.profile = joined.profile
        self.session_id = joined.session_id
        self.may_moderate = joined.may_moderate
        self.joined_s = now_s
        self.priority = MediaPriority(joined.priority)
        self.video_codecs = tuple(codec for codec in self.ticket.video_codecs if codec in joined.video_codecs)

    def encrypt(self, key: FrameKey) -> None:
        self.ticket = replace(self.ticket, key=key)

    def change_role(self, role: Role) -> None:
        """An audience has no HIGH media priority."""
        self.role = role
        self.ticket = replace(self.ticket, role=role)
        if role == "audience":
            self.priority = MediaPriority.NORMAL

    def change_priority(self, priority: Priority) -> None:
        """As the hub says (D13)."""
        self.priority = MediaPriority(priority)
        self.ticket = replace(self.ticket, priority=priority)

    def force_mute(self, kind: MediaKind, muted: bool) -> None:
        (self.forced_mutes.add if muted else self.forced_mutes.discard)(kind)
