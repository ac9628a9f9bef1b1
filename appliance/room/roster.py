"""Who is in the room and what they publish. Pure: what the hub says in, the exact ordered events out.

The hub sends state, never deltas (`signaling.py`), so a change and a resync after a lost link are one comparison.

Order of the events of one call (capabilities OR02, OR03, OR09, X28): who left (stream_removed of each stream, then
peer_left), peer_joined or peer_name_changed, then by stream: stream_removed, stream_added, stream_updated, then the
mute events. A kind that leaves a stream that stays counts as muted, with reason PEER_OFFLINE, and says so when it comes
back live; one that comes muted says so, early or late. The sound of a shared tab has no mute events of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Literal

from appliance.errors import LeaveReason
from appliance.events import Event
from appliance.room.events import (
    AudioMuted,
    AudioUnmuted,
    MediaStatus,
    MediaStatusReason,
    PeerJoined,
    PeerLeft,
    PeerNameChanged,
    ScreenMuted,
    ScreenUnmuted,
    StreamAdded,
    StreamRemoved,
    StreamUpdated,
    VideoMuted,
    VideoUnmuted,
)
from appliance.room.signaling_base import MediaKind
from appliance.room.signaling_room import Member, MemberChanged, MemberLeft, StreamInfo, TrackInfo
from appliance.room.streams import KINDS, RemoteStream, RemoteUser, media_kinds


class Roster:
    """The visible others of `room_id`, in the order in which they came."""

    def __init__(self, room_id: str) -> None:
        self.room_id = room_id
        self.users: dict[str, RemoteUser] = {}
        self._returning: dict[str, Member | None] = {}  # to a new hub: as it was seen there last

    def resync(self, members: Iterable[Member], *, new_hub: bool = False) -> list[Event]:
        """Become `members`. `new_hub`: the others are on their way to it too, and publish anew when they are there. Who
        is not back yet, or has not published yet, stays as it was until it has or `end_return`."""
        present = {member.user_id: member for member in members}
        self._returning = {user_id: present.get(user_id) for user_id in self.users} if new_hub else {}
        events: list[Event] = []
        for user_id in [user_id for user_id in self.users if user_id not in present and not new_hub]:
            events += self._remove(user_id, LeaveReason.USER_LEFT)
        for member in present.values():
            events += self._enter(member, rejoined=False)
        added: list[Event] = []
        muted: list[Event] = []
        for member in present.values():
            streams, mutes = self._update(member)
            added += streams
            muted += mutes
        return events + added + muted

    def change(self, message: MemberChanged) -> list[Event]:
        events = self._enter(message.member, rejoined=message.rejoined)
        streams, mutes = self._update(message.member)
        return events + streams + mutes

    def leave(self, message: MemberLeft) -> list[Event]:
        """Nothing for a user that isn't here."""
        self._returning.pop(message.user_id, None)
        reason = LeaveReason(message.reason) if message.reason in set(LeaveReason) else LeaveReason.SERVER_ERROR
        return self._remove(message.user_id, reason, message.message, message.role_change)

    def end_return(self) -> list[Event]:
        """What has not come back to a new hub by now is gone."""
        returning, self._returning = self._returning, {}
        events: list[Event] = []
        for user_id, member in returning.items():
            if member is None:
                events += self._remove(user_id, LeaveReason.SERVER_ERROR, "did not come back to the new hub")
            else:
                streams, mutes = self._update(member)
                events += streams + mutes
        return events

    def _enter(self, member: Member, *, rejoined: bool) -> list[Event]:
        user = self.users.get(member.user_id)
        if user is not None:
            renamed = user.user_name != member.user_name
            user.user_name, user.role, user.data = member.user_name, member.role, member.data
            user.priority = member.priority
            name = PeerNameChanged(room_id=self.room_id, user_id=member.user_id, user_name=member.user_name)
            return [name] if renamed else []
        user = self.users[member.user_id] = RemoteUser(member.user_id, member.user_name, member.role, member.data)
        user.priority = member.priority
        return [PeerJoined(user_id=member.user_id, user_name=member.user_name, role=member.role, rejoined=rejoined)]

    def _remove(self, user_id: str, reason: LeaveReason, message: str = "", role_change: bool = False) -> list[Event]:
        user = self.users.pop(user_id, None)
        if user is None:
            return []
        why: Literal["role_changed", "peer_left"] = "role_changed" if role_change else "peer_left"
        events: list[Event] = [StreamRemoved(stream=stream, reason=why) for stream in user.streams.values()]
        user.streams.clear()
        events.append(
            PeerLeft(user_id=user_id, user_name=user.user_name, reason=reason, message=message, role_change=role_change)
        )
        return events

    def _update(self, member: Member) -> tuple[list[Event], list[Event]]:
        """The stream events and the mute events that bring the user's streams to `member`."""
        user = self.users[member.user_id]
        if member.user_id in self._returning:
            if not member.streams:
                self._returning[member.user_id] = member
                return [], []
            del self._returning[member.user_id]
        now = {info.name: info for info in member.streams if info.audio is not None or info.video is not None}
        streams: list[Event] = []
        mutes: list[Event] = []
        for name in [name for name in user.streams if name not in now]:
            streams.append(StreamRemoved(stream=user.streams.pop(name), reason="unpublished"))
        for name, info in now.items():
            stream = user.streams.get(name)
            before = stream.info if stream is not None else StreamInfo(name=name)
            if stream is None:
                stream = user.streams[name] = RemoteStream(user.user_id, info)
                streams.append(StreamAdded(stream=stream, kinds=stream.kinds))
            else:
                stream.info = info
                streams += _updated(stream, before)
            mutes += self._mutes(user.user_id, stream, before)
        return streams, mutes

    def _mutes(self, user_id: str, stream: RemoteStream, before: StreamInfo) -> list[Event]:
        events: list[Event] = []
        is_new = before.audio is None and before.video is None
        for kind in KINDS:
            old = before.audio if kind == "audio" else before.video
            change = _mute_change(old, stream.track(kind), is_new)
            if change is None:
                continue
            muted, reason = change
            status = MediaStatus.UNAVAILABLE if muted else MediaStatus.AVAILABLE
            (named,) = media_kinds(stream.name, (kind,))
            if stream.name == "main" or named == "screen":
                cls = _MUTE_EVENTS[named, muted]
                events.append(cls(room_id=self.room_id, user_id=user_id, status=status, reason=reason))
        return events


