"""Invitations as their two sides see them (U78 to U80, IL26, D68).

    LocalInvitation   IDLE --send--> SENT_TO_REMOTE --> RECEIVED_BY_REMOTE --> ACCEPTED_BY_REMOTE | REFUSED_BY_REMOTE
                                        `------------------`--> CANCELED | FAILURE
    RemoteInvitation  INVITATION_RECEIVED --accept--> ACCEPT_SENT_TO_LOCAL --> ACCEPTED
                                        `--> REFUSED | CANCELED | FAILURE

The hub decides; the objects show what it said last. When the login ends, what was open has failed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Literal

from appliance.errors import InvitationEndedError, RtcError
from appliance.events import Event
from appliance.room.events import (
    InvitationAccepted,
    InvitationCanceled,
    InvitationFailed,
    InvitationReceived,
    InvitationReceivedByPeer,
    InvitationRefused,
)
from appliance.room.link import LinkLostError
from appliance.room.login import Login
from appliance.room.signaling_login import (
    MAX_INVITATION_BYTES,
    AnswerInvitation,
    CancelInvitation,
    ClearMissedInvitations,
    InvitationAck,
    InvitationChanged,
    InvitationFailure,
    ListMissedInvitations,
    MissedInvitation,
    MissedInvitations,
    Ok,
    SendInvitation,
    check_size,
    check_user_id,
)
from appliance.room.signaling_login import InvitationReceived as ReceivedMessage

LocalState = Literal[
    "IDLE",
    "SENT_TO_REMOTE",
    "RECEIVED_BY_REMOTE",
    "ACCEPTED_BY_REMOTE",
    "REFUSED_BY_REMOTE",
    "CANCELED",
    "FAILURE",
]
RemoteState = Literal["INVITATION_RECEIVED", "ACCEPT_SENT_TO_LOCAL", "ACCEPTED", "REFUSED", "CANCELED", "FAILURE"]

ACCEPT_TIMEOUT_S = 5.0  # X39: for the hub's word on our answer

_LOCAL: dict[str, LocalState] = {
    "received": "RECEIVED_BY_REMOTE",
    "accepted": "ACCEPTED_BY_REMOTE",
    "refused": "REFUSED_BY_REMOTE",
    "canceled": "CANCELED",
    "failed": "FAILURE",
}
_REMOTE: dict[str, RemoteState] = {
    "accepted": "ACCEPTED",
    "refused": "REFUSED",
    "canceled": "CANCELED",
    "failed": "FAILURE",
}
_LOCAL_FINAL = frozenset({"ACCEPTED_BY_REMOTE", "REFUSED_BY_REMOTE", "CANCELED", "FAILURE"})
_REMOTE_FINAL = frozenset(_REMOTE.values())


class _Invitation:
    """`response`: what came with the answer, or with the caller's cancel."""

    def __init__(self, invitations: Invitations, invitation_id: str, content: str) -> None:
        self.invitation_id = invitation_id
        self.content = content
        self.response = ""
        self.failure_reason: InvitationFailure = ""
        self._invitations = invitations


class LocalInvitation(_Invitation):
    """One's own invitation to `callee_id`."""

    def __init__(self, invitations: Invitations, callee_id: str, content: str) -> None:
        super().__init__(invitations, secrets.token_urlsafe(12), content)
        self.callee_id = callee_id
        self.state: LocalState = "IDLE"

    @property
    def is_over(self) -> bool:
        return self.state in _LOCAL_FINAL

    async def send(self) -> None:
        """Raises `InvitationEndedError` when it was sent already, `NotLoggedInError`, `RateLimitError`."""
        await self._invitations.send(self)

    async def cancel(self, content: str = "", *, answered: bool = False) -> None:
        """`answered`: somebody else took the call, so the callee has not missed it. Raises `InvitationEndedError`
        unless it is open (IL26).
        """
        await self._invitations.cancel(self, content, answered=answered)


class RemoteInvitation(_Invitation):
    """An invitation of `caller_id`, called `caller_name`; `left_s`: how long it could be answered when it came."""

    def __init__(self, invitations: Invitations, message: ReceivedMessage) -> None:
        super().__init__(invitations, message.invitation, message.content)
        self.caller_id = message.sender
        self.caller_name = message.sender_name
        self.left_s = message.left_s
        self.state: RemoteState = "INVITATION_RECEIVED"

    @property
    def is_over(self) -> bool:
        return self.state in _REMOTE_FINAL

    async def accept(self, response: str = "") -> None:
        """Raises `InvitationEndedError` unless it is open (IL26)."""
        await self._invitations.answer(self, response, accept=True)

    async def refuse(self, response: str = "", *, missed: bool = False) -> None:
        """`missed`: no person refused it, so the hub counts it among the missed calls."""
        await self._invitations.answer(self, response, accept=False, missed=missed)


