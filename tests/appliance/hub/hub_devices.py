"""A client of the hub without a wire: the pure parts of the real one. What it hears is held against the rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from appliance.errors import TokenInvalidError
from appliance.events import Event
from appliance.hub.changes import (
    BanLifted,
    BanSet,
    CallMissed,
    Change,
    MessageKept,
    MessagesTaken,
    MissedCallsCleared,
    RoomDropped,
    RoomKept,
)
from appliance.hub.tokens import Claims, check
from appliance.room.connection import Connection, Trigger
from appliance.room.events import ConnectionReason, PeerJoined, PeerLeft, StreamAdded, StreamRemoved
from appliance.room.roster import Roster
from appliance.room.signaling import HubMessage
from appliance.room.signaling_base import MediaKind
from appliance.room.signaling_login import (
    InvitationChanged,
    InvitationReceived,
    LoggedIn,
    PeerMessageReceived,
    PresenceChanged,
)
from appliance.room.signaling_room import (
    Joined,
    Kicked,
    MemberChanged,
    MemberLeft,
    MuteForced,
    PriorityChanged,
    RoomClosed,
    RoomQuality,
    SignalFrom,
    Warning,
)

EPOCH_S = 1_800_000_000.0  # the wall clock when the monotonic one began
ROOM_SCOPE = (
    Joined,
    MemberChanged,
    MemberLeft,
    SignalFrom,
    Kicked,
    RoomClosed,
    MuteForced,
    PriorityChanged,
    Warning,
    RoomQuality,
)
NO_REASON = ConnectionReason.ERROR

_TOKEN = re.compile(r"(\w+)\|(\w+)\|(host|audience)\|(moderator)?\|(\d+)")


def token(user: str, room: str, role: str, moderator: bool, exp: float) -> str:
    return f"{user}|{room}|{role}|{'moderator' if moderator else ''}|{exp:.0f}"


def read_token(text: str, wall_s: float) -> Claims:
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise TokenInvalidError("no token")
    user, room, role, moderator, exp = match.groups()
    claims = Claims(
        sub=user, room=room, role="host" if role == "host" else "audience", moderator=bool(moderator), exp=int(exp)
    )
    check(claims, wall_s)
    return claims


Key = tuple[str, str]  # of an invitation: caller, id


@dataclass
class Stay:
    """In a room, by the real client's own machines."""

    room: str
    role: str
    roster: Roster
    connection: Connection
    streams: dict[str, set[str]] = field(default_factory=dict)  # what its application has been told
    returning: bool = False  # to a new hub

    def tell(self, events: Iterable[Event]) -> None:
        """The application's view of it: joined before streams, streams gone before their peer (OR02)."""
        for event in events:
            match event:
                case PeerJoined(user_id=user_id):
                    assert user_id not in self.streams
                    self.streams[user_id] = set()
                case PeerLeft(user_id=user_id):
                    assert not self.streams.pop(user_id), "a stream outlives its peer"
                case StreamAdded(stream=stream):
                    assert stream.name not in self.streams[stream.user_id]
                    self.streams[stream.user_id].add(stream.name)
                case StreamRemoved(stream=stream):
                    self.streams[stream.user_id].remove(stream.name)
                case _:
                    pass


