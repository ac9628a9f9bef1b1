"""What fingers mean: timestamped edges of buttons in, gestures out. Pure; time comes in with the edges.

    one button   down --release--> Press (DoublePress when it went down within 250 ms of the last Press)
                 down --hold time--> HoldStart --release--> HoldEnd
    both         down --5 s, 10 s, 20 s--> ChordHeld each; --first release--> ChordEnd; a hold that ran is ended first

A Press is told at its release, at once: a second one is told as DoublePress, nobody waits to see whether it comes.
After a chord the button that is still down means nothing until it was released.

No finger rests on a button for two minutes: it is stuck. What it held is ended, as if it had been released, and it
means nothing until it was; the other one works by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hw import BUTTON_NAMES, ButtonEdge, ButtonName

DOUBLE_PRESS_GAP_S = 0.25
HOLD_S: Mapping[ButtonName, float] = MappingProxyType({"mute": 0.4, "call": 1.0})
CHORD_STEPS_S = (5.0, 10.0, 20.0)
STUCK_S = 120.0


@dataclass(frozen=True, slots=True)
class Press:
    button: ButtonName


@dataclass(frozen=True, slots=True)
class DoublePress:
    button: ButtonName


@dataclass(frozen=True, slots=True)
class HoldStart:
    button: ButtonName


@dataclass(frozen=True, slots=True)
class HoldEnd:
    button: ButtonName


@dataclass(frozen=True, slots=True)
class ChordHeld:
    """Both buttons have been down for `step_s`, one of CHORD_STEPS_S."""

    step_s: float


@dataclass(frozen=True, slots=True)
class ChordEnd:
    """A button of a chord that had reached at least its first step was released."""


Gesture = Press | DoublePress | HoldStart | HoldEnd | ChordHeld | ChordEnd


class Gestures:
    """Feed every edge to `feed`, and call `advance` at `next_deadline_s()`. Repeated edges of one kind are ignored.

    `hold_s`: how long each button is down before it is held; 0: it is as soon as it is down, and never pressed.
    """

    def __init__(self, hold_s: Mapping[ButtonName, float] = HOLD_S) -> None:
        self.hold_s = hold_s
        self._down_s: dict[ButtonName, float] = {}
        self._holding: set[ButtonName] = set()
        self._void: set[ButtonName] = set()  # down, but part of a chord that is over
        self._last_press_s: dict[ButtonName, float] = {}
        self._chord_s: float | None = None
        self._chord_steps = 0
        self._stuck: set[ButtonName] = set()

    @property
    def stuck(self) -> tuple[ButtonName, ...]:
        """Those that have been down for too long."""
        return tuple(button for button in BUTTON_NAMES if button in self._stuck)

    def next_deadline_s(self) -> float | None:
        """When something happens though no edge comes; None: never."""
        deadlines_s = [down_s + STUCK_S for down_s in self._down_s.values()]
        if self._chord_s is None:
            deadlines_s += [self._down_s[button] + self.hold_s[button] for button in self._undecided()]
        elif self._chord_steps < len(CHORD_STEPS_S):
            deadlines_s.append(self._chord_s + CHORD_STEPS_S[self._chord_steps])
        return min(deadlines_s, default=None)

    def advance(self, now_s: float) -> list[Gesture]:
        """What became true by `now_s` without an edge."""
        gestures: list[Gesture] = []
        while (deadline_s := self.next_deadline_s()) is not None and deadline_s <= now_s:
            if stuck := [button for button, down_s in self._down_s.items() if down_s + STUCK_S <= deadline_s]:
                gestures += self._stick(stuck[0])
            elif self._chord_s is not None:
                gestures.append(ChordHeld(CHORD_STEPS_S[self._chord_steps]))
                self._chord_steps += 1
            else:
                button = min(self._undecided(), key=lambda name: self._down_s[name] + self.hold_s[name])
                self._holding.add(button)
                gestures.append(HoldStart(button))
        return gestures

    def feed(self, edge: ButtonEdge) -> list[Gesture]:
        """What `edge` means, after what was due before it. Edges come in the order of their time."""
        gestures = self.advance(edge.at_s)
        self._stuck.discard(edge.button)
        if edge.pressed and edge.button not in self._down_s:
            gestures += self._pressed(edge)
        elif not edge.pressed and edge.button in self._down_s:
            gestures += self._released(edge)
        return gestures

    def _stick(self, button: ButtonName) -> list[Gesture]:
        gestures = self._released(ButtonEdge(button, False, self._down_s[button] + STUCK_S))
        self._stuck.add(button)
        return gestures

    def _undecided(self) -> list[ButtonName]:
        return [button for button in self._down_s if button not in self._holding | self._void]

    def _pressed(self, edge: ButtonEdge) -> list[Gesture]:
        self._down_s[edge.button] = edge.at_s
        if self._void:
            self._void.add(edge.button)  # the chord's other finger is still down
            return []
        if len(self._down_s) < len(BUTTON_NAMES):
            return []
        ended: list[Gesture] = [HoldEnd(button) for button in self._holding]
        self._holding.clear()
        self._last_press_s.clear()
        self._chord_s, self._chord_steps = edge.at_s, 0
        return ended

    def _released(self, edge: ButtonEdge) -> list[Gesture]:
        down_s = self._down_s.pop(edge.button)
        if self._chord_s is not None:
            reached = self._chord_steps > 0
            self._chord_s = None
            self._void = set(self._down_s)
            return [ChordEnd()] if reached else []
        if edge.button in self._void:
            self._void.remove(edge.button)
            return []
        if edge.button in self._holding:
            self._holding.remove(edge.button)
            return [HoldEnd(edge.button)]
        last_s = self._last_press_s.pop(edge.button, None)
        if last_s is not None and down_s - last_s <= DOUBLE_PRESS_GAP_S:
            return [DoublePress(edge.button)]
        self._last_press_s[edge.button] = edge.at_s
        return [Press(edge.button)]
