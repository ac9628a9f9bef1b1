"""What the LEDs show for every state, what the buttons ask for, and the shell that runs both."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.front_panel import (
    QUALITY_LEDS,
    AnswerOrCall,
    Command,
    Commander,
    FactoryReset,
    FrontPanel,
    HangUp,
    PanelState,
    PushToTalk,
    ResetWarning,
    SetupMode,
    ToggleMute,
    leds,
)
from appliance.intercom import CallPhase
from appliance.room.events import ConnectionState, NetworkQuality
from hw import LED_NAMES, ButtonEdge, HardwareError, LedName
from hw.gestures import ChordEnd, ChordHeld, DoublePress, Gesture, HoldEnd, HoldStart, Press
from hw.mock import MockButtons, MockLeds
from hw.patterns import Pattern

C = ConnectionState
states = st.builds(
    PanelState,
    connection=st.sampled_from(ConnectionState),
    muted=st.booleans(),
    has_microphone=st.booleans(),
    quality=st.sampled_from(NetworkQuality),
    call=st.sampled_from(CallPhase),
    error=st.booleans(),
    identify=st.booleans(),
    setup=st.booleans(),
    reset_warning=st.booleans(),
)


@pytest.mark.parametrize(
    ("state", "led", "pattern"),
    [
        (PanelState(muted=True), "mute", Pattern.ON),
        (PanelState(muted=False), "mute", Pattern.OFF),
        (PanelState(has_microphone=False), "mute", Pattern.SLOW_PULSE),
        (PanelState(has_microphone=False, muted=True), "mute", Pattern.SLOW_PULSE),
        (PanelState(connection=C.DISCONNECTED), "connection", Pattern.OFF),
        (PanelState(connection=C.CONNECTING), "connection", Pattern.BLINK_1_HZ),
        (PanelState(connection=C.CONNECTED), "connection", Pattern.ON),
        (PanelState(connection=C.RECONNECTING), "connection", Pattern.BLINK_4_HZ),
        (PanelState(connection=C.RECONNECTED), "connection", Pattern.ON),
        (PanelState(connection=C.DISCONNECTING), "connection", Pattern.OFF),
        (PanelState(error=True), "connection", Pattern.TWO_FLASHES),
        (PanelState(setup=True), "connection", Pattern.SLOW_PULSE),
    ],
)
def test_single_leds(state: PanelState, led: LedName, pattern: Pattern) -> None:
    assert leds(state)[led] == pattern


@pytest.mark.parametrize(
    ("quality", "lit"),
    [
        (NetworkQuality.EXCELLENT, 5),
        (NetworkQuality.GOOD, 4),
        (NetworkQuality.POOR, 3),
        (NetworkQuality.BAD, 2),
        (NetworkQuality.VERY_BAD, 1),
        (NetworkQuality.UNKNOWN, 0),
    ],
)
def test_quality_bar(quality: NetworkQuality, lit: int) -> None:
    bar = [leds(PanelState(quality=quality))[name] for name in QUALITY_LEDS]
    assert bar == [Pattern.ON] * lit + [Pattern.OFF] * (5 - lit)


def test_quality_down_flashes_the_whole_bar() -> None:
    patterns = leds(PanelState(quality=NetworkQuality.DOWN))
    assert {patterns[name] for name in QUALITY_LEDS} == {Pattern.ALL_FLASH}
    assert patterns["mute"] == Pattern.OFF


NEEDS: list[tuple[dict[str, object], dict[LedName, Pattern]]] = [  # the ladder, the highest first
    ({"reset_warning": True}, dict.fromkeys(LED_NAMES, Pattern.BLINK_4_HZ)),
    ({"setup": True}, {"connection": Pattern.SLOW_PULSE, **dict.fromkeys(QUALITY_LEDS, Pattern.OFF)}),
    ({"identify": True}, dict.fromkeys(LED_NAMES, Pattern.ALL_FLASH)),
    ({"error": True}, {"connection": Pattern.TWO_FLASHES}),
    ({"call": CallPhase.RINGING_IN}, dict.fromkeys(QUALITY_LEDS, Pattern.BLINK_1_HZ)),
    ({"muted": True}, {"mute": Pattern.ON}),
]


@pytest.mark.parametrize(("higher", "lower"), list(itertools.combinations(range(len(NEEDS)), 2)))
def test_higher_needs_win(higher: int, lower: int) -> None:
    (above, shown), (below, _) = NEEDS[higher], NEEDS[lower]
    patterns = leds(PanelState(connection=C.CONNECTED, quality=NetworkQuality.GOOD, **{**above, **below}))  # type: ignore[arg-type]
    assert {name: patterns[name] for name in shown} == shown


@given(states)
def test_every_state_shows_every_led_and_the_gate_is_never_hidden_by_a_call(state: PanelState) -> None:
    patterns = leds(state)
    assert tuple(patterns) == LED_NAMES
    if state.has_microphone and not (state.identify or state.reset_warning):
        assert (patterns["mute"] == Pattern.ON) == state.muted


@pytest.mark.parametrize(
    ("gesture", "state", "command"),
    [
        (Press("mute"), PanelState(), ToggleMute()),
        (DoublePress("mute"), PanelState(), ToggleMute()),
        (Press("call"), PanelState(), AnswerOrCall()),
        (Press("call"), PanelState(call=CallPhase.RINGING_IN), AnswerOrCall()),
        (Press("call"), PanelState(call=CallPhase.RINGING_OUT), HangUp()),
        (Press("call"), PanelState(call=CallPhase.IN_CALL), None),
        (DoublePress("call"), PanelState(call=CallPhase.RINGING_OUT), None),
        (HoldStart("call"), PanelState(call=CallPhase.IN_CALL), HangUp()),
        (HoldEnd("call"), PanelState(call=CallPhase.IN_CALL), None),
        (HoldStart("mute"), PanelState(muted=True), PushToTalk(on=True)),
        (HoldStart("mute"), PanelState(muted=False), None),
        (HoldEnd("mute"), PanelState(muted=False), None),
        (ChordHeld(5.0), PanelState(), SetupMode()),
        (ChordHeld(10.0), PanelState(), ResetWarning(on=True)),
        (ChordHeld(20.0), PanelState(), FactoryReset()),
        (ChordEnd(), PanelState(), None),
    ],
)
def test_commands(gesture: Gesture, state: PanelState, command: Command | None) -> None:
    assert Commander().command(gesture, state) == command


def test_push_to_talk_ends_though_the_gate_is_open_by_then() -> None:
    commander = Commander()
    assert commander.command(HoldStart("mute"), PanelState(muted=True)) == PushToTalk(on=True)
    assert commander.command(HoldEnd("mute"), PanelState(muted=False)) == PushToTalk(on=False)
    assert commander.command(HoldEnd("mute"), PanelState(muted=False)) is None


def test_the_reset_warning_is_withdrawn_when_let_go_in_time_and_not_after() -> None:
    commander = Commander()
    for step_s in (5.0, 10.0):
        commander.command(ChordHeld(step_s), PanelState())
    assert commander.command(ChordEnd(), PanelState()) == ResetWarning(on=False)
    for step_s in (5.0, 10.0, 20.0):
        commander.command(ChordHeld(step_s), PanelState())
    assert commander.command(ChordEnd(), PanelState()) is None


class Rig:
    """A front panel that runs, its mock hardware and its commands."""

    def __init__(self) -> None:
        self.commands: asyncio.Queue[Command] = asyncio.Queue()
        self.changed = asyncio.Event()
        self.leds = MockLeds(lambda _: self.changed.set())
        self.buttons = MockButtons()
        self.panel = FrontPanel(self.leds, self.buttons, self._obey)
        self._thread = threading.current_thread()

    def _obey(self, command: Command) -> None:
        assert threading.current_thread() is self._thread, "commands come on the loop"
        self.commands.put_nowait(command)

    async def command(self) -> Command:
        return await asyncio.wait_for(self.commands.get(), 5)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not true():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def running(state: PanelState) -> AsyncIterator[Rig]:
    rig = Rig()
    rig.panel.show(state)
    task = asyncio.create_task(rig.panel.run())
    await rig.until(lambda: bool(rig.leds.history))
    try:
        yield rig
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_new_state_is_shown_at_once_and_the_leds_go_dark_at_the_end() -> None:
    async with running(PanelState(connection=C.CONNECTED)) as rig:
        assert rig.leds.brightness["connection"] == 1.0
        rig.panel.show(PanelState(connection=C.CONNECTED, muted=True))
        await rig.until(lambda: rig.leds.brightness["mute"] == 1.0)
        assert rig.panel.patterns["mute"] == Pattern.ON
    assert not any(rig.leds.brightness.values())
    rig.buttons.click("mute")
    await asyncio.sleep(0)
    assert rig.commands.empty(), "the buttons are closed"


async def test_nothing_is_set_while_nothing_moves() -> None:
    async with running(PanelState(connection=C.CONNECTED)) as rig:
        count = len(rig.leds.history)
        rig.panel.show(PanelState(connection=C.CONNECTED))
        rig.buttons.click("call")
        await rig.command()
        rig.buttons.click("call")
        assert len(rig.leds.history) == count


async def test_an_animated_led_moves() -> None:
    async with running(PanelState(connection=C.RECONNECTING)) as rig:
        await rig.until(lambda: len(rig.leds.history) >= 5)
    times = [at_s for at_s, what in rig.leds.history if "connection" in what]
    assert 0.08 < times[4] - times[2] < 1.0, "4 Hz changes every 125 ms"


async def test_a_pulse_runs_at_a_modest_rate() -> None:
    async with running(PanelState(setup=True)) as rig:
        await rig.until(lambda: len(rig.leds.history) >= 8)
        times = [at_s for at_s, _ in rig.leds.history]
    assert times[7] - times[1] >= 6 * 0.035


async def test_buttons_in_commands_out_from_another_thread() -> None:
    async with running(PanelState()) as rig:
        await asyncio.to_thread(rig.buttons.click, "mute")
        assert await rig.command() == ToggleMute()
        rig.buttons.click("call")
        assert await rig.command() == AnswerOrCall()


async def test_push_to_talk_while_held() -> None:
    async with running(PanelState(muted=True)) as rig:
        rig.buttons.press("mute")
        assert await rig.command() == PushToTalk(on=True)
        rig.panel.show(PanelState(muted=False))
        rig.buttons.release("mute")
        assert await rig.command() == PushToTalk(on=False)


async def test_where_pushing_is_talking_a_press_is_a_short_hold() -> None:
    async with running(PanelState(muted=True, push_to_talk=True)) as rig:
        for _ in range(2):
            rig.buttons.click("mute")
            assert await rig.command() == PushToTalk(on=True)
            assert await rig.command() == PushToTalk(on=False)
        rig.panel.show(PanelState(muted=True))
        rig.buttons.click("mute")
        assert await rig.command() == ToggleMute()


async def test_a_panel_that_ends_shuts_the_gate_it_opened() -> None:
    async with running(PanelState(muted=True)) as rig:
        rig.buttons.press("mute")
        assert await rig.command() == PushToTalk(on=True)
    assert await rig.command() == PushToTalk(on=False)


async def test_it_runs_again() -> None:
    rig = Rig()
    for _ in range(2):
        task = asyncio.create_task(rig.panel.run())
        await rig.until(lambda: bool(rig.leds.history))
        rig.buttons.click("mute")
        assert await rig.command() == ToggleMute()
        task.cancel()
        await asyncio.wait({task})
        rig.leds.history.clear()


async def test_buttons_that_cannot_be_opened() -> None:
    class Broken(MockButtons):
        def start(self, sink: Callable[[ButtonEdge], None]) -> None:
            raise HardwareError("no GPIO here")

    leds = MockLeds()
    with pytest.raises(HardwareError, match="no GPIO here"):
        await FrontPanel(leds, Broken(), lambda _: None).run()
    assert not leds.history
