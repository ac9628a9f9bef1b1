"""The others in the room: what the hub says of them goes out as events, and their media follow (U30)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from appliance.events import Event
from appliance.room.backend import MediaBackend
from appliance.room.events import PeerLeft, StreamAdded, StreamRemoved, StreamUpdated
from appliance.room.roster import Roster
from appliance.room.signaling_room import Member, MemberChanged, MemberLeft
from appliance.room.streams import track_kinds


class Peers:
    """With `auto_subscribe` everything that they publish is wanted."""

    def __init__(
        self, room_id: str, media: MediaBackend, emit: Callable[[Event], None], *, auto_subscribe: bool
    ) -> None:
        self._roster = Roster(room_id)
        self.users = self._roster.users  # the visible others by id
        self._media = media
        self._emit = emit
        self._auto_subscribe = auto_subscribe

    def resync(self, members: Iterable[Member], *, new_hub: bool = False) -> None:
        """They are `members`. `new_hub`: who isn't back yet stays until `end_return`."""
        self._apply(self._roster.resync(members, new_hub=new_hub))

    def end_return(self) -> None:
        self._apply(self._roster.end_return())

    def change(self, message: MemberChanged) -> None:
        self._apply(self._roster.change(message))
        self._media.nudge(message.member.user_id)

    def leave(self, message: MemberLeft) -> None:
        self._apply(self._roster.leave(message))

    def _apply(self, events: list[Event]) -> None:
        for event in events:  # first: who is gone gets no farewell for each leg
            if isinstance(event, PeerLeft):
                self._media.forget(event.user_id)
        for event in events:
            if isinstance(event, StreamRemoved):
                self._media.want(event.stream, frozenset())
            self._emit(event)
            match event:
                case StreamAdded() if self._auto_subscribe:
                    self._media.want(event.stream, track_kinds(event.stream.name, event.kinds))
                case StreamUpdated() if self._auto_subscribe and event.added:
                    added = track_kinds(event.stream.name, event.added)
                    self._media.want(event.stream, self._media.wanted(event.stream) | added)
