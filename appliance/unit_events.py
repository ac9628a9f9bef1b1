"""Events of the unit itself: its mute gate, which devices work, its calls and its set-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appliance.events import Event


@dataclass(frozen=True, kw_only=True)
class MuteChanged(Event, retained=True):
    """The gates moved, in a room or out of one: True is shut."""

    audio: bool
    video: bool
    screen: bool


@dataclass(frozen=True, kw_only=True)
class DevicesChanged(Event, retained=True):
    """Which devices of the unit work now: they deliver."""

    microphone: bool
    camera: bool
    speaker: bool


StrainReason = Literal["", "throttled", "heat", "encoder", "load"]


@dataclass(frozen=True, kw_only=True)
class VideoStrainChanged(Event, retained=True):
    """The machine has more to do than it can: video is `rungs` steps smaller or slower than its link allows."""

    rungs: int
    reason: StrainReason


@dataclass(frozen=True, kw_only=True)
class SetupModeChanged(Event, retained=True):
    """`phase`: "idle", "access-point", "looking" or "joining"; `is_shown`: the LEDs say that somebody is waited for.

    `attempt`: how the last wish to join a network goes: "joining", "joined", "failed", or None before the first.
    """

    phase: str
    is_shown: bool
    attempt: str | None = None


@dataclass(frozen=True, kw_only=True)
class CallChanged(Event, retained=True):
    """A call begins, goes on or ends. `phase`: "idle", "ringing-out", "ringing-in" or "in-call". `peer_id`: who rings
    or is spoken to, of a call that has ended too. `calling`: who is still rung. `reason`: how the last call ended.
    """

    phase: str
    peer_id: str
    peer_name: str
    calling: tuple[str, ...]
    room: str
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class MissedCallsChanged(Event, retained=True):
    """How many calls the hub keeps that nobody answered."""

    count: int
