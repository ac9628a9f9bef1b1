"""The front panel: what the unit's state looks like on LEDs, and what its buttons ask for.

`leds` and `Commander` are pure; `FrontPanel` is the thin shell with the clock. Nothing here acts on a command: the
composition root does, and answers with a new `PanelState`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from appliance.intercom import CallPhase
from appliance.room.events import ConnectionState, NetworkQuality
from hw import BUTTON_NAMES, LED_NAMES, ButtonEdge, ButtonName, Buttons, HardwareError, LedName, Leds
from hw.gestures import (
    CHORD_STEPS_S,
    HOLD_S,
    ChordEnd,
    ChordHeld,
    DoublePress,
    Gesture,
    Gestures,
    HoldEnd,
    HoldStart,
    Press,
)
from hw.patterns import Pattern, brightness, is_animated

FRAME_S = 0.04  # 25 pictures a second: a pulse looks smooth, 4 Hz is exact
QUALITY_LEDS: tuple[LedName, ...] = ("quality1", "quality2", "quality3", "quality4", "quality5")
WALK_STEP_S = 0.5  # how long each LED is lit when they are shown one by one


@dataclass(frozen=True, slots=True)
class PanelState:
    """`muted` is the audio gate of the uplink, not the wish. `push_to_talk`: the mute button is held to talk, and a
    press of it is a short hold."""

    connection: ConnectionState = ConnectionState.DISCONNECTED
    muted: bool = False
    has_microphone: bool = True
    quality: NetworkQuality = NetworkQuality.UNKNOWN
    call: CallPhase = CallPhase.IDLE
    error: bool = False
    identify: bool = False
    setup: bool = False
    reset_warning: bool = False
    push_to_talk: bool = False


@dataclass(frozen=True, slots=True)
class ToggleMute:
    pass


@dataclass(frozen=True, slots=True)
class PushToTalk:
    """Open the gate (`on`) while the button is held, shut it again after."""

    on: bool


@dataclass(frozen=True, slots=True)
class AnswerOrCall:
    pass


@dataclass(frozen=True, slots=True)
class HangUp:
    """Hang up, refuse, or stop ringing out."""


@dataclass(frozen=True, slots=True)
class SetupMode:
    pass


@dataclass(frozen=True, slots=True)
class ResetWarning:
    """A factory reset comes if both buttons stay down (`on`); they were let go in time (not `on`)."""

    on: bool


@dataclass(frozen=True, slots=True)
class FactoryReset:
    pass


Command = ToggleMute | PushToTalk | AnswerOrCall | HangUp | SetupMode | ResetWarning | FactoryReset

_CONNECTION = {
    ConnectionState.DISCONNECTED: Pattern.OFF,
    ConnectionState.CONNECTING: Pattern.BLINK_1_HZ,
    ConnectionState.CONNECTED: Pattern.ON,
    ConnectionState.RECONNECTING: Pattern.BLINK_4_HZ,
    ConnectionState.RECONNECTED: Pattern.ON,
    ConnectionState.DISCONNECTING: Pattern.OFF,
}
_RINGING = {CallPhase.RINGING_IN: Pattern.BLINK_1_HZ, CallPhase.RINGING_OUT: Pattern.SLOW_PULSE}


def _bar(pattern: Pattern) -> dict[LedName, Pattern]:
    return dict.fromkeys(QUALITY_LEDS, pattern)


def _quality(level: NetworkQuality) -> dict[LedName, Pattern]:
    if level in (NetworkQuality.UNKNOWN, NetworkQuality.DOWN):
        return _bar(Pattern.ALL_FLASH if level is NetworkQuality.DOWN else Pattern.OFF)
    lit = len(QUALITY_LEDS) + 1 - level
    return {name: Pattern.ON if index < lit else Pattern.OFF for index, name in enumerate(QUALITY_LEDS)}


def leds(state: PanelState) -> dict[LedName, Pattern]:
    """Every LED's pattern. The ladder, from the lowest need up; a higher one paints over what it needs."""
    patterns = {"connection": _CONNECTION[state.connection], **_quality(state.quality)}  # idle
    patterns["mute"] = Pattern.ON if state.muted else Pattern.OFF
    if not state.has_microphone:
        patterns["mute"] = Pattern.SLOW_PULSE
    if state.call in _RINGING:
        patterns |= _bar(_RINGING[state.call])
    if state.error:
        patterns["connection"] = Pattern.TWO_FLASHES
    if state.identify:
        patterns |= dict.fromkeys(LED_NAMES, Pattern.ALL_FLASH)
    if state.setup:
        patterns |= {"connection": Pattern.SLOW_PULSE, **_bar(Pattern.OFF)}
    if state.reset_warning:
        patterns |= dict.fromkeys(LED_NAMES, Pattern.BLINK_4_HZ)
    return {name: patterns[name] for name in LED_NAMES}


def _hold_s(state: PanelState) -> Mapping[ButtonName, float]:
    """From when on a button that is down is held."""
    return {**HOLD_S, "mute": 0.0} if state.push_to_talk else HOLD_S


def walk(t_s: float) -> dict[LedName, float] | None:
    """Brightness of every LED `t_s` after a walk began, one lit after the other; None when it is over."""
    at = int(t_s / WALK_STEP_S)
    return {name: float(index == at) for index, name in enumerate(LED_NAMES)} if at < len(LED_NAMES) else None


