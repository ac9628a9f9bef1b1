"""Between the intercom's machine and the world: invitations of the session's client, its rooms, the speaker, the clock.

The call button and the HTTP API call its methods; everybody else reads `CallChanged` off the bus.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from appliance.call_sounds import sound_of
from appliance.errors import InvalidStateError, InvitationEndedError, NotLoggedInError, ReconnectingError, RtcError
from appliance.events import Bus, Event, Subscription
from appliance.intercom import (
    Accept,
    CallPhase,
    Effect,
    Enter,
    Exit,
    Incoming,
    Intercom,
    Refuse,
    Send,
    TellEnd,
    Withdraw,
)
from appliance.intercom_settings import IntercomSettings
from appliance.media.tones import REPEATED, Tone, tone
from appliance.room.call_content import Call, CallEnded, decode_call, decode_call_ended, encode
from appliance.room.client import RoomClient
from appliance.room.connection import JOINED_STATES
from appliance.room.events import (
    ConnectionState,
    ConnectionStateChanged,
    InvitationAccepted,
    InvitationCanceled,
    InvitationFailed,
    InvitationReceived,
    InvitationRefused,
    LoginState,
    LoginStateChanged,
    PeerJoined,
    PeerLeft,
    PeerMessage,
)
from appliance.room.invitations import LocalInvitation, RemoteInvitation
from appliance.room.signaling_login import MissedInvitation
from appliance.room.ticks import is_set_within
from appliance.session import Session
from appliance.unit_events import CallChanged, MissedCallsChanged

logger = logging.getLogger(__name__)

LAST_WORDS_S = 0.3  # for what is still to be said when the unit stops
_RECONNECT_POLL_S = 0.1
_WATCHED = (
    ConnectionStateChanged,
    InvitationAccepted,
    InvitationCanceled,
    InvitationFailed,
    InvitationReceived,
    InvitationRefused,
    LoginStateChanged,
    PeerJoined,
    PeerLeft,
    PeerMessage,
)


class IntercomLink:
    """The intercom of one session. Everything can be asked at any time, also while `run` does not run."""

    def __init__(self, session: Session, bus: Bus, settings: IntercomSettings) -> None:
        self.settings = settings
        self.missed = 0  # calls that nobody has answered, as far as the hub told
        self._machine = Intercom(settings.rules)
        self._session = session
        self._bus = bus
        self._out: dict[str, LocalInvitation] = {}  # by id, until they are over
        self._in: dict[tuple[str, str], RemoteInvitation] = {}
        self._told: CallChanged | None = None
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        session.attendance.on_visit_over = lambda: self._do(self._machine.room_ended(time.monotonic()))

    # --- what is

    @property
    def phase(self) -> CallPhase:
        return self._machine.phase

    @property
    def call_info(self) -> Intercom:
        """To be read only."""
        return self._machine

    # --- what a person wishes

    def change(self, settings: IntercomSettings) -> None:
        """Rules for the next call."""
        self.settings, self._machine.rules = settings, settings.rules

    def press(self) -> None:
        """The call button: answer, ring the configured peers, or without any into the room."""
        if self.phase is CallPhase.RINGING_OUT:
            self.hang_up()
        elif self.phase is CallPhase.RINGING_IN:
            self.answer()
        elif self.phase is CallPhase.IDLE and not self.settings.peers:
            self._session.attendance.join()
        elif self.phase is CallPhase.IDLE:
            try:
                self.call()
            except RtcError as exc:
                logger.warning("nobody is called: %s", exc)
                self._play(Tone.BUSY)

    async def hold(self) -> None:
        """The call button, held: refuse or hang up; without a call out of the room."""
        if self.phase is CallPhase.IDLE:
            await self._session.attendance.leave()
        else:
            self.hang_up()

    def call(self, peers: Sequence[str] = ()) -> None:
        """Ring these users, or else the configured ones.

        Raises `InvalidStateError` unless idle or when nobody is named, `NotLoggedInError`, `InvalidArgumentError`.
        """
        if self.phase is not CallPhase.IDLE:
            raise InvalidStateError(f"there is a call already: {self.phase}", operation="call", state=self.phase)
        client = self._session.client
        if client is None or client.login_state is not LoginState.CONNECTED:
            raise NotLoggedInError("the hub cannot be reached", operation="call")
        own_id, room = client.login_user_id or "", self.settings.room or self._session.settings.room
        callees = [peer for peer in dict.fromkeys(peers or self.settings.peers) if peer != own_id]
        if not callees:
            raise InvalidStateError("nobody to call: name peers, or configure call.peers", operation="call")
        created = [client.create_invitation(peer, encode(self._content(peer, room))) for peer in callees]
        self._out |= {invitation.invitation_id: invitation for invitation in created}
        ids = {invitation.invitation_id: invitation.callee_id for invitation in created}
        self._do(self._machine.call(room, ids, time.monotonic()))

    def answer(self) -> bool:
        """Whether there was somebody to answer."""
        rings = self.phase is CallPhase.RINGING_IN
        self._do(self._machine.answer(time.monotonic()))
        return rings

    def hang_up(self) -> bool:
        """Whether there was a call to end, in any phase."""
        busy = self.phase is not CallPhase.IDLE
        self._do(self._machine.hang_up(time.monotonic()))
        return busy

    async def missed_calls(self) -> tuple[MissedInvitation, ...]:
        """Oldest first, kept by the hub. Raises `RtcError`."""
        calls = tuple(call for call in await self._client().get_missed_calls() if decode_call(call.content) is not None)
        self._set_missed(len(calls))
        return calls

    async def clear_missed_calls(self) -> None:
        await self._client().clear_missed_calls()
        self._set_missed(0)

    # --- the child

    async def run(self) -> None:
        """Until cancelled; then the call is over, and the others are told if they can be."""
        with self._bus.subscribe(*_WATCHED, name="intercom") as events:
            self._refresh_missed()
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._follow(events), name="intercom-events")
                    tasks.create_task(self._watch_clock(), name="intercom-clock")
            finally:
                self.hang_up()
                if self._tasks:
                    await asyncio.wait(self._tasks, timeout=LAST_WORDS_S)
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, events: Subscription) -> None:
        async for event in events:
            self._do(self._take(event, time.monotonic()))

    async def _watch_clock(self) -> None:
        while True:
            self._wake.clear()
            deadline_s = self._machine.next_deadline_s()
            delay_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            if not await is_set_within(self._wake, delay_s):
                self._do(self._machine.expire(time.monotonic()))

    # --- what happens

    def _take(self, event: Event, now_s: float) -> list[Effect]:
        machine = self._machine
        match event:
            case InvitationReceived(invitation=invitation):
                return self._ring(invitation, now_s)
            case InvitationAccepted(invitation=LocalInvitation() as sent) if self._out.pop(sent.invitation_id, None):
                return machine.accepted(sent.callee_id, sent.invitation_id, now_s)
            case InvitationRefused(invitation=LocalInvitation() as sent) if self._out.pop(sent.invitation_id, None):
                return machine.refused(sent.invitation_id, event.response, now_s)
            case InvitationFailed(invitation=LocalInvitation() as sent) if self._out.pop(sent.invitation_id, None):
                return machine.failed(sent.invitation_id, event.failure_reason, now_s)
            case InvitationCanceled(invitation=LocalInvitation() as sent):
                self._out.pop(sent.invitation_id, None)
            case InvitationAccepted(invitation=RemoteInvitation() as call):
                self._in.pop((call.caller_id, call.invitation_id), None)
                return machine.accepted_here(call.caller_id, call.invitation_id)
            case InvitationCanceled(invitation=RemoteInvitation() as call):
                return self._incoming_ended(call, event.response, now_s)
            case InvitationFailed(invitation=RemoteInvitation() as call):
                return self._incoming_ended(call, "", now_s)
            case InvitationRefused(invitation=RemoteInvitation() as call):
                self._in.pop((call.caller_id, call.invitation_id), None)
                self._refresh_missed()
            case PeerJoined():
                self._meet([event.user_id])
            case PeerLeft() if not event.role_change:
                return machine.parted(event.user_id, now_s)
            case ConnectionStateChanged(cur_state=ConnectionState.CONNECTED):
                self._meet(self._session.peers)
            case PeerMessage():
                ended = decode_call_ended(event.message.text)
                if ended is not None:
                    return machine.told_end(event.peer_id, ended.invitation, ended.reason, now_s)
            case LoginStateChanged(cur_state=LoginState.CONNECTED):
                self._refresh_missed()
        return []

    def _ring(self, invitation: RemoteInvitation, now_s: float) -> list[Effect]:
        content, client = decode_call(invitation.content), self._session.client
        if content is None or client is None or invitation.is_over:
            return []
        caller_id, invitation_id = invitation.caller_id, invitation.invitation_id
        self._in[caller_id, invitation_id] = invitation
        call = Incoming(caller_id, invitation_id, invitation.caller_name, content, invitation.left_s)
        return self._machine.incoming(call, client.login_user_id or "", now_s)

    def _incoming_ended(self, call: RemoteInvitation, content: str, now_s: float) -> list[Effect]:
        self._in.pop((call.caller_id, call.invitation_id), None)
        self._refresh_missed()
        return self._machine.incoming_ended(call.caller_id, call.invitation_id, now_s, content=content)

    def _meet(self, user_ids: Iterable[str]) -> None:
        """These are in the room of the session."""
        if self._session.state in JOINED_STATES and self._session.attendance.room_now == self._machine.room:
            for user_id in user_ids:
                self._machine.met(user_id)

    # --- what is done

    def _do(self, effects: list[Effect]) -> None:
        """Tasks start in their order, so what they say goes out in it too."""
        for effect in effects:
            self._perform(effect)
        self._wake.set()
        self._tell()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Send(invitation_id):
                self._spawn(self._send(invitation_id))
            case Withdraw(invitation_id, content, answered):
                invitation = self._out.get(invitation_id)
                if invitation is not None:
                    self._spawn(invitation.cancel(content, answered=answered))
            case Accept(caller_id, invitation_id):
                self._spawn(self._accept(caller_id, invitation_id))
            case Refuse(caller_id, invitation_id, response, missed):
                refused = self._in.pop((caller_id, invitation_id), None)
                if refused is not None:
                    self._spawn(refused.refuse(response, missed=missed))
            case TellEnd(user_id, invitation_id, reason):
                message = encode(CallEnded(invitation=invitation_id, reason=reason))
                self._spawn(self._say(user_id, message))
            case Enter(room, token):
                self._session.attendance.visit(room, token or self._own_token(room))
                self._meet(self._session.peers)
            case Exit():
                self._session.attendance.end_visit()

    async def _send(self, invitation_id: str) -> None:
        invitation = self._out[invitation_id]
        try:
            await invitation.send()
        except RtcError as exc:
            logger.warning("%s is not called: %s", invitation.callee_id, exc)
            if self._out.pop(invitation_id, None) is not None:
                self._do(self._machine.failed(invitation_id, "", time.monotonic()))

    async def _accept(self, caller_id: str, invitation_id: str) -> None:
        """While the link is lost the answer waits for it; the machine gives up in time."""
        invitation = self._in[caller_id, invitation_id]
        while True:
            try:
                await invitation.accept()
                return
            except ReconnectingError as exc:
                if invitation.state != "INVITATION_RECEIVED" or self.phase is not CallPhase.IN_CALL:
                    raise
                logger.info("the answer waits: %s", exc)
                await asyncio.sleep(_RECONNECT_POLL_S)
            except InvitationEndedError:
                self._do(self._machine.incoming_ended(caller_id, invitation_id, time.monotonic()))
                return

    async def _say(self, user_id: str, message: str) -> None:
        await self._client().send_peer_message(user_id, message)

    def _content(self, callee_id: str, room: str) -> Call:
        mint = self.settings.mint
        return Call(room=room, token=mint(callee_id, room) if mint is not None else "")

    def _own_token(self, room: str) -> str:
        """For a room of this unit's hub that its own token does not open."""
        mint, client = self.settings.mint, self._session.client
        if mint is None or client is None or client.login_user_id is None or room == self._session.settings.room:
            return ""
        return mint(client.login_user_id, room)

    def _client(self) -> RoomClient:
        client = self._session.client
        if client is None:
            raise NotLoggedInError("the unit is just starting")
        return client

    def _refresh_missed(self) -> None:
        async def refresh() -> None:
            client = self._session.client
            if client is not None and client.login_state is LoginState.CONNECTED:
                await self.missed_calls()

        self._spawn(refresh())

    def _set_missed(self, count: int) -> None:
        if count != self.missed:
            self.missed = count
            self._bus.publish(MissedCallsChanged(count=count))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        async def run() -> None:
            try:
                await work
            except RtcError as exc:  # the machine hears of what matters by an event, or by its clock
                logger.info("intercom: %s", exc)

        task = asyncio.create_task(run(), name="intercom-effect")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what the others hear

    def _tell(self) -> None:
        machine = self._machine
        told = CallChanged(
            phase=machine.phase.value,
            peer_id=machine.peer_id,
            peer_name=machine.peer_name,
            calling=tuple(machine.calling.values()),
            room=machine.room,
            reason=machine.end.value if machine.end is not None else None,
        )
        before, self._told = self._told, told
        if told == before or (before is None and machine.phase is CallPhase.IDLE):
            return
        self._bus.publish(told)
        if before is None or before.phase != told.phase:
            logger.info("call %s -> %s%s", before.phase if before else "idle", told.phase, _words(told))
            previous = CallPhase(before.phase) if before is not None else CallPhase.IDLE
            self._play(sound_of(previous, machine.phase, machine.end, automatic=machine.was_automatic))

    def _play(self, which: Tone | None) -> None:
        playout = self._session.playout
        if playout is None:
            return
        if which is None:
            playout.hush()
        else:
            playout.play(tone(which) * (self.settings.ring_volume / 100), repeat=which in REPEATED)


def _words(told: CallChanged) -> str:
    with_whom = f" ({told.peer_id})" if told.peer_id else ""
    return with_whom + (f": {told.reason}" if told.reason else "")
