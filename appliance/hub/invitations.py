"""Invitations: from one user to another, until one of them, or a timer, ends it (U78 to U80, X39, D68). Pure.

    sent --ack of the callee's client--> received --accept--> accepted
      |                                     |------refuse--> refused
      |                                     |------60 s----> failed: expired
      |--30 s without the ack--> failed: peer-no-response
      |--cancel, at any time--> canceled
      `--the other one is gone from the hub--> failed: peer-offline

Choices of this hub:
- Who is not logged in cannot be invited: that fails at once, for somebody waits at the door. One whose link is lost
  can, and is asked when it is back.
- Both sides hear every final state, also after a lost link; whoever answers or cancels too late hears what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.errors import InvalidArgumentError, InvitationEndedError, RateLimitError
from appliance.hub.allowances import Allowances
from appliance.hub.deadlines import Deadlines
from appliance.hub.feature import Feature
from appliance.hub.seat import Output, Seat
from appliance.room.signaling_login import (
    MAX_INVITATION_BYTES,
    AnswerInvitation,
    CancelInvitation,
    InvitationAck,
    InvitationChanged,
    InvitationFailure,
    InvitationReceived,
    InvitationState,
    Ok,
    SendInvitation,
    check_size,
)

ACK_S = 30.0  # X39: until the callee's client has it
ANSWER_S = 60.0  # X39: until it is answered
MAX_OPEN = 32  # of one caller, and for one callee
MAX_REMEMBERED = 1024  # final states, for who comes too late
CALLS_PER_S, CALL_BURST = 5.0, MAX_OPEN

_Key = tuple[str, str]  # the caller's user id, the caller's id of the invitation


@dataclass(slots=True)
class _Open:
    caller: Seat
    callee: Seat
    content: str
    sent_s: float
    received: bool = False

    def deadline_s(self) -> float:
        return self.sent_s + (ANSWER_S if self.received else ACK_S)


class Invitations(Feature):
    requests = (SendInvitation, CancelInvitation, AnswerInvitation, InvitationAck)

    def __init__(self, seats: Mapping[str, Seat], missed: Callable[[str, str, str, str], None]) -> None:
        """`missed(callee, caller, the caller's name, content)` is told of each that its callee has missed."""
        self._seats = seats
        self._missed = missed
        self._open: dict[_Key, _Open] = {}
        self._due = Deadlines[_Key]()
        self._ended: dict[_Key, InvitationState] = {}  # oldest first
        self._allowances = Allowances(CALLS_PER_S, CALL_BURST)

    def receive(self, seat: Seat, message: Any, now_s: float) -> list[Output]:
        match message:
            case SendInvitation():
                return [*self._send(seat, message, now_s)]
            case CancelInvitation():
                return self._cancel(seat, message)
            case AnswerInvitation():
                return self._answer(seat, message)
            case _:
                return self._acknowledge(seat, message)

    def _send(self, seat: Seat, request: SendInvitation, now_s: float) -> list[Output]:
        key = (seat.user_id, request.invitation)
        check_size(request.content, MAX_INVITATION_BYTES, "an invitation")
        if request.to in ("", seat.user_id):
            raise InvalidArgumentError(f"an invitation to {request.to!r}: name another user")
        if key in self._open or key in self._ended:
            raise InvalidArgumentError(f"there was an invitation {request.invitation!r} already")
        if sum(one.caller is seat for one in self._open.values()) >= MAX_OPEN:
            raise RateLimitError(f"{MAX_OPEN} invitations are open already")
        if not self._allowances.take(seat.user_id, now_s):
            raise RateLimitError(f"over {CALLS_PER_S:g} invitations a second")
        callee = self._seats.get(request.to)
        answered = seat.to(Ok(id=request.id))
        if callee is None:
            self._remember(key, "failed")
            self._missed(request.to, seat.user_id, seat.user_name, request.content)
            gone = _changed(key, request.to, "failed", outgoing=True, failure="peer-offline")
            return [*answered, *seat.to(gone)]
        if sum(one.callee is callee for one in self._open.values()) >= MAX_OPEN:
            raise RateLimitError(f"{MAX_OPEN} invitations wait for {request.to!r} already")
        one = self._open[key] = _Open(seat, callee, request.content, now_s)
        self._due.set(key, one.deadline_s())
        return [*answered, *callee.to(_received(key, one, now_s))]

    def _acknowledge(self, seat: Seat, message: InvitationAck) -> list[Output]:
        key = (message.sender, message.invitation)
        one = self._open.get(key)
        if one is None or one.callee is not seat or one.received:
            return []
        one.received = True
        self._due.set(key, one.deadline_s())
        return one.caller.tell(_changed(key, seat.user_id, "received", outgoing=True))

    def _answer(self, seat: Seat, request: AnswerInvitation) -> list[Output]:
        key = (request.sender, request.invitation)
        check_size(request.response, MAX_INVITATION_BYTES, "an answer")
        one = self._find(key)
        if one.callee is not seat:
            raise InvalidArgumentError(f"invitation {request.invitation!r} of {request.sender!r} is not for you")
        if request.missed and not request.accept:
            self._miss(one)
        state: InvitationState = "accepted" if request.accept else "refused"
        return [*seat.to(Ok(id=request.id)), *self._end(key, state, content=request.response)]

    def _cancel(self, seat: Seat, request: CancelInvitation) -> list[Output]:
        key = (seat.user_id, request.invitation)
        check_size(request.content, MAX_INVITATION_BYTES, "an invitation")
        one = self._find(key)
        if not request.answered:
            self._miss(one)
        return [*seat.to(Ok(id=request.id)), *self._end(key, "canceled", content=request.content)]

    def seated(self, seat: Seat, now_s: float, *, resumed: bool) -> list[Output]:
        return [
            output
            for key, one in self._open.items()
            if one.callee is seat
            for output in seat.to(_received(key, one, now_s))
        ]

    def unseated(self, seat: Seat, now_s: float) -> list[Output]:
        mine = [key for key, one in self._open.items() if seat in (one.caller, one.callee)]
        for key in mine:
            self._miss(self._open[key])
        return [output for key in mine for output in self._end(key, "failed", failure="peer-offline", but=seat)]

    def next_deadline_s(self) -> float | None:
        return self._due.next_s()

    def expire(self, now_s: float) -> list[Output]:
        self._allowances.forget(now_s)
        late = [(key, self._open[key]) for key in self._due.due(now_s)]
        for _, one in late:
            self._miss(one)
        return [
            output
            for key, one in late
            for output in self._end(key, "failed", failure="expired" if one.received else "peer-no-response")
        ]

    def _miss(self, one: _Open) -> None:
        self._missed(one.callee.user_id, one.caller.user_id, one.caller.user_name, one.content)

    def _find(self, key: _Key) -> _Open:
        if key in self._ended:
            raise InvitationEndedError(f"this invitation is over: {self._ended[key]}")
        if key not in self._open:
            raise InvitationEndedError("there is no such invitation, or it is over for long")
        return self._open[key]

    def _end(
        self,
        key: _Key,
        state: InvitationState,
        *,
        content: str = "",
        failure: InvitationFailure = "",
        but: Seat | None = None,
    ) -> list[Output]:
        one = self._open.pop(key)
        self._due.drop(key)
        self._remember(key, state)
        outputs: list[Output] = []
        for seat, peer, outgoing in ((one.caller, one.callee, True), (one.callee, one.caller, False)):
            if seat is not but:
                outputs += seat.tell(
                    _changed(key, peer.user_id, state, outgoing=outgoing, content=content, failure=failure)
                )
        return outputs

    def _remember(self, key: _Key, state: InvitationState) -> None:
        self._ended[key] = state
        if len(self._ended) > MAX_REMEMBERED:
            del self._ended[next(iter(self._ended))]


def _received(key: _Key, one: _Open, now_s: float) -> InvitationReceived:
    return InvitationReceived(
        invitation=key[1],
        sender=key[0],
        sender_name=one.caller.user_name,
        content=one.content,
        left_s=max(0.0, one.sent_s + ANSWER_S - now_s),
    )


def _changed(
    key: _Key,
    peer: str,
    state: InvitationState,
    *,
    outgoing: bool,
    content: str = "",
    failure: InvitationFailure = "",
) -> InvitationChanged:
    return InvitationChanged(
        invitation=key[1], peer=peer, state=state, outgoing=outgoing, content=content, failure=failure
    )
