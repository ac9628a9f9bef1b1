"""The pure invitations of the hub: each way through them, and random lives of several users."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from appliance.errors import InvalidArgumentError, InvitationEndedError, RateLimitError, RtcError
from appliance.hub.invitations import ACK_S, ANSWER_S, MAX_OPEN, Invitations
from appliance.hub.seat import Output, Seat, Send
from appliance.room.signaling_login import (
    AnswerInvitation,
    CancelInvitation,
    InvitationAck,
    InvitationChanged,
    InvitationReceived,
    Ok,
    SendInvitation,
)


class Few:
    def __init__(self, *users: str) -> None:
        self.seats: dict[str, Seat] = {}
        self.invitations = Invitations(self.seats, self.miss)
        self.missed: list[tuple[str, str]] = []
        self.now_s = 0.0
        self.last = 0
        for user in users:
            self.arrive(user)

    def miss(self, callee: str, caller: str, caller_name: str, content: str) -> None:
        self.missed.append((callee, caller))

    def arrive(self, user: str) -> list[Output]:
        self.last += 1
        self.seats[user] = Seat(user, user.title(), f"session {self.last}", None, "host", self.last)
        return self.invitations.seated(self.seats[user], self.now_s, resumed=False)

    def say(self, user: str, message: Any) -> list[Any]:
        return self.heard(self.invitations.receive(self.seats[user], message, self.now_s))

    def heard(self, outputs: list[Output]) -> list[Any]:
        """(who, what) of everything that was sent."""
        owners = {seat.connection: user for user, seat in self.seats.items()}
        return [(owners[output.connection], output.message) for output in outputs if isinstance(output, Send)]

    def invite(self, caller: str = "a", callee: str = "b", invitation: str = "i", content: str = "") -> list[Any]:
        return self.say(caller, SendInvitation(id=1, invitation=invitation, to=callee, content=content))

    def ack(self) -> list[Any]:
        return self.say("b", InvitationAck(invitation="i", sender="a"))

    def answer(self, *, accept: bool, response: str = "") -> list[Any]:
        return self.say("b", AnswerInvitation(id=2, invitation="i", sender="a", accept=accept, response=response))

    def wait(self, seconds: float) -> list[Any]:
        self.now_s += seconds
        return self.heard(self.invitations.expire(self.now_s))


def refuse(few: Few, *, missed: bool) -> None:
    few.say("b", AnswerInvitation(id=2, invitation="i", sender="a", accept=False, response="busy", missed=missed))


@pytest.mark.parametrize("missed", [True, False])
def test_a_refusal_by_no_person_is_a_missed_call(missed: bool) -> None:
    few = Few("a", "b")
    few.invite()
    few.ack()
    refuse(few, missed=missed)
    assert few.missed == ([("b", "a")] if missed else [])


def changed(peer: str, state: Any, *, outgoing: bool, content: str = "", failure: Any = "") -> InvitationChanged:
    return InvitationChanged(
        invitation="i", peer=peer, state=state, outgoing=outgoing, content=content, failure=failure
    )


@pytest.mark.parametrize(("accept", "state"), [(True, "accepted"), (False, "refused")])
def test_from_the_invitation_to_the_answer(accept: bool, state: str) -> None:
    few = Few("a", "b")
    received = InvitationReceived(invitation="i", sender="a", sender_name="A", content="door", left_s=ANSWER_S)
    assert few.invite(content="door") == [("a", Ok(id=1)), ("b", received)]
    assert few.ack() == [("a", changed("b", "received", outgoing=True))]
    assert few.ack() == [], "told once"
    assert few.answer(accept=accept, response="hm") == [
        ("b", Ok(id=2)),
        ("a", changed("b", state, outgoing=True, content="hm")),
        ("b", changed("a", state, outgoing=False, content="hm")),
    ]
    with pytest.raises(InvitationEndedError, match=state):
        few.answer(accept=accept)
    with pytest.raises(InvitationEndedError, match=state):
        few.say("a", CancelInvitation(id=3, invitation="i"))
    assert few.invitations.next_deadline_s() is None


@pytest.mark.parametrize(
    ("acknowledged", "after_s", "failure"), [(False, ACK_S, "peer-no-response"), (True, ANSWER_S, "expired")]
)
@pytest.mark.row("U79")
def test_the_timers(acknowledged: bool, after_s: float, failure: str) -> None:
    few = Few("a", "b")
    few.invite()
    if acknowledged:
        few.ack()
    assert few.wait(after_s - 0.1) == []
    assert few.wait(0.1) == [
        ("a", changed("b", "failed", outgoing=True, failure=failure)),
        ("b", changed("a", "failed", outgoing=False, failure=failure)),
    ]


def test_cancel_reaches_both_and_carries_its_reason() -> None:
    few = Few("a", "b")
    few.invite()
    assert few.say("a", CancelInvitation(id=3, invitation="i", content="answered elsewhere")) == [
        ("a", Ok(id=3)),
        ("a", changed("b", "canceled", outgoing=True, content="answered elsewhere")),
        ("b", changed("a", "canceled", outgoing=False, content="answered elsewhere")),
    ]


def test_nobody_of_that_name_is_said_at_once() -> None:
    few = Few("a")
    assert few.invite() == [("a", Ok(id=1)), ("a", changed("b", "failed", outgoing=True, failure="peer-offline"))]


@pytest.mark.parametrize("leaver", ["a", "b"])
def test_who_goes_ends_it_for_the_other(leaver: str) -> None:
    few = Few("a", "b")
    few.invite()
    outputs = few.invitations.unseated(few.seats[leaver], few.now_s)
    stayer = "b" if leaver == "a" else "a"
    assert few.heard(outputs) == [(stayer, changed(leaver, "failed", outgoing=stayer == "a", failure="peer-offline"))]


def test_a_callee_whose_link_is_lost_is_asked_when_it_is_back() -> None:
    few = Few("a", "b")
    few.seats["b"].connection = None
    assert few.invite(content="door") == [("a", Ok(id=1))]
    few.now_s = 12.0
    few.seats["b"].connection = 9
    ((who, message),) = few.heard(few.invitations.seated(few.seats["b"], few.now_s, resumed=True))
    assert (who, message.content, message.left_s) == ("b", "door", ANSWER_S - 12)


def test_a_final_state_waits_for_a_lost_link() -> None:
    few = Few("a", "b")
    few.invite()
    few.seats["a"].connection = None
    few.answer(accept=True)
    assert few.seats["a"].missed == [changed("b", "accepted", outgoing=True)]


def test_what_is_refused_changes_nothing() -> None:
    few = Few("a", "b", "c")
    with pytest.raises(InvalidArgumentError, match="8193"):
        few.invite(content="x" * 8193)
    with pytest.raises(InvalidArgumentError, match="another user"):
        few.invite(callee="a")
    few.invite()
    with pytest.raises(InvalidArgumentError, match="already"):
        few.invite()
    with pytest.raises(InvalidArgumentError, match="not for you"):
        few.say("c", AnswerInvitation(id=2, invitation="i", sender="a", accept=True))
    with pytest.raises(InvitationEndedError, match="no such"):
        few.say("a", CancelInvitation(id=2, invitation="never"))
    with pytest.raises(InvalidArgumentError, match="8193"):
        few.answer(accept=True, response="x" * 8193)
    assert len(few.answer(accept=True)) == 3


def test_open_invitations_are_bounded() -> None:
    few = Few("a", "b", "c")
    for number in range(MAX_OPEN):
        few.invite(invitation=f"i{number}")
    few.now_s += 1
    with pytest.raises(RateLimitError, match="open already"):
        few.invite(invitation="one more")
    with pytest.raises(RateLimitError, match="wait for 'b'"):
        few.invite(caller="c")


USERS = ["a", "b", "c"]
user = st.sampled_from(USERS)


class Lives(RuleBasedStateMachine):
    """Every invitation ends once, the same for both sides that are still there."""

    def __init__(self) -> None:
        super().__init__()
        self.few = Few(*USERS)
        self.sent = 0
        self.finals: dict[tuple[str, str, bool], list[str]] = {}  # by caller, id and side
        self.between: dict[tuple[str, str], str] = {}  # callee of each invitation

    def take(self, outputs: list[Output]) -> None:
        for who, message in self.few.heard(outputs):
            if isinstance(message, InvitationChanged) and message.state != "received":
                self.note(who, message)

    def note(self, who: str, message: InvitationChanged) -> None:
        caller = who if message.outgoing else message.peer
        self.finals.setdefault((caller, message.invitation, message.outgoing), []).append(message.state)

    def attempt(self, who: str, message: Any) -> None:
        if self.few.seats[who].connection is None:
            return
        with suppress(RtcError):
            self.take(self.few.invitations.receive(self.few.seats[who], message, self.few.now_s))

    @rule(caller=user, callee=user)
    def invite(self, caller: str, callee: str) -> None:
        self.sent += 1
        self.few.now_s += 0.5
        self.between[caller, f"i{self.sent}"] = callee
        self.attempt(caller, SendInvitation(id=1, invitation=f"i{self.sent}", to=callee))

    @rule(who=user, data=st.data(), accept=st.sampled_from([None, True, False]))
    def callee_speaks(self, who: str, data: st.DataObject, accept: bool | None) -> None:
        if not self.between:
            return
        caller, invitation = data.draw(st.sampled_from(sorted(self.between)))
        if accept is None:
            self.attempt(who, InvitationAck(invitation=invitation, sender=caller))
        else:
            self.attempt(who, AnswerInvitation(id=2, invitation=invitation, sender=caller, accept=accept))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.between:
            caller, invitation = data.draw(st.sampled_from(sorted(self.between)))
            self.attempt(caller, CancelInvitation(id=3, invitation=invitation))

    @rule(who=user)
    def lose(self, who: str) -> None:
        self.few.seats[who].connection = None

    @rule(who=user)
    def resume(self, who: str) -> None:
        seat = self.few.seats[who]
        if seat.connection is None:
            self.few.last += 1
            seat.connection = self.few.last
            missed, seat.missed = seat.missed, []
            for message in missed:
                if isinstance(message, InvitationChanged) and message.state != "received":
                    self.note(who, message)
            self.take(self.few.invitations.seated(seat, self.few.now_s, resumed=True))

    @rule(who=user)
    def come_anew(self, who: str) -> None:
        self.take(self.few.invitations.unseated(self.few.seats[who], self.few.now_s))
        self.take(self.few.arrive(who))

    @rule(seconds=st.sampled_from([1.0, 29.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.few.now_s += seconds
        self.take(self.few.invitations.expire(self.few.now_s))
        deadline_s = self.few.invitations.next_deadline_s()
        assert deadline_s is None or deadline_s > self.few.now_s

    @invariant()
    def each_side_hears_one_end(self) -> None:
        for (caller, invitation, _), states in self.finals.items():
            assert len(states) == 1
            sides = {tuple(self.finals.get((caller, invitation, side), states)) for side in (True, False)}
            assert len(sides) == 1, "both sides hear the same"
            assert (caller, invitation) not in self.few.invitations._open


TestLives = Lives.TestCase
