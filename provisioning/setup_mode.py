"""When the unit opens its own network, and when it closes it again. Pure; time comes in.

            offline for 60 s, or buttons                 120 s without anybody
    IDLE ------------------------------> ACCESS_POINT ------------------------> LOOKING
      ^                                   |   ^    ^                             |   |
      |   cable, or 10 min after buttons  |   |    `-- no known one, or 25 s ----'   |
      |-----------------------------------'   |                                      |
      |                                       | it failed                            |
      |------------------------- JOINING <----' (from anywhere: a person's wish)     |
      |      it worked                                                               |
      `------------------------------------------------- in a known network again ---'

One radio cannot look around while it is an access point: LOOKING takes it down for some seconds, and only while nobody
uses it. A person who sits in it is never thrown out by that; somebody whose phone merely stays joined counts as nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

OFFLINE_S = 60.0  # without any known network, before others are asked for help
UNKNOWN_S = 10.0  # the same where no network is known that could come: a cable may still come up
ASKED_S = 600.0  # after the buttons; somebody who uses it has as long again
LOOK_EVERY_S = 120.0
LOOK_S = 25.0  # for joining a known network that is in reach
RETRY_S = 15.0  # after an access point that did not come up, or went by itself


class Phase(StrEnum):
    IDLE = "idle"
    ACCESS_POINT = "access-point"
    LOOKING = "looking"
    JOINING = "joining"


class Action(StrEnum):
    RAISE = "raise"  # the access point, up
    LOWER = "lower"  # the access point, down
    LOOK = "look"  # down, and scan: `Facts.reach` tells what is there


@dataclass(frozen=True, slots=True)
class Facts:
    """What is, as the network tells it."""

    wifi: bool = True  # there is a radio that may be used
    wired: bool = False  # in a network by cable
    online: bool = False  # in a known Wi-Fi network
    access_point: bool = False  # it is up
    known: bool = True  # at least one network is known
    reach: bool | None = None  # a known network is in reach; None: not yet looked
    busy: bool = False  # somebody uses the access point
    joining: bool = False  # a person's wish to join a network is under way


@dataclass(frozen=True, slots=True)
class State:
    phase: Phase = Phase.IDLE
    since_s: float = 0.0  # when the phase began, or its action was last tried
    offline_s: float | None = None  # since when in no network of others
    asked_until_s: float | None = None  # the buttons

    def is_asked(self, now_s: float) -> bool:
        return self.asked_until_s is not None and now_s < self.asked_until_s


def ask(state: State, now_s: float) -> State:
    """Both buttons were held: once opens, once more closes."""
    if not state.is_asked(now_s):
        return replace(state, asked_until_s=now_s + ASKED_S)
    return replace(state, asked_until_s=None, since_s=min(state.since_s, now_s - LOOK_EVERY_S))


def step(state: State, facts: Facts, now_s: float) -> tuple[State, Action | None]:
    """The next state, and what to do to get there. Call it again when a fact changes or at `next_s`."""
    state = _clocks(state, facts, now_s)
    if facts.joining:
        return _enter(state, Phase.JOINING, now_s), None
    wanted = _is_wanted(state, facts, now_s)
    if not wanted:
        return _enter(state, Phase.IDLE, now_s), Action.LOWER if facts.access_point else None
    if state.phase is Phase.LOOKING:
        if facts.reach is False or now_s - state.since_s >= LOOK_S:
            return _enter(state, Phase.ACCESS_POINT, now_s), Action.RAISE
        return state, None
    if state.phase is not Phase.ACCESS_POINT:
        return _enter(state, Phase.ACCESS_POINT, now_s), None if facts.access_point else Action.RAISE
    if not facts.access_point:
        if now_s - state.since_s >= RETRY_S:
            return replace(state, since_s=now_s), Action.RAISE
        return state, None
    if facts.busy:
        return replace(state, since_s=now_s), None
    if facts.known and not state.is_asked(now_s) and now_s - state.since_s >= LOOK_EVERY_S:
        return _enter(state, Phase.LOOKING, now_s), Action.LOOK
    return state, None


def next_s(state: State, facts: Facts, now_s: float) -> float | None:
    """When `step` has something to do though no fact changes; None: never."""
    times = [state.asked_until_s] if state.is_asked(now_s) else []
    match state.phase:
        case Phase.IDLE:
            times += [state.offline_s + _patience_s(facts)] if state.offline_s is not None else []
        case Phase.ACCESS_POINT:
            times += [state.since_s + (LOOK_EVERY_S if facts.access_point else RETRY_S)]
        case Phase.LOOKING:
            times += [state.since_s + LOOK_S]
    return min((time_s for time_s in times if time_s is not None), default=None)


def _clocks(state: State, facts: Facts, now_s: float) -> State:
    offline_s = None if facts.online or facts.wired else now_s if state.offline_s is None else state.offline_s
    asked_until_s = state.asked_until_s if state.is_asked(now_s) else None
    if asked_until_s is not None and state.phase is Phase.JOINING and not facts.joining and facts.online:
        asked_until_s = None  # what they were held for is done
    elif asked_until_s is not None and facts.busy:
        asked_until_s = max(asked_until_s, now_s + ASKED_S)
    return replace(state, offline_s=offline_s, asked_until_s=asked_until_s)


def _is_wanted(state: State, facts: Facts, now_s: float) -> bool:
    if not facts.wifi or facts.wired:
        return False
    if state.is_asked(now_s):
        return True
    if state.offline_s is None:
        return False
    is_open = state.phase in (Phase.ACCESS_POINT, Phase.LOOKING)
    return is_open or now_s - state.offline_s >= _patience_s(facts)


def _patience_s(facts: Facts) -> float:
    return OFFLINE_S if facts.known else UNKNOWN_S


def _enter(state: State, phase: Phase, now_s: float) -> State:
    return state if state.phase is phase else replace(state, phase=phase, since_s=now_s)