class Invitations:
    """Every open invitation of one login."""

    def __init__(self, login: Login, emit: Callable[[Event], None]) -> None:
        self._line = login.line
        self._emit = emit
        self._local: dict[str, LocalInvitation] = {}  # by id, while they are open
        self._remote: dict[tuple[str, str], RemoteInvitation] = {}  # by caller and id
        login.line.on_push(ReceivedMessage, self._receive)
        login.line.on_push(InvitationChanged, self._change)
        login.line.on_seated(self._seated)
        login.status.on_logout(lambda: self._fail("not-logged-in"))

    def create(self, callee_id: str, content: str) -> LocalInvitation:
        check_user_id(callee_id, "create_invitation")
        check_size(content, MAX_INVITATION_BYTES, "an invitation", "create_invitation")
        return LocalInvitation(self, callee_id, content)

    async def send(self, invitation: LocalInvitation) -> None:
        if invitation.state != "IDLE":
            raise InvitationEndedError(f"it is {invitation.state} already", operation="send")
        self._line.check_in("send")
        invitation.state = "SENT_TO_REMOTE"
        self._local[invitation.invitation_id] = invitation
        try:
            await self._line.request(
                "send",
                lambda request_id: SendInvitation(
                    id=request_id,
                    invitation=invitation.invitation_id,
                    to=invitation.callee_id,
                    content=invitation.content,
                ),
                Ok,
            )
        except RtcError:
            if self._local.pop(invitation.invitation_id, None) is not None:
                invitation.state = "FAILURE"
            raise

    async def cancel(self, invitation: LocalInvitation, content: str, *, answered: bool) -> None:
        if invitation.invitation_id not in self._local:
            raise InvitationEndedError(f"it is {invitation.state}", operation="cancel")
        check_size(content, MAX_INVITATION_BYTES, "a cancel", "cancel")
        await self._line.request(
            "cancel",
            lambda request_id: CancelInvitation(
                id=request_id, invitation=invitation.invitation_id, content=content, answered=answered
            ),
            Ok,
        )

    async def missed(self) -> tuple[MissedInvitation, ...]:
        missed = await self._line.request(
            "get_missed_calls", lambda request_id: ListMissedInvitations(id=request_id), MissedInvitations
        )
        return missed.calls

    async def clear_missed(self) -> None:
        await self._line.request("clear_missed_calls", lambda request_id: ClearMissedInvitations(id=request_id), Ok)

    async def answer(self, invitation: RemoteInvitation, response: str, *, accept: bool, missed: bool = False) -> None:
        operation = "accept" if accept else "refuse"
        if invitation.state != "INVITATION_RECEIVED":
            raise InvitationEndedError(f"it is {invitation.state}", operation=operation)
        check_size(response, MAX_INVITATION_BYTES, "an answer", operation)
        self._line.check_in(operation)
        if accept:
            invitation.state = "ACCEPT_SENT_TO_LOCAL"
        try:
            await self._line.request(
                operation,
                lambda request_id: AnswerInvitation(
                    id=request_id,
                    invitation=invitation.invitation_id,
                    sender=invitation.caller_id,
                    accept=accept,
                    response=response,
                    missed=missed,
                ),
                Ok,
                ACCEPT_TIMEOUT_S,
            )
        except InvitationEndedError:
            raise
        except RtcError:
            if accept and invitation.state == "ACCEPT_SENT_TO_LOCAL":
                self._remote.pop((invitation.caller_id, invitation.invitation_id), None)
                invitation.state, invitation.failure_reason = "FAILURE", "accept-failure"
                self._emit(InvitationFailed(invitation=invitation, failure_reason="accept-failure"))
            raise

    def _receive(self, message: ReceivedMessage) -> None:
        key = (message.sender, message.invitation)
        try:
            self._line.send(InvitationAck(invitation=message.invitation, sender=message.sender))
        except LinkLostError:
            return  # it comes again with the next link
        if key not in self._remote:  # else told again after a lost link
            invitation = self._remote[key] = RemoteInvitation(self, message)
            self._emit(InvitationReceived(invitation=invitation))

    def _change(self, message: InvitationChanged) -> None:
        invitation: LocalInvitation | RemoteInvitation | None
        if message.outgoing and message.state == "received":
            invitation = self._local.get(message.invitation)
            if invitation is not None:
                invitation.state = "RECEIVED_BY_REMOTE"
                self._emit(InvitationReceivedByPeer(invitation=invitation))
            return
        if message.outgoing:
            invitation = self._local.pop(message.invitation, None)
            if invitation is not None:
                invitation.state = _LOCAL[message.state]
        else:
            invitation = self._remote.pop((message.peer, message.invitation), None)
            if invitation is not None:
                invitation.state = _REMOTE[message.state]
        if invitation is None:
            return
        invitation.response, invitation.failure_reason = message.content, message.failure
        match message.state:
            case "accepted":
                self._emit(InvitationAccepted(invitation=invitation, response=message.content))
            case "refused":
                self._emit(InvitationRefused(invitation=invitation, response=message.content))
            case "canceled":
                self._emit(InvitationCanceled(invitation=invitation, response=message.content))
            case _:
                self._emit(InvitationFailed(invitation=invitation, failure_reason=message.failure))

    def _seated(self, resumed: bool) -> None:
        if not resumed:  # the hub knows of none of them any more
            self._fail("peer-offline")

    def _fail(self, reason: InvitationFailure) -> None:
        failed: list[LocalInvitation | RemoteInvitation] = [*self._local.values(), *self._remote.values()]
        self._local.clear()
        self._remote.clear()
        for invitation in failed:
            invitation.state, invitation.failure_reason = "FAILURE", reason
            self._emit(InvitationFailed(invitation=invitation, failure_reason=reason))
