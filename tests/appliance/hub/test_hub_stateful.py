"""The whole hub through random lives of several clients: tokens, presence, messages, invitations, moderation, restarts.

Clients are the pure parts of the real one (`hub_devices.py`), which hold what they hear against the rules at once. What
must hold between the clients and the hub is looked at after each step. `test_rooms_stateful.py` does the same for what
is refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sized
from typing import Any, Literal

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.errors import RtcError, RtcErrorCode
from appliance.hub.allowances import Allowances
from appliance.hub.deadlines import Deadlines
from appliance.hub.rooms import Eviction, Rooms
from appliance.hub.seat import Close, Output
from appliance.hub.settings import HubSettings
from appliance.room.connection import Trigger
from appliance.room.signaling import ClientMessage, HubMessage, decode_client, decode_hub, encode
from appliance.room.signaling_base import MediaKind, Profile, Role
from appliance.room.signaling_login import (
    AnswerInvitation,
    CancelInvitation,
    Error,
    InvitationAck,
    ListMissedInvitations,
    LoggedIn,
    Login,
    Logout,
    MissedInvitations,
    PeerMessageAck,
    PeerMessageReceived,
    RenewToken,
    SendInvitation,
    SendPeerMessage,
    SetUserName,
    SubscribePresence,
    UnsubscribePresence,
)
from appliance.room.signaling_room import (
    Disband,
    Join,
    Joined,
    Leave,
    Moderate,
    ModerationAction,
    Publish,
    ReportQuality,
    SetMute,
    SetRole,
    StreamInfo,
    TrackInfo,
    Unpublish,
)
from tests.appliance.hub.hub_devices import EPOCH_S, NO_REASON, Device, Facts, Key, read_token, token

USERS = ("anna", "ben", "cleo", "dan")
OWNERS = (*USERS, "anna")  # anna has two devices
ROOMS = ("attic", "cellar")
DEVICES = st.integers(0, len(OWNERS) - 1)
SETTINGS = HubSettings(room_capacity=3, max_rooms=2, seat_grace_s=30.0, token_grace_s=30.0)
# Bounded, or to be remembered.
KEPT = {"_ended", "_missed", "_waiting", "_farewells", "_bans", "_of_room", "_gone", "kept_rooms"}


class WholeHub(RuleBasedStateMachine):
    @initialize(crowd=st.permutations(range(len(OWNERS))), exp_s=st.sampled_from([20, 1000]))
    def start(self, crowd: list[int], exp_s: int) -> None:
        self.now_s = 0.0
        self.facts = Facts()
        self.devices = [Device(user) for user in OWNERS]
        self.links: dict[int, Device] = {}
        self.numbers = itertools.count(1)
        self.secrets = itertools.count(1)
        self.ends: dict[Key, set[str]] = {}  # of invitations: final states that anybody has heard
        self.rooms = self.new_hub()
        for device in crowd[:3]:
            self.arrives(device, ROOMS[0], "host", moderator=True, exp_s=exp_s)
        self.watch(crowd[0], list(USERS), True)

    def new_hub(self) -> Rooms:
        self.hub_id = f"hub-{next(self.secrets)}"
        return Rooms(
            SETTINGS,
            self.hub_id,
            lambda text: read_token(text, EPOCH_S + self.now_s),
            make_secret=lambda: f"secret-{next(self.secrets):06}",
            wall_s=lambda: EPOCH_S + self.now_s,
        )

    # --- the wire

    def take(self, outputs: list[Output]) -> HubMessage | None:
        """Everything to its receiver; the reply to a request, if there is one."""
        reply: HubMessage | None = None
        self.facts.write(self.rooms.changes)
        self.rooms.changes.clear()
        for output in outputs:
            assert output.connection in self.links, f"{output} to a closed link"
            device = self.links[output.connection]
            if isinstance(output, Close):
                del self.links[output.connection]
                device.closed()
                continue
            message = decode_hub(encode(output.message))
            device.hear(message)
            if getattr(message, "id", 0):
                reply = message
        assert not [device for device in self.links.values() if device.ended], "an ended login's link stays open"
        return reply

    def ask(self, device: Device, message: ClientMessage) -> HubMessage | None:
        assert device.link is not None
        message = decode_client(encode(message))
        reply = self.take(self.rooms.receive(device.link, message, self.now_s))
        self.expire()
        return reply

    def done(self, device: Device, message: ClientMessage) -> bool:
        reply = self.ask(device, message)
        return reply is not None and not isinstance(reply, Error)

    def expire(self) -> None:
        """As the shell's clock does, when something is due."""
        for _ in range(10):
            deadline_s = self.rooms.next_deadline_s()
            if deadline_s is None or deadline_s > self.now_s:
                return
            self.take(self.rooms.expire(self.now_s))
        raise AssertionError("something stays due")

    def there(self, index: int) -> Device | None:
        """The device, if it is logged in, else one that is."""
        devices = [*self.devices[index:], *self.devices[:index]]
        return next((device for device in devices if device.logged_in), None)

    # --- links and logins

    @rule(
        device=DEVICES,
        room=st.sampled_from(ROOMS),
        role=st.sampled_from(["host", "host", "audience"]),
        moderator=st.booleans(),
        exp_s=st.sampled_from([20, 100, 1000]),
    )
    def arrives(self, device: int, room: str, role: Role, moderator: bool, exp_s: int) -> None:
        """As a client does: connects, logs in, with its session if it has one, goes to its room."""
        one = self.devices[device]
        if one.link is None:
            one.link = next(self.numbers)
            self.links[one.link] = one
            self.take(self.rooms.connect(one.link, self.now_s))
        if not one.logged_in and not self.log_in(one, room, role, moderator, exp_s):
            return
        if one.comes_back_to:
            self.go(one, one.comes_back_to, role)
        elif one.stay is None:
            self.go(one, room, role)

    def log_in(self, one: Device, room: str, role: Role, moderator: bool, exp_s: int) -> bool:
        claim = token(one.user, room, role, moderator, EPOCH_S + self.now_s + exp_s)
        reply = self.ask(one, Login(id=1, token=claim, session=one.session))
        if not isinstance(reply, LoggedIn):
            assert isinstance(reply, Error)
            assert reply.code in (RtcErrorCode.KICKED, RtcErrorCode.BANNED, RtcErrorCode.TOKEN_EXPIRED)
            assert one.session, "nobody is refused who comes anew"
            if one.stay is not None:
                one.out(Trigger.GAVE_UP)
            one.forget()
            return False
        return one.logged_in  # a token that ended long ago ends the login at once

    def go(self, one: Device, room: str, role: Role, profile: Profile = "rtc") -> None:
        if one.stay is None:
            one.wants_in(room)
        if not isinstance(self.ask(one, Join(id=2, room=room, role=role, profile=profile)), Joined):
            one.refused()
        one.comes_back_to = ""

    @rule(device=DEVICES, room=st.sampled_from(ROOMS), profile=st.sampled_from(["rtc", "live"]))
    def join(self, device: int, room: str, profile: Profile) -> None:
        if (one := self.there(device)) and one.stay is None:
            self.go(one, room, "host", profile)

    @rule(device=DEVICES, room=st.sampled_from(ROOMS), exp_s=st.sampled_from([-100, 20, 1000]))
    def renew(self, device: int, room: str, exp_s: int) -> None:
        if one := self.there(device):
            claim = token(one.user, room, "host", False, EPOCH_S + self.now_s + exp_s)
            assert not (self.done(one, RenewToken(id=3, token=claim)) and exp_s < 0)

    @rule(device=DEVICES)
    def logs_out(self, device: int) -> None:
        if one := self.there(device):
            link = one.link
            assert self.done(one, Logout(id=4))
            assert link not in self.links
            if one.stay is not None:
                one.out(Trigger.GAVE_UP)
            one.forget()

    @rule(device=DEVICES, went_away=st.booleans(), silent_s=st.sampled_from([0.0, 5.0]))
    def loses_link(self, device: int, went_away: bool, silent_s: float) -> None:
        one = self.devices[device]
        if one.link is None:
            return
        link = one.link
        del self.links[link]
        one.closed()
        heard_s = self.now_s - silent_s
        self.take(self.rooms.link_lost(link, self.now_s, went_away=went_away, heard_s=heard_s))
        self.expire()

    @rule(seconds=st.sampled_from([0.5, 3.0, 7.0, 29.0, 31.0, 70.0]))
    def wait(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while (deadline_s := self.rooms.next_deadline_s()) is not None and deadline_s <= end_s:
            self.now_s = max(self.now_s, deadline_s)
            self.expire()
        self.now_s = end_s
        for one in self.devices:
            if one.stay is not None and one.stay.returning:
                one.stay.returning = False
                one.stay.tell(one.stay.roster.end_return())

    @rule()
    def hub_restarts(self) -> None:
        """Killed; what was on the disk comes back, and every client finds a new hub."""
        old, self.rooms = self.rooms, self.new_hub()
        self.links.clear()
        for one in self.devices:
            if one.link is not None:
                one.closed()
        self.rooms.restore(self.facts.all(), self.now_s)
        assert self.rooms.changes == []
        assert self.rooms.kept_rooms == old.kept_rooms
        assert self.rooms.rooms.keys() == old.kept_rooms.keys()
        for room in ROOMS:
            assert self.rooms.exclusions.banned(room, self.now_s) == old.exclusions.banned(room, self.now_s)
        assert self.rooms._mailbox._waiting == old._mailbox._waiting
        assert self.rooms._missed_calls._missed == old._missed_calls._missed

    # --- without a room

    @rule(device=DEVICES, users=st.lists(st.sampled_from(USERS), min_size=1, max_size=3), subscribe=st.booleans())
    def watch(self, device: int, users: list[str], subscribe: bool) -> None:
        if (one := self.there(device)) is None:
            return
        before = set(one.watched)
        if subscribe:
            one.watched |= set(users)
            if not self.done(one, SubscribePresence(id=5, user_ids=tuple(users))):
                one.watched = before
        elif self.done(one, UnsubscribePresence(id=5, user_ids=tuple(users))):
            one.watched -= set(users)
            one.presence = {user: state for user, state in one.presence.items() if user in one.watched}

    @rule(device=DEVICES, to=st.sampled_from(USERS), offline=st.booleans())
    def message(self, device: int, to: str, offline: bool) -> None:
        if one := self.there(device):
            self.ask(one, SendPeerMessage(id=6, to=to, text="hello", offline=offline))

    @rule(device=DEVICES, to=st.sampled_from(USERS), number=st.integers(0, 3))
    def invite(self, device: int, to: str, number: int) -> None:
        if one := self.there(device):
            key = (one.user, f"{self.hub_id}-{one.session}-{number}")
            if key in one.outgoing:
                return
            one.outgoing[key] = None
            if not self.done(one, SendInvitation(id=7, invitation=key[1], to=to)):
                one.outgoing.pop(key, None)

    @rule(device=DEVICES)
    def notices(self, device: int) -> None:
        """Says that it has what it has got."""
        one = self.there(device)
        while one is not None and one.logged_in and one.unanswered:
            message = one.unanswered.pop(0)
            if isinstance(message, PeerMessageReceived):
                self.ask(one, PeerMessageAck(message=message.message))
            else:
                self.ask(one, InvitationAck(invitation=message.invitation, sender=message.sender))

    @rule(device=DEVICES, accept=st.booleans())
    def answer(self, device: int, accept: bool) -> None:
        self.end(
            device,
            lambda one: one.incoming,
            lambda key: AnswerInvitation(id=8, invitation=key[1], sender=key[0], accept=accept),
        )

    @rule(device=DEVICES, answered=st.booleans())
    def cancel(self, device: int, answered: bool) -> None:
        self.end(
            device, lambda one: one.outgoing, lambda key: CancelInvitation(id=9, invitation=key[1], answered=answered)
        )

    def end(
        self, device: int, book: Callable[[Device], dict[Key, Any]], message: Callable[[Key], ClientMessage]
    ) -> None:
        """The first of its invitations, open or over: what is over stays as it was."""
        if (one := self.there(device)) and book(one):
            key = next(iter(book(one)))
            was = book(one)[key]
            if self.done(one, message(key)):
                assert was is None
                assert book(one)[key] is not None
            else:
                assert book(one)[key] == was

    @rule(device=DEVICES)
    def list_missed(self, device: int) -> None:
        if one := self.there(device):
            assert isinstance(self.ask(one, ListMissedInvitations(id=10)), MissedInvitations)

    @rule(device=DEVICES, name=st.sampled_from(["", "A", "B"]))
    def rename(self, device: int, name: str) -> None:
        if one := self.there(device):
            assert self.done(one, SetUserName(id=11, user_name=name))

    # --- in a room

    @rule(device=DEVICES)
    def leave(self, device: int) -> None:
        if (one := self.there(device)) and one.stay is not None:
            assert self.done(one, Leave(id=12))
            one.stay.connection.advance(Trigger.LEAVE, NO_REASON)
            one.out(Trigger.TORN_DOWN)

    @rule(
        device=DEVICES,
        name=st.sampled_from(["main", "screen"]),
        audio=st.booleans(),
        video=st.booleans(),
        muted=st.booleans(),
    )
    def publish(self, device: int, name: Literal["main", "screen"], audio: bool, video: bool, muted: bool) -> None:
        if one := self.there(device):
            track = TrackInfo(muted=muted)
            stream = StreamInfo(name=name, audio=track if audio else None, video=track if video else None)
            self.ask(one, Publish(id=13, stream=stream))

    @rule(device=DEVICES, what=st.sampled_from(["mute", "unmute", "unpublish", "quality", "host", "audience"]))
    def acts(self, device: int, what: Literal["mute", "unmute", "unpublish", "quality", "host", "audience"]) -> None:
        one = self.there(device)
        if one is None:
            return
        if what in ("mute", "unmute"):
            self.ask(one, SetMute(id=14, kind="audio", muted=what == "mute"))
        elif what == "unpublish":
            self.ask(one, Unpublish(id=14))
        elif what == "quality":
            self.ask(one, ReportQuality(uplink=1, downlink=2))
        elif self.done(one, SetRole(id=14, role="host" if what == "host" else "audience")):
            one.role(what)

    @rule(
        device=DEVICES,
        user=st.sampled_from(USERS),
        action=st.sampled_from(["kick", "ban", "remove", "mute", "unmute"]),
        kind=st.sampled_from(["audio", "video", "screen"]),
        ban_s=st.sampled_from([None, 10.0, 100.0]),
    )
    def moderate(self, device: int, user: str, action: ModerationAction, kind: MediaKind, ban_s: float | None) -> None:
        if one := self.there(device):
            self.ask(one, Moderate(id=15, user_id=user, action=action, kind=kind, ban_s=ban_s))

    @rule(device=DEVICES)
    def disband_from_inside(self, device: int) -> None:
        if one := self.there(device):
            self.ask(one, Disband(id=16))

    # --- from the administrator

    @rule(room=st.sampled_from(ROOMS), user=st.sampled_from(USERS), how=st.sampled_from(["kick", "ban", "remove"]))
    def evict(self, room: str, user: str, how: Eviction) -> None:
        self.administer(lambda: self.rooms.evict(room, user, how, "", self.now_s, ban_s=20.0))

    @rule(room=st.sampled_from(ROOMS), user=st.sampled_from(USERS))
    def unban(self, room: str, user: str) -> None:
        self.administer(lambda: self.rooms.exclusions.unban(room, user))

    @rule(room=st.sampled_from(ROOMS), profile=st.sampled_from(["rtc", "live"]))
    def keep(self, room: str, profile: Profile) -> None:
        self.administer(lambda: self.rooms.keep_room(room, profile))

    @rule(room=st.sampled_from(ROOMS))
    @precondition(lambda self: self.rooms.rooms)
    def disband(self, room: str) -> None:
        self.administer(lambda: self.rooms.disband(room, ""))

    def administer(self, act: Callable[[], list[Output] | None]) -> None:
        try:
            outputs = act()
        except RtcError:
            assert not self.rooms.changes
            return
        self.take(outputs or [])
        self.expire()

    # --- what must hold

    @invariant()
    def every_client_knows_where_it_is(self) -> None:
        seated = {seat.connection: seat for seat in self.rooms.seats.values() if seat.connection is not None}
        assert {link for link, one in self.links.items() if one.logged_in} == set(seated)
        for link, one in self.links.items():
            if not one.logged_in:
                continue
            seat, stay = seated[link], one.stay
            assert (seat.user_id, seat.session) == (one.user, one.session)
            assert (seat.room.name if seat.room else None) == (stay.room if stay and not one.comes_back_to else None)
            if stay is not None and seat.room is not None:
                assert stay.connection.state == "CONNECTED"
                assert (stay.role, one.forced) == (seat.role, seat.forced_mutes)

    @invariant()
    def every_roster_is_the_hubs(self) -> None:
        for one in self.links.values():
            stay = one.stay
            if stay is None or stay.returning or not one.logged_in or one.comes_back_to:
                continue
            room = self.rooms.rooms[stay.room]
            seen = {
                user.user_id: (user.user_name, user.role, {name: s.info for name, s in user.streams.items()})
                for user in stay.roster.users.values()
            }
            true = {
                seat.user_id: (seat.user_name, seat.role, dict(seat.streams))
                for seat in room.seats.values()
                if seat.user_id != one.user and (room.profile == "rtc" or seat.role == "host")
            }
            assert msgspec.to_builtins(seen) == msgspec.to_builtins(true)
            assert {user: set(streams) for user, (_, _, streams) in true.items()} == stay.streams

    @invariant()
    def presence_is_true(self) -> None:
        presence: Any = self.rooms._features[0]
        for one in self.links.values():
            if one.logged_in:
                assert one.presence == {user: presence._state(user) for user in one.watched}

    @invariant()
    def what_is_forced_is_muted(self) -> None:
        for seat in self.rooms.seats.values():
            main, screen = (seat.streams.get(name, StreamInfo()) for name in ("main", "screen"))
            tracks: dict[MediaKind, tuple[TrackInfo | None, ...]] = {
                "audio": (main.audio,),
                "video": (main.video,),
                "screen": (screen.audio, screen.video),
            }
            for kind in seat.forced_mutes:
                assert all(track is None or track.muted for track in tracks[kind])

    @invariant()
    def an_invitation_ends_once(self) -> None:
        """The same way for both, and who has heard of no end has an open one."""
        invitations: Any = next(one for one in self.rooms._features if hasattr(one, "_open"))
        for one in self.devices:
            for book in (one.outgoing, one.incoming):
                for key, end in book.items():
                    if end is not None:
                        self.ends.setdefault(key, set()).add(f"{end.state} {end.failure}")
                    elif one.logged_in:
                        assert key in invitations._open
        assert all(len(ends) == 1 for ends in self.ends.values()), self.ends
        assert not set(self.ends) & set(invitations._open)

    def teardown(self) -> None:
        """Everybody goes; nothing is left of them."""
        if not hasattr(self, "rooms"):
            return
        for index in range(len(self.devices)):
            (self.logs_out if index % 2 else lambda device: self.loses_link(device, False, 0.0))(index)
            self.loses_link(index, False, 0.0)
        self.wait(200.0)
        self.take(self.rooms.expire(self.now_s))
        assert self.rooms.next_deadline_s() is None
        assert self.rooms.rooms.keys() == self.rooms.kept_rooms.keys()
        kept = {**self.rooms.rooms}
        self.rooms.rooms.clear()
        parts = (self.rooms, self.rooms._logins, self.rooms.exclusions, *self.rooms._features, *kept.values())
        for part in parts:
            for name, value in vars(part).items():
                if (
                    isinstance(value, (dict, set, list, Deadlines, Allowances))
                    and name not in KEPT
                    and name != "_deciders"
                ):
                    assert isinstance(value, Sized)
                    assert len(value) == 0, f"{type(part).__name__}.{name}: {value}"


WholeHub.TestCase.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestWholeHub = WholeHub.TestCase
