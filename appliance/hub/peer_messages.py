"""Messages from one user to another, in a room or out of one (U76, U77, X38, D69). Pure.

A message goes to the other's client at most once; the sender hears whether that client has it: its word, the loss of
its link or `ACK_S` decide. For who is not online it is refused or, when the sender wishes, kept for the next login.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from appliance.errors import InvalidArgumentError, RateLimitError
from appliance.hub.allowances import Allowances
from appliance.hub.changes import Change, MessageKept, MessagesTaken
from appliance.hub.feature import Feature
from appliance.hub.kept_bytes import KeptBytes
from appliance.hub.seat import Output, Seat
from appliance.room.signaling_login import (
    MAX_TEXT_BYTES,
    MESSAGE_BURST,
    MESSAGES_PER_S,
    PeerMessageAck,
    PeerMessageReceived,
    PeerMessageSent,
    SendPeerMessage,
    check_size,
)

ACK_S = 5.0
MAX_KEPT_OF_ONE = 100  # messages that wait for one user
MAX_WAITING_USERS = 256
MAX_KEPT_BYTES = 16 * 1024 * 1024  # of all messages that wait
MAX_KEPT_BYTES_OF_ONE = 2 * 1024 * 1024  # of one sender


class Mailbox:
    """Where messages wait for the next login of their receiver; `record` keeps a change over restarts."""

    def __init__(self, record: Callable[[Change], None]) -> None:
        self._record = record
        self._waiting: dict[str, list[PeerMessageReceived]] = {}
        self._bytes = KeptBytes(MAX_KEPT_BYTES, MAX_KEPT_BYTES_OF_ONE)

    def put(self, to: str, message: PeerMessageReceived) -> str:
        """Why it is not kept; empty: it is."""
        waiting = self._waiting.get(to, [])
        if len(waiting) >= MAX_KEPT_OF_ONE:
            return f"{len(waiting)} messages wait for {to!r} already"
        if not waiting and len(self._waiting) >= MAX_WAITING_USERS:
            return f"messages for {len(self._waiting)} users wait already"
        if refusal := self._bytes.refusal(message.sender, message):
            return refusal
        self.restore(to, message)
        self._record(MessageKept(to, message))
        return ""

    def restore(self, to: str, message: PeerMessageReceived) -> None:
        self._waiting.setdefault(to, []).append(message)
        self._bytes.add(message.sender, message)

    def take(self, to: str) -> list[PeerMessageReceived]:
        """All of them, oldest first; then there are none."""
        if to not in self._waiting:
            return []
        self._record(MessagesTaken(to))
        taken = self._waiting.pop(to)
        for message in taken:
            self._bytes.drop(message.sender, message)
        return taken


@dataclass(frozen=True, slots=True)
class _Pending:
    sender: Seat
    receiver: Seat
    request_id: int
    until_s: float


class PeerMessages(Feature):
    """`wall_s` gives seconds since 1970; `make_id` unique text."""

    requests = (SendPeerMessage, PeerMessageAck)

    def __init__(
        self, seats: Mapping[str, Seat], mailbox: Mailbox, wall_s: Callable[[], float], make_id: Callable[[], str]
    ) -> None:
        self._seats = seats
        self._mailbox = mailbox
        self._wall_s = wall_s
        self._make_id = make_id
        self._allowances = Allowances(MESSAGES_PER_S, MESSAGE_BURST)
        self._pending: dict[str, _Pending] = {}  # by message id, oldest first

    def receive(self, seat: Seat, message: Any, now_s: float) -> list[Output]:
        if isinstance(message, PeerMessageAck):
            pending = self._pending.get(message.message)
            if pending is None or pending.receiver is not seat:
                return []
            return self._answer(message.message, delivered=True)
        return self._send(seat, message, now_s)

    def _send(self, seat: Seat, request: SendPeerMessage, now_s: float) -> list[Output]:
        check_size(request.text, MAX_TEXT_BYTES, "a message")
        if request.to in ("", seat.user_id):
            raise InvalidArgumentError(f"a message to {request.to!r}: name another user")
        if not self._allowances.take(seat.user_id, now_s):
            raise RateLimitError(f"over {MESSAGES_PER_S:g} messages a second")
        receiver = self._seats.get(request.to)
        push = PeerMessageReceived(
            message=self._make_id(),
            sender=seat.user_id,
            text=request.text,
            server_ts_ms=round(self._wall_s() * 1000),
        )
        if receiver is None or receiver.connection is None:
            refusal = self._mailbox.put(request.to, push) if request.offline else ""
            stored = request.offline and not refusal
            sent = PeerMessageSent(id=request.id, delivered=False, stored=stored, refusal=refusal)
            return seat.to(sent, durable=True)
        self._pending[push.message] = _Pending(seat, receiver, request.id, now_s + ACK_S)
        return receiver.to(push)

    def seated(self, seat: Seat, now_s: float, *, resumed: bool) -> list[Output]:
        return [
            output
            for kept in self._mailbox.take(seat.user_id)
            for output in seat.to(
                PeerMessageReceived(
                    message=kept.message,
                    sender=kept.sender,
                    text=kept.text,
                    server_ts_ms=kept.server_ts_ms,
                    offline=True,
                ),
                durable=True,
            )
        ]

    def link_lost(self, seat: Seat, now_s: float) -> list[Output]:
        return self._fail(seat)

    def unseated(self, seat: Seat, now_s: float) -> list[Output]:
        return self._fail(seat)

    def next_deadline_s(self) -> float | None:
        return next((pending.until_s for pending in self._pending.values()), None)

    def expire(self, now_s: float) -> list[Output]:
        self._allowances.forget(now_s)
        oldest_first = self._pending.items()
        late = [message for message, _ in takewhile(lambda item: item[1].until_s <= now_s, oldest_first)]
        return [output for message in late for output in self._answer(message, delivered=False)]

    def _fail(self, seat: Seat) -> list[Output]:
        """What waited for its word never comes; who it asked for itself hears nothing any more."""
        self._pending = {message: one for message, one in self._pending.items() if one.sender is not seat}
        lost = [message for message, pending in self._pending.items() if pending.receiver is seat]
        return [output for message in lost for output in self._answer(message, delivered=False)]

    def _answer(self, message: str, *, delivered: bool) -> list[Output]:
        pending = self._pending.pop(message)
        return pending.sender.to(PeerMessageSent(id=pending.request_id, delivered=delivered))
