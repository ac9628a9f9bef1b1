"""Random lives of a hub: what every client reconstructs from its messages is what the hub holds, and nothing leaks."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.errors import RtcError, RtcErrorCode, TokenInvalidError
from appliance.hub.logins import CLOSE_EVICTED
from appliance.hub.rooms import Rooms
from appliance.hub.seat import Close, Output, Send
from appliance.hub.settings import HubSettings
from appliance.hub.tokens import Claims
from appliance.room.signaling import ClientMessage
from appliance.room.signaling_base import Profile, Role
from appliance.room.signaling_login import Error, LoggedIn, Login
from appliance.room.signaling_room import (
    Join,
    Joined,
    Kicked,
    Leave,
    LegClose,
    Member,
    MemberChanged,
    MemberLeft,
    Publish,
    RoomClosed,
    SetMute,
    SignalFrom,
    SignalTo,
    StreamInfo,
    TrackInfo,
    Unpublish,
)

CAPACITY = 3
GRACE_S = 30.0
USERS = ("anna", "ben", "cleo", "dan", "eve", "finn")
ROOMS = ("attic", "cellar")
CROWDS: st.SearchStrategy[list[tuple[str, str, Role]]] = st.permutations(
    [(user, ROOMS[number % 3 // 2], "host" if number < 4 else "audience") for number, user in enumerate(USERS)]
)


def _no_tokens(_token: str) -> Claims:
    raise TokenInvalidError("no tokens here")


class Client:
    """One connection as its client sees it: nothing but what was sent to it."""

    def __init__(self) -> None:
        self.user_id = ""
        self.session = ""
        self.room = ""
        self.roster: dict[str, Member] = {}
        self.ended = False  # after a Kicked that ends the login only Close may come


class HubLife(RuleBasedStateMachine):
    @initialize(policy=st.sampled_from(["evict_old", "reject_new"]), crowd=CROWDS)
    def start(self, policy: Literal["evict_old", "reject_new"], crowd: list[tuple[str, str, Role]]) -> None:
        hub_settings = HubSettings(
            secure=False, room_capacity=CAPACITY, duplicate_login=policy, max_rooms=len(ROOMS), seat_grace_s=GRACE_S
        )
        secrets = iter(f"secret-{number:06}" for number in range(10**6))
        self.policy = policy
        self.rooms = Rooms(hub_settings, "hub", _no_tokens, make_secret=lambda: next(secrets))
        self.now_s = 0.0
        self.last = 0
        self.clients: dict[int, Client] = {}
        self.sessions: dict[str, str] = {}  # every user's last session
        self.where: dict[str, str] = {}  # by our own book-keeping: user id -> room
        self.lost_at_s: dict[str, float] = {}  # and whose link is lost
        self.told_until_s: dict[str, float] = {}  # evicted sessions
        for user, room, role in crowd:
            self.arrive(user, room, role)

    # --- the wire

    def take(self, outputs: list[Output]) -> None:
        for output in outputs:
            client = self.clients[output.connection]  # never to a closed connection
            if isinstance(output, Close):
                assert client.ended == (output.code == CLOSE_EVICTED)
                del self.clients[output.connection]
                continue
            assert isinstance(output, Send)
            assert not client.ended, "a Kicked that ends the login is the last message"
            match output.message:
                case LoggedIn() as message:
                    client.user_id, client.session = message.user_id, message.session
                    self.sessions[message.user_id] = message.session
                case Joined() as message:
                    assert message.user_id == client.user_id
                    client.room = message.room
                    client.roster = {member.user_id: member for member in message.members}
                case MemberChanged(member=member, joined=joined):
                    assert joined == (member.user_id not in client.roster)
                    assert self.where[member.user_id] == client.room, "of another room"
                    client.roster[member.user_id] = member
                case MemberLeft(user_id=user_id):
                    del client.roster[user_id]
                case SignalFrom(sender=sender, leg=leg):
                    assert leg.leg == client.room == self.where[sender], "of another room"
                case Kicked(login_ends=True):
                    client.ended = True
                    self.told_until_s[client.session] = self.now_s + GRACE_S
                case Kicked() | RoomClosed():
                    client.room, client.roster = "", {}
                case _:
                    pass
        assert not [client for client in self.clients.values() if client.ended], "an ended connection stays open"

    def say(self, connection: int, message: ClientMessage) -> Error | None:
        """Sends; what is refused goes to its sender alone and changes nothing."""
        before = self.picture()
        outputs = self.rooms.receive(connection, message, self.now_s)
        errors = [output for output in outputs if isinstance(output, Send) and isinstance(output.message, Error)]
        if not errors:
            self.note(connection, message)
            self.take(outputs)
            return None
        assert outputs == errors
        assert len(errors) == 1
        assert errors[0].connection == connection
        assert self.picture() == before
        error = errors[0].message
        assert isinstance(error, Error)
        assert error.id == getattr(message, "id", 0)
        return error

    def note(self, connection: int, message: ClientMessage) -> None:
        """Our own book-keeping of an accepted message, before its outputs are looked at."""
        client = self.clients[connection]
        if isinstance(message, Join):
            self.where[client.user_id] = message.room
        elif isinstance(message, Leave):
            del self.where[client.user_id]
            client.room, client.roster = "", {}
        elif isinstance(message, Login):
            if message.session and message.session == self.sessions.get(message.user_id):
                self.lost_at_s.pop(message.user_id, None)  # resumed: stays where it is
            else:
                self.where.pop(message.user_id, None)  # replaced whoever was there
                self.lost_at_s.pop(message.user_id, None)

    def picture(self) -> object:
        seats = self.rooms.seats.values()
        return (
            [(s.user_id, s.session, s.connection, s.room and s.room.name, s.member()) for s in seats],
            [(room.name, list(room.seats)) for room in self.rooms.rooms.values()],
        )

    def pick(self, data: st.DataObject) -> int:
        """Any connection, rather one that is in a room."""
        joined = [number for number, client in sorted(self.clients.items()) if client.room]
        return data.draw(st.sampled_from(joined * 4 + sorted(self.clients)))

    # --- what may happen

    @rule()
    def connect(self) -> None:
        self.open()

    def open(self) -> None:
        self.last += 1
        self.clients[self.last] = Client()
        self.rooms.connect(self.last, self.now_s)

    @rule(user=st.sampled_from(USERS), room=st.sampled_from(ROOMS), role=st.sampled_from(["host", "audience"]))
    def arrives(self, user: str, room: str, role: Role) -> None:
        self.arrive(user, room, role)

    def arrive(self, user: str, room: str, role: Role) -> None:
        """What a client does: connect, log in, with its last session if it has one, join."""
        self.open()
        self.enter(self.last, user, resume=True)
        client = self.clients[self.last]
        if client.user_id and not client.room:
            self.ask_in(self.last, room, role, "rtc" if room == ROOMS[0] else "live")

    @rule(data=st.data(), user=st.sampled_from(USERS), resume=st.booleans())
    @precondition(lambda self: self.clients)
    def login(self, data: st.DataObject, user: str, resume: bool) -> None:
        self.enter(self.pick(data), user, resume=resume)

    def enter(self, connection: int, user: str, *, resume: bool) -> None:
        old = self.rooms.seats.get(user)
        session = self.sessions.get(user, "") if resume else ""
        resumes = old is not None and session == old.session
        if resume and not resumes:
            self.sessions.pop(user, None)
        was_connected = old is not None and old.connection is not None
        error = self.say(connection, Login(id=1, user_id=user, session=session))
        if self.now_s < self.told_until_s.get(session, 0.0):
            assert error is not None, "an evicted session came back"
        if error is None:
            assert not (was_connected and self.policy == "reject_new" and not resumes)
        elif error.code == RtcErrorCode.DUPLICATE_USER:
            assert was_connected
            assert self.policy == "reject_new"
        else:
            assert error.code in (RtcErrorCode.INVALID_STATE, RtcErrorCode.KICKED, RtcErrorCode.BANNED)

    @rule(
        data=st.data(),
        room=st.sampled_from(ROOMS),
        role=st.sampled_from(["host", "host", "audience"]),
        profile=st.sampled_from(["rtc", "live"]),
    )
    @precondition(lambda self: self.clients)
    def join(self, data: st.DataObject, room: str, role: Role, profile: Profile) -> None:
        self.ask_in(self.pick(data), room, role, profile)

    def ask_in(self, connection: int, room: str, role: Role, profile: Profile) -> None:
        is_banned = self.clients[connection].user_id in self.rooms.exclusions.banned(room, self.now_s)
        there = list(self.where.values()).count(room)
        error = self.say(connection, Join(id=2, room=room, role=role, profile=profile))
        if error is None:
            assert there < CAPACITY
            assert not is_banned
        elif error.code == RtcErrorCode.ROOM_FULL:
            assert there == CAPACITY

    @rule(data=st.data(), audio=st.booleans(), video=st.booleans(), name=st.sampled_from(["main", "screen"]))
    @precondition(lambda self: self.clients)
    def publish(self, data: st.DataObject, audio: bool, video: bool, name: Literal["main", "screen"]) -> None:
        tracks = StreamInfo(name=name, audio=TrackInfo() if audio else None, video=TrackInfo() if video else None)
        error = self.say(self.pick(data), Publish(id=3, stream=tracks))
        assert error is not None or audio or video

    @rule(data=st.data(), kind=st.sampled_from(["audio", "video"]), muted=st.booleans())
    @precondition(lambda self: self.clients)
    def mute(self, data: st.DataObject, kind: Literal["audio", "video"], muted: bool) -> None:
        self.say(self.pick(data), SetMute(id=4, kind=kind, muted=muted))

    @rule(data=st.data())
    @precondition(lambda self: self.clients)
    def unpublish(self, data: st.DataObject) -> None:
        self.say(self.pick(data), Unpublish(id=5))

    @rule(data=st.data(), to=st.sampled_from(USERS))
    @precondition(lambda self: self.clients)
    def signal(self, data: st.DataObject, to: str) -> None:
        connection = self.pick(data)
        client = self.clients[connection]
        is_self = to == client.user_id
        error = self.say(connection, SignalTo(to=to, leg=LegClose(leg=client.room or "none")))
        if client.room and to in client.roster:
            assert error is None
        if is_self or self.where.get(to) != client.room:
            assert error is not None

    @rule(data=st.data())
    @precondition(lambda self: self.clients)
    def leave(self, data: st.DataObject) -> None:
        self.say(self.pick(data), Leave(id=6))

    @rule(data=st.data())
    @precondition(lambda self: self.clients)
    def lose_link(self, data: st.DataObject) -> None:
        connection = self.pick(data)
        user_id = self.clients.pop(connection).user_id
        if user_id:
            self.lost_at_s[user_id] = self.now_s
        assert self.rooms.link_lost(connection, self.now_s) == [], "peers notice nothing"

    @rule(seconds=st.sampled_from([0.5, 4.0, 11.0, 29.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        for user_id, lost_s in list(self.lost_at_s.items()):
            if self.now_s - lost_s >= GRACE_S:
                self.where.pop(user_id, None)
                del self.lost_at_s[user_id]
        outputs = self.rooms.expire(self.now_s)
        self.take(outputs)
        deadline_s = self.rooms.next_deadline_s()
        assert deadline_s is None or deadline_s > self.now_s

    @rule(user=st.sampled_from(USERS), room=st.sampled_from(ROOMS), how=st.sampled_from(["kick", "ban", "remove"]))
    def evict(self, user: str, room: str, how: Literal["kick", "ban", "remove"]) -> None:
        is_there = self.where.get(user) == room
        if is_there:
            del self.where[user]
            if how == "ban":
                self.lost_at_s.pop(user, None)
        elif how != "ban":
            with pytest.raises(RtcError, match="nobody called"):
                self.rooms.evict(room, user, how, "", self.now_s)
            return
        self.take(self.rooms.evict(room, user, how, "", self.now_s))

    @rule(room=st.sampled_from(ROOMS))
    def unban_everybody(self, room: str) -> None:
        for user_id in self.rooms.exclusions.banned(room, self.now_s):
            self.rooms.exclusions.unban(room, user_id)

    @rule(room=st.sampled_from(ROOMS))
    @precondition(lambda self: self.rooms.rooms)
    def disband(self, room: str) -> None:
        members = [user_id for user_id, name in self.where.items() if name == room]
        if not members:
            return
        for user_id in members:
            del self.where[user_id]
        self.take(self.rooms.disband(room, ""))

    # --- what must hold

    @invariant()
    def rosters_agree(self) -> None:
        for connection, client in self.clients.items():
            if not client.room:
                continue
            room = self.rooms.rooms[client.room]
            seat = room.seats[client.user_id]
            assert seat.connection == connection
            visible = {
                other.user_id: other.member()
                for other in room.seats.values()
                if other is not seat and (room.profile == "rtc" or other.role == "host")
            }
            assert msgspec.to_builtins(client.roster) == msgspec.to_builtins(visible)

    @invariant()
    def one_seat_one_connection(self) -> None:
        seated = {c.user_id: number for number, c in self.clients.items() if c.user_id}
        assert seated == {s.user_id: s.connection for s in self.rooms.seats.values() if s.connection is not None}
        assert len(seated) == sum(bool(client.user_id) for client in self.clients.values())

    @invariant()
    def the_books_agree(self) -> None:
        there = {user_id: name for name, room in self.rooms.rooms.items() for user_id in room.seats}
        assert there == self.where
        assert all(0 < len(room.seats) <= CAPACITY for room in self.rooms.rooms.values())
        held = {seat.user_id for seat in self.rooms.seats.values() if seat.connection is None}
        assert held == set(self.lost_at_s)

    @invariant()
    def audience_publishes_nothing(self) -> None:
        assert not [seat for seat in self.rooms.seats.values() if seat.role == "audience" and seat.streams]


HubLife.TestCase.settings = settings(
    max_examples=120, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestHubLife = HubLife.TestCase
