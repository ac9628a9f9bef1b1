"""What a moderator of a room may do to it: put members out, mute them, end the room (U24, U25). Pure.

A moderator is a host whose token says so, or any host of a hub that asks for no tokens. The administrator's REST API
does the same without being in the room.
"""

from __future__ import annotations

from typing import Any, Protocol

from appliance.errors import InvalidArgumentError, NotJoinedError, RoleError, RtcError, RtcErrorCode
from appliance.hub.feature import Feature
from appliance.hub.room import Room
from appliance.hub.seat import Output, Seat
from appliance.room.signaling_base import MediaKind
from appliance.room.signaling_login import Ok
from appliance.room.signaling_room import Disband, Moderate


class Acts(Protocol):
    """What `Rooms` can do to a room."""

    def evict(
        self, room_name: str, user_id: str, how: Any, message: str, now_s: float, *, ban_s: float | None = None
    ) -> list[Output]: ...

    def force_mute(
        self, room_name: str, user_id: str, kind: MediaKind, muted: bool, *, by: str, message: str
    ) -> list[Output]: ...

    def disband(self, room_name: str, message: str) -> list[Output]: ...


class Moderation(Feature):
    requests = (Moderate, Disband)

    def __init__(self, acts: Acts) -> None:
        self._acts = acts

    def receive(self, seat: Seat, message: Any, now_s: float) -> list[Output]:
        room = self._moderated(seat)
        answered = seat.to(Ok(id=message.id), durable=True)
        if isinstance(message, Disband):
            return [*answered, *self._acts.disband(room.name, message.message)]
        if message.user_id == seat.user_id:
            raise InvalidArgumentError(f"{message.action} of oneself; leave, or mute yourself")
        if message.user_id not in room.seats and message.action != "ban":
            raise RtcError(f"nobody called {message.user_id!r} is in this room", code=RtcErrorCode.PEER_NOT_FOUND)
        if message.action in ("mute", "unmute"):
            muted = message.action == "mute"
            acts = self._acts.force_mute(
                room.name, message.user_id, message.kind, muted, by=seat.user_id, message=message.message
            )
        else:
            acts = self._acts.evict(
                room.name, message.user_id, message.action, message.message, now_s, ban_s=message.ban_s
            )
        return [*answered, *acts]

    def _moderated(self, seat: Seat) -> Room:
        if seat.room is None:
            raise NotJoinedError("join a room first")
        if seat.role != "host" or not seat.may_moderate:
            raise RoleError("only a moderator of this room may do that")
        return seat.room
