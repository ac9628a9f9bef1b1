"""What a hub must remember over its restarts, as the changes that its decisions make. Pure.

Whoever decides adds to a list; the shell takes the list, writes it (`store.py`), and only then sends what is marked
`Send.durable`. Times are seconds since 1970, for monotonic ones mean nothing after a restart.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.room.signaling_base import Profile
from appliance.room.signaling_login import MissedInvitation, PeerMessageReceived


@dataclass(frozen=True, slots=True)
class BanSet:
    room: str
    user_id: str
    until: float | None  # None: for good


@dataclass(frozen=True, slots=True)
class BanLifted:
    room: str
    user_id: str


@dataclass(frozen=True, slots=True)
class MessageKept:
    """For the next login of `to`."""

    to: str
    message: PeerMessageReceived


@dataclass(frozen=True, slots=True)
class MessagesTaken:
    to: str


@dataclass(frozen=True, slots=True)
class CallMissed:
    callee: str
    call: MissedInvitation


@dataclass(frozen=True, slots=True)
class MissedCallsCleared:
    callee: str


@dataclass(frozen=True, slots=True)
class RoomKept:
    """The room is there with nobody in it."""

    room: str
    profile: Profile


@dataclass(frozen=True, slots=True)
class RoomDropped:
    room: str


Change = BanSet | BanLifted | MessageKept | MessagesTaken | CallMissed | MissedCallsCleared | RoomKept | RoomDropped
Changes = list[Change]
