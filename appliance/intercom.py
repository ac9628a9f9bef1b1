"""A call of the unit, from the first ring to the end. Pure: what happened in, what to do (`Effect`) out.

    idle --call--> ringing-out --accepted--> in-call --hang up, or the other one does--> idle
      |                `--nobody answers, all refuse, cancel--> idle
      `--incoming--> ringing-in --answer--> in-call
                         `--refuse, the caller gives up, no answer--> idle

Back in idle, `end` says how the last call ended. docs/calls.md has the rules of two calls that meet. Times are
monotonic seconds, passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from appliance.room.call_content import ANSWERED, BUSY, DECLINED, DO_NOT_DISTURB, GLARE, NO_ANSWER, Call
from appliance.room.signaling_login import InvitationFailure

PARTNER_S = 20.0  # from the acceptance until both are in the room
ANYBODY = "*"  # in the allowlist of auto-answer


class CallPhase(StrEnum):
    IDLE = "idle"
    RINGING_IN = "ringing-in"
    RINGING_OUT = "ringing-out"
    IN_CALL = "in-call"


class CallEnd(StrEnum):
    """Why the last call ended."""

    HUNG_UP = "hung-up"  # by this unit
    PEER_HUNG_UP = "peer-hung-up"
    CANCELED = "canceled"  # by this unit, while it rang
    DECLINED = "declined"  # by a person, on either side
    BUSY = "busy"
    DO_NOT_DISTURB = "do-not-disturb"
    NO_ANSWER = "no-answer"
    UNREACHABLE = "unreachable"  # nobody of those who were called is online
    MISSED = "missed"
    ANSWERED_ELSEWHERE = "answered-elsewhere"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CallRules:
    """`auto_answer`: user ids whose calls are answered at once, or ANYBODY."""

    auto_answer: frozenset[str] = frozenset()
    do_not_disturb: bool = False
    ring_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Incoming:
    """A call of somebody else. `left_s`: how long it can be answered."""

    caller_id: str
    invitation_id: str
    caller_name: str
    content: Call
    left_s: float


@dataclass(frozen=True, slots=True)
class Send:
    invitation_id: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    invitation_id: str
    content: str = ""
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Accept:
    caller_id: str
    invitation_id: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """`missed`: no person refused it."""

    caller_id: str
    invitation_id: str
    response: str
    missed: bool = False


@dataclass(frozen=True, slots=True)
class TellEnd:
    """The call of this invitation is over, says a peer message."""

    user_id: str
    invitation_id: str
    reason: str = "hang-up"


@dataclass(frozen=True, slots=True)
class Enter:
    """Into the call's room; `token` may be empty."""

    room: str
    token: str


@dataclass(frozen=True, slots=True)
class Exit:
    """Out of the call's room, to where the unit was before."""


Effect = Send | Withdraw | Accept | Refuse | TellEnd | Enter | Exit

_REFUSED = {
    BUSY: CallEnd.BUSY,
    GLARE: CallEnd.BUSY,
    DO_NOT_DISTURB: CallEnd.DO_NOT_DISTURB,
    NO_ANSWER: CallEnd.NO_ANSWER,
}
_TOLD_FIRST = (  # of a group's: a person's no says more than an empty place
    CallEnd.DECLINED,
    CallEnd.BUSY,
    CallEnd.DO_NOT_DISTURB,
    CallEnd.NO_ANSWER,
    CallEnd.UNREACHABLE,
    CallEnd.FAILED,
)


