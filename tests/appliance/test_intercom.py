"""The machine of a call: alone, and several of them over the real hub's invitations in every order of events."""

from __future__ import annotations

from collections import deque
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from appliance.hub.invitations import Invitations
from appliance.hub.seat import Output, Seat, Send
from appliance.intercom import (
    ANYBODY,
    PARTNER_S,
    Accept,
    CallEnd,
    CallPhase,
    CallRules,
    Effect,
    Enter,
    Exit,
    Incoming,
    Intercom,
    Refuse,
    TellEnd,
    Withdraw,
)
from appliance.intercom import Send as SendCall
from appliance.room.call_content import (
    ANSWERED,
    BUSY,
    DECLINED,
    DO_NOT_DISTURB,
    GLARE,
    NO_ANSWER,
    Call,
    CallEnded,
    decode_call,
    decode_call_ended,
    encode,
    without_token,
)
from appliance.room.signaling_login import (
    AnswerInvitation,
    CancelInvitation,
    InvitationAck,
    InvitationChanged,
    InvitationReceived,
    Ok,
    SendInvitation,
)

P = CallPhase


def incoming(caller: str = "anna", invitation: str = "i", *, left_s: float = 60.0) -> Incoming:
    return Incoming(caller, invitation, caller.title(), Call(room="lobby", token="t"), left_s)


def test_a_call_from_the_caller_s_side() -> None:
    machine = Intercom(CallRules(ring_s=30))
    assert machine.call("lobby", {"1": "bert", "2": "carl"}, 0) == [SendCall("1"), SendCall("2")]
    assert machine.phase is P.RINGING_OUT
    assert machine.next_deadline_s() == 30
    assert machine.call("lobby", {"3": "dora"}, 1) == []
    assert machine.accepted("carl", "2", 5) == [Withdraw("1", ANSWERED, answered=True), Enter("lobby", "")]
    assert (machine.phase, machine.peer_id, machine.since_s) == (P.IN_CALL, "carl", 5)
    assert machine.next_deadline_s() == 5 + PARTNER_S
    machine.met("carl")
    assert machine.next_deadline_s() is None
    assert machine.hang_up(60) == [TellEnd("carl", "2"), Exit()]
    assert (machine.phase, machine.end) == (P.IDLE, CallEnd.HUNG_UP)


def test_a_call_from_the_callee_s_side() -> None:
    machine = Intercom(CallRules())
    assert machine.incoming(incoming(), "me", 0) == []
    assert (machine.phase, machine.peer_id, machine.peer_name) == (P.RINGING_IN, "anna", "Anna")
    assert machine.answer(1) == [Accept("anna", "i")]
    assert machine.accepted_here("anna", "i") == [Enter("lobby", "t")]  # not before the hub has said so
    assert machine.accepted_here("anna", "i") == []
    machine.met("anna")
    assert machine.parted("anna", 9) == [Exit()]
    assert machine.end is CallEnd.PEER_HUNG_UP


def test_nobody_comes() -> None:
    machine = Intercom(CallRules(ring_s=10))
    machine.call("lobby", {"1": "bert", "2": "carl"}, 0)
    assert machine.expire(9.9) == []
    assert machine.expire(10) == [Withdraw("1"), Withdraw("2")]
    assert machine.end is CallEnd.NO_ANSWER
    machine.incoming(incoming(left_s=4), "me", 20)
    assert machine.expire(24) == [Refuse("anna", "i", NO_ANSWER, missed=True)]
    assert (machine.phase, machine.end) == (P.IDLE, CallEnd.MISSED)
    machine.incoming(incoming(), "me", 30)
    machine.answer(31)
    machine.accepted_here("anna", "i")
    assert machine.expire(31 + PARTNER_S) == [TellEnd("anna", "i"), Exit()]  # accepted, and never seen in the room
    assert (machine.phase, machine.end) == (P.IDLE, CallEnd.FAILED)


