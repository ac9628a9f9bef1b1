"""One room: who is in it, what they publish, who is told. Pure: every change returns the messages it causes.

A room checks what needs its own state; who may come in at all is decided in `rooms.py`. A refused call raises
`RtcError` before anything has changed.

Choices of this hub:
- A probe is hidden, and in profile `live` the audience: from everybody's roster and from every push. Hidden members
  are still heard when they signal to somebody whom they see, and can be answered; two of them cannot reach each other.
- A leg message to a member whose link is lost is dropped without an error: the receiving side of a leg owns its
  recovery and asks again after the resync, and an error would tell a lost link from a good one.
- What a host has muted stays so for this stay, whatever is published later; all are told of it, so that any host can
  lift it.
- A member who left may come back as `rejoined`; the room remembers the last `MAX_REMEMBERED` who left it.
- One host has HIGH media priority. Who asks for it later gets NORMAL, or takes it over with pre-emption, and neither
  gets it back when it is free again (D13). A host who becomes audience gives it up.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from appliance.errors import (
    CryptError,
    EmptyStreamError,
    LeaveReason,
    RoleError,
    RtcError,
    RtcErrorCode,
    StreamNotFoundError,
)
from appliance.hub.seat import Output, Seat
from appliance.media.e2ee import EncryptionMode
from appliance.room.signaling import HubMessage
from appliance.room.signaling_base import Kind, MediaKind, Priority, Profile, Role, StreamName
from appliance.room.signaling_room import (
    LegOffer,
    Member,
    MemberChanged,
    MemberLeft,
    MuteForced,
    PriorityChanged,
    Publish,
    SetMute,
    SignalFrom,
    SignalTo,
    StreamInfo,
    Unpublish,
)
from appliance.room.streams import KINDS

MAX_REMEMBERED = 256  # who left a room, for `rejoined`: bounds a room that stands for years


class Room:
    """Exists while somebody is in it."""

    def __init__(self, name: str, profile: Profile) -> None:
        self.name = name
        self.profile = profile
        self.seats: dict[str, Seat] = {}  # by user id, in the order of joining
        self.hidden: Seat | None = None  # of the hub's own relay: hears all, is no member
        self._gone: dict[str, None] = {}  # user ids, oldest first

    def is_visible(self, seat: Seat) -> bool:
        return not seat.is_probe and (self.profile == "rtc" or seat.role == "host")

    def members_for(self, seat: Seat) -> tuple[Member, ...]:
        """What `seat` sees: the visible others."""
        return tuple(other.member() for other in self._others(seat) if self.is_visible(other))

    def check_encryption(self, encryption: tuple[EncryptionMode, str]) -> None:
        """Raises `CryptError` unless it is that of everybody who is in; the first one decides (X43)."""
        for seat in self.seats.values():
            if seat.encryption == encryption:
                return
            mode = seat.encryption[0]
            if mode == "none":
                raise CryptError(f"room {self.name!r} is not encrypted, and you would be")
            if mode != encryption[0]:
                raise CryptError(f"room {self.name!r} is encrypted with {mode}, not {encryption[0]}")
            raise CryptError(f"room {self.name!r} is encrypted with another secret")

    def enter(
        self,
        seat: Seat,
        role: Role,
        session_id: str,
        *,
        is_probe: bool = False,
        data: str = "",
        priority: Priority = 100,
        preemptive: bool = False,
    ) -> list[Output]:
        """The messages to the others; the seat itself is told by the caller."""
        seat.is_probe, seat.data = is_probe, data
        rejoined = seat.user_id in self._gone
        self._gone.pop(seat.user_id, None)
        self.seats[seat.user_id] = seat
        seat.room, seat.role, seat.session_id, seat.streams = self, role, session_id, {}
        seat.forced_mutes = set()
        demoted = self._prioritize(seat, priority, preemptive)
        return [*demoted, *self._push(seat, MemberChanged(member=seat.member(), joined=True, rejoined=rejoined))]

    def leave(self, seat: Seat, reason: LeaveReason, message: str = "") -> list[Output]:
        del self.seats[seat.user_id]
        if not seat.is_probe:
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
        for kind in KINDS:
            if _is_forced(seat, stream.name, kind):
                stream = _muted(stream, kind, True)
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
        if not request.muted and _is_forced(seat, request.name, request.kind):
            named = request.kind if request.name == "main" else "screen"
            raise RoleError(f"your {named} was muted by a host")
        if track.muted == request.muted:
            return []
        seat.streams[request.name] = _muted(stream, request.kind, request.muted)
        return self._changed(seat)

    def force_mute(self, seat: Seat, kind: MediaKind, muted: bool, by: str, message: str) -> list[Output]:
        """A host mutes `seat`, or lets it decide again; its own client moves the gate."""
        if (kind in seat.forced_mutes) == muted:
            return []
        (seat.forced_mutes.add if muted else seat.forced_mutes.discard)(kind)
        told = seat.tell(MuteForced(kind=kind, muted=muted, by=by, message=message))
        name: StreamName = "screen" if kind == "screen" else "main"
        tracks: tuple[Kind, ...] = KINDS if kind == "screen" else (kind,)
        if muted and name in seat.streams:
            for track in tracks:
                seat.streams[name] = _muted(seat.streams[name], track, True)
        return [*told, *self._changed(seat)]

    def rename(self, seat: Seat, user_name: str) -> list[Output]:
        if seat.user_name == user_name:
            return []
        seat.user_name = user_name
        return self._changed(seat)

    def set_role(self, seat: Seat, role: Role) -> list[Output]:
        """Who becomes audience publishes nothing any more, and in profile `live` disappears (OR08)."""
        if seat.role == role:
            return []
        seat.streams, seat.priority = {}, 100
        if self.profile == "rtc":
            seat.role = role
            return self._changed(seat)
        if role == "host":
            seat.role = role
            return self._push(seat, MemberChanged(member=seat.member(), joined=True))
        left = self._push(seat, MemberLeft(user_id=seat.user_id, reason=LeaveReason.ROLE_CHANGED, role_change=True))
        seat.role = role
        return left

    def signal(self, seat: Seat, request: SignalTo) -> list[Output]:
        target = self.seats.get(request.to)
        if target is None and self.hidden is not None and request.to == self.hidden.user_id:
            target = self.hidden
        if target is None or target is seat or not (self.is_visible(target) or self.is_visible(seat)):
            raise RtcError(f"nobody called {request.to!r} is in this room", code=RtcErrorCode.PEER_NOT_FOUND)
        if seat.role != "host" and isinstance(request.leg, LegOffer):
            raise RoleError("the audience may not send media")
        return target.to(SignalFrom(sender=seat.user_id, leg=request.leg))

    def _prioritize(self, seat: Seat, wanted: Priority, preemptive: bool) -> list[Output]:
        """Gives `seat` what it wants, where it can have it; the messages to who loses HIGH by it, and about it."""
        holder = next((other for other in self._others(seat) if other.priority == 50), None)
        seat.priority = 50 if wanted == 50 and seat.role == "host" and (holder is None or preemptive) else 100
        if holder is None or seat.priority == 100:
            return []
        holder.priority = 100
        return [*holder.tell(PriorityChanged(priority=100, by=seat.user_id)), *self._changed(holder)]

    def _changed(self, seat: Seat) -> list[Output]:
        return self._push(seat, MemberChanged(member=seat.member()))

    def _push(self, about: Seat, message: HubMessage) -> list[Output]:
        if not self.is_visible(about):
            return []
        hidden = self.hidden.to(message) if self.hidden is not None else []
        return [output for other in self._others(about) for output in other.to(message)] + hidden

    def _others(self, seat: Seat) -> Iterator[Seat]:
        return (other for other in self.seats.values() if other is not seat)


def _is_forced(seat: Seat, name: StreamName, kind: Kind) -> bool:
    """Whether a host has muted this track; of a screen picture and sound together."""
    return (kind if name == "main" else "screen") in seat.forced_mutes


def _muted(stream: StreamInfo, kind: Kind, muted: bool) -> StreamInfo:
    """`stream` with this kind muted, where it has it."""
    track = stream.audio if kind == "audio" else stream.video
    if track is None:
        return stream
    return msgspec.structs.replace(stream, **{kind: msgspec.structs.replace(track, muted=muted)})