class Device:
    """One client program of `user`, over all its links."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.link: int | None = None
        self.session = ""
        self.hub = ""
        self.logged_in = False  # on this link
        self.ended = False  # by a Kicked that ends the login: only Close may come
        self.stay: Stay | None = None
        self.comes_back_to = ""  # its room, when the hub it was in is gone
        self.forced: set[MediaKind] = set()
        self.presence: dict[str, str] = {}
        self.watched: set[str] = set()
        self.messages: set[str] = set()
        self.unanswered: list[PeerMessageReceived | InvitationReceived] = []
        self.ringing: set[str] = set()
        self.outgoing: dict[Key, InvitationChanged | None] = {}  # None: open
        self.incoming: dict[Key, InvitationChanged | None] = {}

    # --- from the wire

    def hear(self, message: HubMessage) -> None:
        assert not self.ended, f"{message} after the end of the login"
        if isinstance(message, ROOM_SCOPE):
            self._hear_room(message)
            return
        match message:
            case LoggedIn():
                self._hear_logged_in(message)
            case PresenceChanged(statuses=statuses):
                assert self.logged_in
                assert set(statuses) <= self.watched, "of somebody who is not watched"
                self.presence |= statuses
            case PeerMessageReceived():
                assert message.message not in self.messages, "delivered twice"
                self.messages.add(message.message)
                self.unanswered.append(message)
            case InvitationReceived(sender=sender, invitation=invitation):
                assert self.incoming.get((sender, invitation)) is None, "rings again after its end"
                self.incoming[sender, invitation] = None
                self.unanswered.append(message)
            case InvitationChanged(state="received"):
                assert self.outgoing[self.user, message.invitation] is None, "received after its end"
            case InvitationChanged():
                self._hear_end(message)
            case _:
                pass

    def _hear_logged_in(self, message: LoggedIn) -> None:
        is_new_hub = bool(self.hub) and self.hub != message.hub
        self.logged_in, self.session, self.hub = True, message.session, message.hub
        if not message.resumed:
            self.presence, self.watched, self.forced = {}, set(), set()
            self.outgoing, self.incoming, self.unanswered = {}, {}, []
        if self.stay is None:
            assert not (message.resumed and message.in_room), "in a room that it knows nothing of"
        elif not message.resumed:
            self.comes_back_to = self.stay.room if is_new_hub else ""
            if not is_new_hub:
                self.out(Trigger.GAVE_UP)

    def _hear_room(self, message: HubMessage) -> None:
        stay = self.stay
        if isinstance(message, Joined):
            self._hear_joined(message)
            return
        if isinstance(message, Kicked) and message.login_ends:
            self.ended = True
            if stay is not None:
                self.out(Trigger.EVICTED)
            return
        assert stay is not None, f"{message} to somebody in no room"
        match message:
            case MemberChanged():
                assert message.joined == (message.member.user_id not in stay.roster.users) or stay.returning
                stay.tell(stay.roster.change(message))
            case MemberLeft():
                stay.tell(stay.roster.leave(message))
            case MuteForced(kind=kind, muted=muted):
                (self.forced.add if muted else self.forced.discard)(kind)
            case Kicked():
                self.out(Trigger.EVICTED)
            case RoomClosed(room=room):
                assert room == stay.room
                self.out(Trigger.EVICTED)
            case _:
                pass

    def _hear_joined(self, message: Joined) -> None:
        stay = self.stay
        assert stay is not None
        assert (message.room, message.user_id) == (stay.room, self.user)
        self.role(message.role)
        if message.id:
            self.forced = set()
        is_first = stay.connection.state == "CONNECTING"
        stay.tell(stay.roster.resync(message.members, new_hub=bool(message.id) and not is_first))
        if is_first:
            stay.connection.advance(Trigger.ACCEPTED, NO_REASON)
        else:
            stay.returning = stay.returning or bool(message.id)
            stay.connection.advance(Trigger.RESTORED, NO_REASON)
            stay.connection.advance(Trigger.SETTLED, NO_REASON)

    def _hear_end(self, message: InvitationChanged) -> None:
        book = self.outgoing if message.outgoing else self.incoming
        key = (self.user if message.outgoing else message.peer, message.invitation)
        assert book.get(key) is None, f"{key} is {book[key]} and {message}"
        book[key] = message

    def closed(self) -> None:
        """The hub closed, or the link is lost."""
        self.link, self.logged_in = None, False
        if self.ended:
            self.forget()
        elif self.stay is not None and self.stay.connection.state == "CONNECTED":
            self.stay.connection.advance(Trigger.LINK_LOST, NO_REASON)

    # --- from its application

    def wants_in(self, room: str) -> None:
        self.stay = Stay(room, "", Roster(room), Connection(lambda _change: None))
        self.stay.connection.advance(Trigger.JOIN, NO_REASON)

    def role(self, role: str) -> None:
        assert self.stay is not None
        self.stay.role = role

    def refused(self) -> None:
        """Not let in."""
        assert self.stay is not None
        self.out(Trigger.REFUSED if self.stay.connection.state == "CONNECTING" else Trigger.GAVE_UP)

    def out(self, trigger: Trigger) -> None:
        """Out of the room, by whichever way."""
        assert self.stay is not None
        connection, self.stay, self.comes_back_to, self.forced = self.stay.connection, None, "", set()
        if trigger is Trigger.EVICTED and connection.state == "RECONNECTING":
            trigger = Trigger.GAVE_UP  # heard of it when the link was back
        connection.advance(trigger, NO_REASON)
        if connection.state == "DISCONNECTING":
            connection.advance(Trigger.TORN_DOWN, NO_REASON)
        assert connection.state == "DISCONNECTED"

    def forget(self) -> None:
        """The login is over."""
        link = self.link
        self.__init__(self.user)  # type: ignore[misc]
        self.link = link


class Facts:
    """What is on the disk: the changes of a hub's life, in the form in which a store gives them back."""

    def __init__(self) -> None:
        self.bans: dict[tuple[str, str], BanSet] = {}
        self.messages: list[MessageKept] = []
        self.calls: list[CallMissed] = []
        self.rooms: dict[str, RoomKept] = {}

    def write(self, changes: list[Change]) -> None:
        for change in changes:
            match change:
                case BanSet(room=room, user_id=user_id):
                    self.bans[room, user_id] = change
                case BanLifted(room=room, user_id=user_id):
                    self.bans.pop((room, user_id), None)
                case MessageKept():
                    self.messages.append(change)
                case MessagesTaken(to=to):
                    self.messages = [kept for kept in self.messages if kept.to != to]
                case CallMissed():
                    self.calls.append(change)
                case MissedCallsCleared(callee=callee):
                    self.calls = [call for call in self.calls if call.callee != callee]
                case RoomKept(room=room):
                    self.rooms[room] = change
                case RoomDropped(room=room):
                    del self.rooms[room]

    def all(self) -> list[Change]:
        return [*self.bans.values(), *self.messages, *self.calls, *self.rooms.values()]