@pytest.mark.parametrize(
    ("responses", "end"),
    [
        ([BUSY], CallEnd.BUSY),
        ([DO_NOT_DISTURB, BUSY], CallEnd.BUSY),
        ([DECLINED, BUSY], CallEnd.DECLINED),
        (["something else"], CallEnd.DECLINED),
    ],
)
def test_everybody_refuses(responses: list[str], end: CallEnd) -> None:
    machine = Intercom(CallRules())
    machine.call("lobby", {str(index): f"user-{index}" for index in range(len(responses))}, 0)
    for index, response in enumerate(responses):
        assert machine.phase is P.RINGING_OUT
        assert machine.refused(str(index), response, 1) == []
    assert (machine.phase, machine.end) == (P.IDLE, end)


def test_a_call_that_cannot_be_placed() -> None:
    machine = Intercom(CallRules())
    machine.call("lobby", {"1": "bert"}, 0)
    machine.failed("1", "peer-offline", 1)
    assert machine.end is CallEnd.UNREACHABLE


def test_busy_do_not_disturb_and_auto_answer() -> None:
    machine = Intercom(CallRules(do_not_disturb=True, auto_answer=frozenset({ANYBODY})))
    assert machine.incoming(incoming(), "me", 0) == [Refuse("anna", "i", DO_NOT_DISTURB, missed=True)]
    machine.rules = CallRules(auto_answer=frozenset({"anna"}))
    assert machine.incoming(incoming("bert", "j"), "me", 0) == []
    assert machine.phase is P.RINGING_IN
    assert machine.incoming(incoming(), "me", 0) == [Refuse("anna", "i", BUSY, missed=True)]
    assert machine.hang_up(1) == [Refuse("bert", "j", DECLINED)]
    assert machine.incoming(incoming(), "me", 2) == [Accept("anna", "i")]
    assert machine.was_automatic
    assert (machine.phase, machine.peer_id) == (P.IN_CALL, "anna")


def test_both_call_each_other() -> None:
    small, large = Intercom(CallRules()), Intercom(CallRules())
    small.call("s", {"1": "b"}, 0)
    large.call("l", {"2": "a", "3": "c"}, 0)
    assert small.incoming(incoming("b", "2"), "a", 1) == [Refuse("b", "2", GLARE)]
    assert small.phase is P.RINGING_OUT
    assert large.incoming(incoming("a", "1"), "b", 1) == [
        Withdraw("2", ANSWERED, answered=True),
        Withdraw("3", ANSWERED, answered=True),
        Accept("a", "1"),
    ]
    assert large.refused("2", GLARE, 2) == []
    assert large.phase is P.IN_CALL


def test_the_second_who_answers_is_told() -> None:
    machine = Intercom(CallRules())
    machine.call("lobby", {"1": "bert", "2": "carl"}, 0)
    machine.accepted("bert", "1", 1)
    assert machine.accepted("carl", "2", 1) == [TellEnd("carl", "2", ANSWERED)]
    assert machine.peer_id == "bert"
    machine.hang_up(2)
    assert machine.accepted("dora", "9", 3) == [TellEnd("dora", "9", "hang-up")]


def test_told_that_another_one_took_the_call() -> None:
    machine = Intercom(CallRules())
    machine.incoming(incoming(), "me", 0)
    assert machine.incoming_ended("anna", "other", 1, content=ANSWERED) == []
    assert machine.incoming_ended("anna", "i", 1, content=ANSWERED) == []
    assert machine.end is CallEnd.ANSWERED_ELSEWHERE
    machine.incoming(incoming(), "me", 2)
    machine.answer(3)
    machine.accepted_here("anna", "i")
    assert machine.told_end("bert", "i", "hang-up", 4) == []  # not who is spoken to
    assert machine.told_end("anna", "i", ANSWERED, 4) == [Exit()]
    assert machine.end is CallEnd.ANSWERED_ELSEWHERE