def _mute_change(
    old: TrackInfo | None, new: TrackInfo | None, stream_is_new: bool
) -> tuple[bool, MediaStatusReason] | None:
    """Whether the kind is muted now and why, when that is worth an event: one that comes live with its stream isn't."""
    if new is None:
        return None if old is None or old.muted else (True, MediaStatusReason.PEER_OFFLINE)
    if new.muted:
        return None if old is not None and old.muted else (True, MediaStatusReason.PEER_MUTE)
    was_live = stream_is_new if old is None else not old.muted
    return None if was_live else (False, MediaStatusReason.PEER_UNMUTE)


_MuteEvent = AudioMuted | AudioUnmuted | VideoMuted | VideoUnmuted | ScreenMuted | ScreenUnmuted
_MUTE_EVENTS: dict[tuple[MediaKind, bool], type[_MuteEvent]] = {
    ("audio", True): AudioMuted,
    ("audio", False): AudioUnmuted,
    ("video", True): VideoMuted,
    ("video", False): VideoUnmuted,
    ("screen", True): ScreenMuted,
    ("screen", False): ScreenUnmuted,
}


def _updated(stream: RemoteStream, before: StreamInfo) -> list[Event]:
    old = {kind: before.audio if kind == "audio" else before.video for kind in KINDS}
    new = {kind: stream.track(kind) for kind in KINDS}
    added = [kind for kind in KINDS if old[kind] is None and new[kind] is not None]
    removed = [kind for kind in KINDS if old[kind] is not None and new[kind] is None]
    both = [(kind, was, now) for kind in KINDS if (was := old[kind]) is not None and (now := new[kind]) is not None]
    replaced = [kind for kind, was, now in both if was.track != now.track]
    sizes = [((was.width, was.height), (now.width, now.height)) for kind, was, now in both if kind == "video"]
    spec = next((now for was, now in sizes if was != now), None)
    if not added and not removed and not replaced and spec is None:
        return []
    named = partial(media_kinds, stream.name)
    return [
        StreamUpdated(
            stream=stream, added=named(added), removed=named(removed), replaced=named(replaced), video_spec=spec
        )
    ]