class Intercom:
    """At most one call at a time."""

    def __init__(self, rules: CallRules) -> None:
        self.rules = rules
        self.phase = CallPhase.IDLE
        self.since_s = 0.0  # when the phase became what it is
        self.end: CallEnd | None = None  # of the last call
        self.peer_id = ""  # who calls, or who is spoken to; of the last call when idle
        self.peer_name = ""
        self.room = ""
        self.calling: dict[str, str] = {}  # ringing-out: callee by invitation id
        self.was_automatic = False  # answered by the allowlist
        self._invitation_id = ""  # in-call and ringing-in: the call's
        self._token = ""
        self._outcomes: set[CallEnd] = set()
        self._entered = False
        self._met = False
        self._deadline_s: float | None = None

    # --- what a person wishes

    def call(self, room: str, invitations: Mapping[str, str], now_s: float) -> list[Effect]:
        """Ring everybody of `invitations` (user ids by invitation id). Nothing unless idle."""
        if self.phase is not CallPhase.IDLE or not invitations:
            return []
        self._begin(CallPhase.RINGING_OUT, now_s, now_s + self.rules.ring_s)
        self.room, self.calling, self._outcomes = room, dict(invitations), set()
        self.peer_id, self.peer_name = (next(iter(invitations.values())) if len(invitations) == 1 else ""), ""
        return [Send(invitation_id) for invitation_id in invitations]

    def answer(self, now_s: float) -> list[Effect]:
        """Nothing unless somebody rings."""
        return self._answer(now_s) if self.phase is CallPhase.RINGING_IN else []

    def hang_up(self, now_s: float) -> list[Effect]:
        """Cancel, refuse or hang up, whatever the phase asks for."""
        match self.phase:
            case CallPhase.RINGING_OUT:
                return [*self._withdraw(), *self._finish(CallEnd.CANCELED, now_s)]
            case CallPhase.RINGING_IN:
                refuse = Refuse(self.peer_id, self._invitation_id, DECLINED)
                return [refuse, *self._finish(CallEnd.DECLINED, now_s)]
            case CallPhase.IN_CALL:
                return [*self._tell_end(), *self._finish(CallEnd.HUNG_UP, now_s)]
        return []

    # --- what the hub says of calls to this unit

    def incoming(self, call: Incoming, own_id: str, now_s: float) -> list[Effect]:
        if self.phase is CallPhase.RINGING_OUT and call.caller_id in self.calling.values():
            if own_id < call.caller_id:
                return [Refuse(call.caller_id, call.invitation_id, GLARE)]
            withdrawn = self._withdraw(ANSWERED, answered=True)
            self._ring(call, now_s)
            return [*withdrawn, *self._answer(now_s)]
        over: list[Effect] = []
        if self.phase is CallPhase.IN_CALL and call.caller_id == self.peer_id:  # it is no longer in the call we are in
            over = self._finish(CallEnd.PEER_HUNG_UP, now_s)
        if self.rules.do_not_disturb or self.phase is not CallPhase.IDLE:
            why = BUSY if self.phase is not CallPhase.IDLE else DO_NOT_DISTURB
            return [*over, Refuse(call.caller_id, call.invitation_id, why, missed=True)]
        self._ring(call, now_s)
        if self.rules.auto_answer & {call.caller_id, ANYBODY}:
            self.was_automatic = True
            return [*over, *self._answer(now_s)]
        return over

    def accepted_here(self, caller_id: str, invitation_id: str) -> list[Effect]:
        """The hub took this unit's answer."""
        if self._is_current(caller_id, invitation_id) and self.phase is CallPhase.IN_CALL and not self._entered:
            return self._enter()
        return []

    def incoming_ended(self, caller_id: str, invitation_id: str, now_s: float, *, content: str = "") -> list[Effect]:
        """It was canceled, or it failed: also when this unit had answered too late."""
        if self.phase not in (CallPhase.RINGING_IN, CallPhase.IN_CALL) or self._entered:
            return []
        if not self._is_current(caller_id, invitation_id):
            return []
        if content == ANSWERED:
            return self._finish(CallEnd.ANSWERED_ELSEWHERE, now_s)
        return self._finish(CallEnd.MISSED if self.phase is CallPhase.RINGING_IN else CallEnd.FAILED, now_s)

    # --- what the hub says of calls of this unit

    def accepted(self, callee_id: str, invitation_id: str, now_s: float) -> list[Effect]:
        if self.phase is not CallPhase.RINGING_OUT or invitation_id not in self.calling:
            is_taken = self.phase is CallPhase.IN_CALL
            return [TellEnd(callee_id, invitation_id, ANSWERED if is_taken else "hang-up")]
        del self.calling[invitation_id]
        others = self._withdraw(ANSWERED, answered=True)
        self._begin(CallPhase.IN_CALL, now_s, now_s + PARTNER_S)
        self.peer_id, self._invitation_id, self._token = callee_id, invitation_id, ""
        return [*others, *self._enter()]

    def refused(self, invitation_id: str, response: str, now_s: float) -> list[Effect]:
        return self._lost(invitation_id, _REFUSED.get(response, CallEnd.DECLINED), now_s)

    def failed(self, invitation_id: str, why: InvitationFailure, now_s: float) -> list[Effect]:
        """`why` is empty when it could not be sent."""
        ends: dict[str, CallEnd] = {"expired": CallEnd.NO_ANSWER, "": CallEnd.FAILED}
        return self._lost(invitation_id, ends.get(why, CallEnd.UNREACHABLE), now_s)

    # --- what happens in the room

    def met(self, user_id: str) -> None:
        """This user is in the call's room with us."""
        if self._entered and user_id == self.peer_id:
            self._met, self._deadline_s = True, None

    def parted(self, user_id: str, now_s: float) -> list[Effect]:
        """This user has left the room."""
        if self._met and user_id == self.peer_id:
            return self._finish(CallEnd.PEER_HUNG_UP, now_s)
        return []

    def told_end(self, user_id: str, invitation_id: str, reason: str, now_s: float) -> list[Effect]:
        """The other one says that the call is over."""
        if self.phase is not CallPhase.IN_CALL or not self._is_current(user_id, invitation_id):
            return []
        return self._finish(CallEnd.ANSWERED_ELSEWHERE if reason == ANSWERED else CallEnd.PEER_HUNG_UP, now_s)

    def room_ended(self, now_s: float) -> list[Effect]:
        """The unit is out of the call's room, and not by this machine."""
        if not self._entered:
            return []
        return [*self._tell_end(), *self._finish(CallEnd.FAILED, now_s)]

    # --- the clock

    def next_deadline_s(self) -> float | None:
        return self._deadline_s

    def expire(self, now_s: float) -> list[Effect]:
        if self._deadline_s is None or now_s < self._deadline_s:
            return []
        match self.phase:
            case CallPhase.RINGING_OUT:
                return [*self._withdraw(), *self._finish(CallEnd.NO_ANSWER, now_s)]
            case CallPhase.RINGING_IN:
                refuse = Refuse(self.peer_id, self._invitation_id, NO_ANSWER, missed=True)
                return [refuse, *self._finish(CallEnd.MISSED, now_s)]
        return [*self._tell_end(), *self._finish(CallEnd.FAILED, now_s)]

    # --- inside

    def _is_current(self, user_id: str, invitation_id: str) -> bool:
        return (user_id, invitation_id) == (self.peer_id, self._invitation_id)

    def _ring(self, call: Incoming, now_s: float) -> None:
        self._begin(CallPhase.RINGING_IN, now_s, now_s + min(call.left_s, self.rules.ring_s))
        self.peer_id, self.peer_name, self._invitation_id = call.caller_id, call.caller_name, call.invitation_id
        self.room, self._token = call.content.room, call.content.token

    def _answer(self, now_s: float) -> list[Effect]:
        automatic = self.was_automatic
        self._begin(CallPhase.IN_CALL, now_s, now_s + PARTNER_S)
        self.was_automatic = automatic
        return [Accept(self.peer_id, self._invitation_id)]

    def _enter(self) -> list[Effect]:
        self._entered = True
        return [Enter(self.room, self._token)]

    def _lost(self, invitation_id: str, how: CallEnd, now_s: float) -> list[Effect]:
        """One of those who were called does not come."""
        if self.calling.pop(invitation_id, None) is None:
            return []
        self._outcomes.add(how)
        if self.calling:
            return []
        return self._finish(next(end for end in _TOLD_FIRST if end in self._outcomes), now_s)

    def _withdraw(self, content: str = "", *, answered: bool = False) -> list[Effect]:
        invitations, self.calling = self.calling, {}
        return [Withdraw(invitation_id, content, answered) for invitation_id in invitations]

    def _tell_end(self) -> list[Effect]:
        return [TellEnd(self.peer_id, self._invitation_id)]

    def _finish(self, end: CallEnd, now_s: float) -> list[Effect]:
        entered = self._entered
        self._begin(CallPhase.IDLE, now_s, None)
        self.end, self._invitation_id, self._token = end, "", ""
        return [Exit()] if entered else []

    def _begin(self, phase: CallPhase, now_s: float, deadline_s: float | None) -> None:
        self.phase, self.since_s, self._deadline_s = phase, now_s, deadline_s
        self._entered = self._met = self.was_automatic = False
        if phase is not CallPhase.IDLE:
            self.end = None