def test_the_content_on_the_wire() -> None:
    call = Call(room="lobby", token="secret")
    assert decode_call(encode(call)) == call
    assert "secret" not in without_token(encode(call))
    assert decode_call(without_token(encode(call))) == Call(room="lobby")
    for text in (
        "",
        "{}",
        "lobby",
        '{"kind":"call","room":"a b"}',
        '{"kind":"other","room":"a"}',
        "[" * 9999,
        "\ud800",
    ):
        assert decode_call(text) is None
        assert decode_call_ended(text) is None
        assert without_token(text) == text
    ended = CallEnded(invitation="i", reason=ANSWERED)
    assert decode_call_ended(encode(ended)) == ended


class House(RuleBasedStateMachine):
    """Three users over the hub's own invitations; every link is a queue that moves when the search wants it to."""

    USERS = ("a", "b", "c")

    @initialize(auto=st.sampled_from([(), ("a",), ("b", "c")]), dnd=st.sampled_from([None, "b"]))
    def begin(self, auto: tuple[str, ...], dnd: str | None) -> None:
        self.now_s, self.next_id = 0.0, 0
        self.seats = {
            user: Seat(user, user, f"s-{user}", None, "host", connection) for connection, user in enumerate(self.USERS)
        }
        self.missed: list[tuple[str, str]] = []
        self.hub = Invitations(self.seats, lambda to, sender, *_rest: self.missed.append((to, sender)))
        self.units = {
            user: Intercom(CallRules(frozenset(self.USERS) if user in auto else frozenset(), user == dnd, 20.0))
            for user in self.USERS
        }
        self.up: dict[str, deque[Any]] = {user: deque() for user in self.USERS}  # to the hub
        self.down: dict[str, deque[Any]] = {user: deque() for user in self.USERS}  # from it
        self.rooms: dict[str, set[str]] = {user: set() for user in self.USERS}  # who is in the room of whom's call
        self.inside: dict[str, str | None] = dict.fromkeys(self.USERS)

    @rule(user=st.sampled_from(USERS), data=st.data())
    def call(self, user: str, data: st.DataObject) -> None:
        others = [other for other in self.USERS if other != user]
        callees = data.draw(st.lists(st.sampled_from(others), min_size=1, max_size=2, unique=True))
        ids = {f"{user}{self.next_id + index}": callee for index, callee in enumerate(callees)}
        self.next_id += len(ids)
        self.callees = getattr(self, "callees", {}) | ids
        self.perform(user, self.units[user].call(f"of-{user}", ids, self.now_s))

    @rule(user=st.sampled_from(USERS))
    def answer(self, user: str) -> None:
        self.perform(user, self.units[user].answer(self.now_s))

    @rule(user=st.sampled_from(USERS))
    def hang_up(self, user: str) -> None:
        self.perform(user, self.units[user].hang_up(self.now_s))

    @rule(user=st.sampled_from(USERS))
    def link_up(self, user: str) -> None:
        if self.up[user]:
            message = self.up[user].popleft()
            if isinstance(message, TellEnd):
                self.down[message.user_id].append((user, message))
                return
            try:
                self.spread(self.hub.receive(self.seats[user], message, self.now_s))
            except Exception as exc:
                if type(exc).__name__ not in ("InvitationEndedError", "RateLimitError"):
                    raise
                if isinstance(message, AnswerInvitation) and message.accept:
                    unit = self.units[user]
                    self.perform(user, unit.incoming_ended(message.sender, message.invitation, self.now_s))
                elif isinstance(message, SendInvitation):
                    self.perform(user, self.units[user].failed(message.invitation, "", self.now_s))

    @rule(user=st.sampled_from(USERS))
    def link_down(self, user: str) -> None:
        if not self.down[user]:
            return
        unit, message = self.units[user], self.down[user].popleft()
        match message:
            case InvitationReceived():
                self.up[user].append(InvitationAck(invitation=message.invitation, sender=message.sender))
                content = decode_call(message.content)
                assert content is not None
                call = Incoming(message.sender, message.invitation, "", content, message.left_s)
                self.perform(user, unit.incoming(call, user, self.now_s))
            case InvitationChanged(outgoing=True, state="accepted"):
                self.perform(user, unit.accepted(message.peer, message.invitation, self.now_s))
            case InvitationChanged(outgoing=True, state="refused"):
                self.perform(user, unit.refused(message.invitation, message.content, self.now_s))
            case InvitationChanged(outgoing=True, state="failed"):
                self.perform(user, unit.failed(message.invitation, message.failure, self.now_s))
            case InvitationChanged(outgoing=False, state="accepted"):
                self.perform(user, unit.accepted_here(message.peer, message.invitation))
            case InvitationChanged(outgoing=False, state="canceled" | "failed"):
                ended = unit.incoming_ended(message.peer, message.invitation, self.now_s, content=message.content)
                self.perform(user, ended)
            case (sender, TellEnd() as told):
                self.perform(user, unit.told_end(sender, told.invitation_id, told.reason, self.now_s))
            case ("met", other):
                unit.met(other)
            case ("parted", other):
                self.perform(user, unit.parted(other, self.now_s))

    @rule(by_s=st.sampled_from([1.0, 10.0, 30.0]))
    def wait(self, by_s: float) -> None:
        self.now_s += by_s
        self.spread(self.hub.expire(self.now_s))
        for user, unit in self.units.items():
            self.perform(user, unit.expire(self.now_s))

    def perform(self, user: str, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendCall(invitation_id):
                    content = encode(Call(room=self.units[user].room))
                    callee = self.callees[invitation_id]
                    self.up[user].append(SendInvitation(id=1, invitation=invitation_id, to=callee, content=content))
                case Withdraw(invitation_id, content, answered):
                    cancel = CancelInvitation(id=1, invitation=invitation_id, content=content, answered=answered)
                    self.up[user].append(cancel)
                case Accept(caller, invitation_id):
                    self.up[user].append(AnswerInvitation(id=1, invitation=invitation_id, sender=caller, accept=True))
                case Refuse(caller, invitation_id, response, missed):
                    refusal = AnswerInvitation(
                        id=1, invitation=invitation_id, sender=caller, accept=False, response=response, missed=missed
                    )
                    self.up[user].append(refusal)
                case TellEnd():
                    self.up[user].append(effect)
                case Enter(room, _):
                    assert self.inside[user] is None, "into a second room"
                    self.inside[user] = room
                    for other in self.USERS:
                        if other != user and self.inside[other] == room:
                            self.down[other].append(("met", user))
                            self.down[user].append(("met", other))
                case Exit():
                    room_left, self.inside[user] = self.inside[user], None
                    assert room_left is not None, "out of no room"
                    for other in self.USERS:
                        if other != user and self.inside[other] == room_left:
                            self.down[other].append(("parted", user))

    def spread(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send) and not isinstance(output.message, Ok):
                self.down[self.USERS[output.connection]].append(output.message)

    @invariant()
    def nobody_is_in_a_room_without_a_call(self) -> None:
        for user, unit in getattr(self, "units", {}).items():
            assert self.inside[user] is None or unit.phase is P.IN_CALL
            assert bool(unit.calling) == (unit.phase is P.RINGING_OUT)
            assert (unit.next_deadline_s() is None) == (unit.phase is P.IDLE or unit._met)

    def teardown(self) -> None:
        """Once everything has arrived, whoever is in a call is in it with the other, and later everybody is idle."""
        if not hasattr(self, "units"):
            return
        for _ in range(4):
            self.settle()
            self.wait(30.0)
        self.settle()
        for user, unit in self.units.items():
            assert unit.phase in (P.IDLE, P.IN_CALL)
            if unit.phase is P.IN_CALL:
                other = self.units[unit.peer_id]
                assert (other.phase, other.peer_id) == (P.IN_CALL, user)
                assert self.inside[user] == self.inside[unit.peer_id] is not None

    @rule()
    def settle(self) -> None:
        while any(self.up.values()) or any(self.down.values()):
            for user in self.USERS:
                self.link_up(user)
                self.link_down(user)


TestHouse = House.TestCase
