"""Invitations that nobody answered, kept for their callee until it has seen them. Pure.

Missed is what failed for want of an answer or of a callee, and what the caller gave up; not what was refused, and not
what somebody else of a group has answered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from appliance.hub.changes import CallMissed, Change, MissedCallsCleared
from appliance.hub.feature import Feature
from appliance.hub.kept_bytes import KeptBytes
from appliance.hub.seat import Output, Seat
from appliance.room.signaling_login import (
    ClearMissedInvitations,
    ListMissedInvitations,
    MissedInvitation,
    MissedInvitations,
    Ok,
)

logger = logging.getLogger(__name__)

MAX_OF_ONE = 100  # calls of one callee; the oldest go first
MAX_CALLEES = 4096
MAX_KEPT_BYTES = 16 * 1024 * 1024  # of all calls
MAX_KEPT_BYTES_OF_ONE = 2 * 1024 * 1024  # of one caller
MAX_BEGUN = 256  # callees of whom one caller was the first to be missed: nobody alone fills the book for all


class MissedCalls(Feature):
    """`record` keeps a change over restarts; `wall_s` gives seconds since 1970."""

    requests = (ListMissedInvitations, ClearMissedInvitations)

    def __init__(self, record: Callable[[Change], None], wall_s: Callable[[], float]) -> None:
        self._record = record
        self._wall_s = wall_s
        self._missed: dict[str, list[MissedInvitation]] = {}
        self._bytes = KeptBytes(MAX_KEPT_BYTES, MAX_KEPT_BYTES_OF_ONE)
        self._overflowed = False

    def receive(self, seat: Seat, message: Any, now_s: float) -> list[Output]:
        if isinstance(message, ListMissedInvitations):
            return seat.to(MissedInvitations(id=message.id, calls=tuple(self._missed.get(seat.user_id, ()))))
        if seat.user_id in self._missed:
            for call in self._missed.pop(seat.user_id):
                self._bytes.drop(call.sender, call)
            self._record(MissedCallsCleared(seat.user_id))
        return seat.to(Ok(id=message.id), durable=True)

    def add(self, callee: str, caller: str, caller_name: str, content: str) -> None:
        call = MissedInvitation(
            sender=caller, sender_name=caller_name, content=content, at_ms=round(self._wall_s() * 1000)
        )
        if refusal := self._refusal(callee, call):
            level = logging.DEBUG if self._overflowed else logging.WARNING
            logger.log(level, "missed calls: no room for %r's: %s", caller, refusal)
            self._overflowed = True
            return
        self.restore(callee, call)
        self._record(CallMissed(callee, call))

    def _refusal(self, callee: str, call: MissedInvitation) -> str:
        """Why it is not kept; empty: it is."""
        if callee not in self._missed:
            if len(self._missed) >= MAX_CALLEES:
                return f"{MAX_CALLEES} callees have some already"
            if sum(calls[0].sender == call.sender for calls in self._missed.values()) >= MAX_BEGUN:
                return f"it rang {MAX_BEGUN} callees first"
        return self._bytes.refusal(call.sender, call)

    def restore(self, callee: str, call: MissedInvitation) -> None:
        calls = self._missed.setdefault(callee, [])
        calls.append(call)
        self._bytes.add(call.sender, call)
        if len(calls) > MAX_OF_ONE:
            oldest = calls.pop(0)
            self._bytes.drop(oldest.sender, oldest)
