"""One room: who is in it, what they publish, who is told. Pure: every change returns the messages it causes.

A room checks what needs its own state; who may come in at all is decided in `rooms.py`. A refused call raises
`RtcError` before anything has changed.

Choices of this hub:
- In profile `live` the audience is hidden: from everybody's roster and from every push. Hidden members are still heard
  when they signal to somebody whom they see, and can be answered; two hidden members cannot reach each other.
- A leg message to a member whose link is lost is dropped without an error: the receiving side of a leg owns its
  recovery and asks again after the resync, and an error would tell a lost link from a good one.
- A member who left may come back as `rejoined`; the room remembers the last `MAX_REMEMBERED` who left it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from appliance.errors import EmptyStreamError, LeaveReason, RoleError, RtcError, RtcErrorCode, StreamNotFoundError
from appliance.hub.seat import Output, Seat
from appliance.room.signaling import HubMessage
from appliance.room.signaling_base import Profile, Role
from appliance.room.signaling_room import (
    LegOffer,
    Member,
    MemberChanged,
    MemberLeft,
    Publish,
    SetMute,
    SignalFrom,
    SignalTo,
    Unpublish,
)

MAX_REMEMBERED = 256  # who left a room, for `rejoined`: bounds a room that stands for years


class Room:
    """Exists while somebody is in it."""

    def __init__(self, name: str, profile: Profile) -> None:
        self.name = name
        self.profile = profile
        self.seats: dict[str, Seat] = {}  # by user id, in the order of joining
        self._gone: dict[str, None] = {}  # user ids, oldest first

    def is_visible(self, seat: Seat) -> bool:
        return self.profile == "rtc" or seat.role == "host"

    def members_for(self, seat: Seat) -> tuple[Member, ...]:
        """What `seat` sees: the visible others."""
        return tuple(other.member() for other in self._others(seat) if self.is_visible(other))

    def enter(self, seat: Seat, role: Role, session_id: str) -> list[Output]:
        """The messages to the others; the seat itself is told by the caller."""
        rejoined = seat.user_id in self._gone
        self._gone.pop(seat.user_id, None)
        self.seats[seat.user_id] = seat
        seat.room, seat.role, seat.session_id, seat.streams = self, role, session_id, {}
        return self._push(seat, MemberChanged(member=seat.member(), joined=True, rejoined=rejoined))

    def leave(self, seat: Seat, reason: LeaveReason, message: str = "") -> list[Output]:
        del self.seats[seat.user_id]
        self._gone[seat.user_id] = None
        if len(self._gone) > MAX_REMEMBERED:
            del self._gone[next(iter(self._gone))]
        outputs = self._push(seat, MemberLeft(user_id=seat.user_id, reason=reason, message=message))
        seat.room, seat.session_id, seat.streams = None, "", {}
        return outputs

    def publish(self, seat: Seat, request: Publish) -> list[Output]:
        stream = request.stream
        if seat.role != "host":
            raise RoleError("the audience may not publish")
        if stream.audio is None and stream.video is None:
            raise EmptyStreamError(f"stream {stream.name!r} has neither audio nor video")
        if seat.streams.get(stream.name) == stream:
            return []
        seat.streams[stream.name] = stream
        return self._changed(seat)

    def unpublish(self, seat: Seat, request: Unpublish) -> list[Output]:
        if request.name not in seat.streams:
            raise StreamNotFoundError(f"stream {request.name!r} is not published")
        del seat.streams[request.name]
        return self._changed(seat)

    def set_mute(self, seat: Seat, request: SetMute) -> list[Output]:
        stream = seat.streams.get(request.name)
        track = None if stream is None else stream.audio if request.kind == "audio" else stream.video
        if stream is None or track is None:
            raise StreamNotFoundError(f"stream {request.name!r} has no {request.kind} to mute")
        if track.muted == request.muted:
            return []
        track = msgspec.structs.replace(track, muted=request.muted)
        seat.streams[request.name] = msgspec.structs.replace(stream, **{request.kind: track})
        return self._changed(seat)

    def signal(self, seat: Seat, request: SignalTo) -> list[Output]:
        target = self.seats.get(request.to)
        if target is None or target is seat or not (self.is_visible(target) or self.is_visible(seat)):
            raise RtcError(f"nobody called {request.to!r} is in this room", code=RtcErrorCode.PEER_NOT_FOUND)
        if seat.role != "host" and isinstance(request.leg, LegOffer):
            raise RoleError("the audience may not send media")
        return target.to(SignalFrom(sender=seat.user_id, leg=request.leg))

    def _changed(self, seat: Seat) -> list[Output]:
        return self._push(seat, MemberChanged(member=seat.member()))

    def _push(self, about: Seat, message: HubMessage) -> list[Output]:
        if not self.is_visible(about):
            return []
        return [output for other in self._others(about) for output in other.to(message)]

    def _others(self, seat: Seat) -> Iterator[Seat]:
        return (other for other in self.seats.values() if other is not seat)