class Commander:
    """Gestures to commands. Remembers what is on only while a button is held: talking, and the reset warning."""

    def __init__(self) -> None:
        self.talking = False
        self.reset_warning = False

    def command(self, gesture: Gesture, state: PanelState) -> Command | None:
        match gesture:
            case Press("mute") | DoublePress("mute"):
                return ToggleMute()
            case HoldStart("mute") if state.muted or state.push_to_talk:
                self.talking = True
                return PushToTalk(on=True)
            case HoldEnd("mute") if self.talking:
                self.talking = False
                return PushToTalk(on=False)
            case Press("call"):  # a double press is an impatient press: it must not hang up what the first one began
                return self._call(state.call)
            case HoldStart("call"):
                return HangUp()
            case ChordHeld(step_s):
                return self._chord(CHORD_STEPS_S.index(step_s))
            case ChordEnd() if self.reset_warning:
                self.reset_warning = False
                return ResetWarning(on=False)
        return None

    def _call(self, phase: CallPhase) -> Command | None:
        if phase is CallPhase.IN_CALL:
            return None
        return HangUp() if phase is CallPhase.RINGING_OUT else AnswerOrCall()

    def _chord(self, step: int) -> Command:
        self.reset_warning = step == 1
        return (SetupMode(), ResetWarning(on=True), FactoryReset())[step]


class FrontPanel:
    """Runs the patterns of the newest `show`n state, and calls `on_command` on the loop for every command.

    `run` is a child for a supervisor. It wakes up for edges, deadlines of gestures and new states, and 25 times a
    second only while an LED is animated.
    """

    def __init__(self, leds: Leds, buttons: Buttons, on_command: Callable[[Command], None]) -> None:
        self._leds = leds
        self._buttons = buttons
        self._on_command = on_command
        self._gestures = Gestures()
        self._commander = Commander()
        self._state = PanelState()
        self._shown: dict[LedName, float] = {}
        self._wake = asyncio.Event()
        self._moved: set[ButtonName] = set()  # pressed or let go since they were opened
        self._walk_s: float | None = None  # when a walk began

    @property
    def patterns(self) -> dict[LedName, Pattern]:
        """What every LED shows now."""
        return leds(replace(self._state, reset_warning=self._state.reset_warning or self._commander.reset_warning))

    def stuck(self, held: Iterable[ButtonName]) -> tuple[ButtonName, ...]:
        """Buttons that have been down for too long, or since they were opened (`held` were, then)."""
        since_opening = {button for button in held if button not in self._moved}
        return tuple(button for button in BUTTON_NAMES if button in self._gestures.stuck or button in since_opening)

    def show(self, state: PanelState) -> None:
        if state != self._state:
            self._state = state
            self._gestures.hold_s = _hold_s(state)
            self._wake.set()

    def walk(self) -> None:
        """Light one LED after the other, so that somebody can look; then they show the state again."""
        self._walk_s = time.monotonic()
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled; may be run again. HardwareError of buttons and LEDs passes through.

        Afterwards a push to talk is over, the buttons are closed and the LEDs dark; who made the LEDs closes them.
        """
        loop = asyncio.get_running_loop()
        self._gestures, self._commander = Gestures(_hold_s(self._state)), Commander()
        self._shown.clear()
        self._moved.clear()

        def sink(edge: ButtonEdge) -> None:
            loop.call_soon_threadsafe(self._edge, edge)

        def open_both() -> None:  # a GPIO chip takes a while
            self._buttons.start(sink)
            self._leds.set({})

        opening = asyncio.create_task(asyncio.to_thread(open_both), name="front-panel-open")
        try:
            await asyncio.wait({opening})
            opening.result()
            try:
                await self._animate()
            finally:
                if self._commander.talking:
                    self._on_command(PushToTalk(on=False))
                with contextlib.suppress(HardwareError):
                    self._leds.set(dict.fromkeys(LED_NAMES, 0.0))
        finally:
            await asyncio.gather(opening, return_exceptions=True)  # what was begun is closed
            self._buttons.close()

    def _edge(self, edge: ButtonEdge) -> None:
        self._moved.add(edge.button)
        self._obey(self._gestures.feed(edge))
        self._wake.set()

    def _obey(self, gestures: list[Gesture]) -> None:
        for gesture in gestures:
            command = self._commander.command(gesture, self._state)
            if command is not None:
                self._on_command(command)

    async def _animate(self) -> None:
        while True:
            self._wake.clear()
            now_s = time.monotonic()
            self._obey(self._gestures.advance(now_s))
            patterns = self.patterns
            walking = walk(now_s - self._walk_s) if self._walk_s is not None else None
            if walking is None:
                self._walk_s = None
            self._light(walking or {name: brightness(pattern, now_s) for name, pattern in patterns.items()})
            delays_s = [FRAME_S] if walking or any(map(is_animated, patterns.values())) else []
            if (deadline_s := self._gestures.next_deadline_s()) is not None:
                delays_s.append(max(0.0, deadline_s - now_s))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(delays_s, default=None)):
                    await self._wake.wait()

    def _light(self, levels: dict[LedName, float]) -> None:
        changed = {name: level for name, level in levels.items() if self._shown.get(name) != level}
        if changed:
            self._leds.set(changed)
            self._shown |= changed
