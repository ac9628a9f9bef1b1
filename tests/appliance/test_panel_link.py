"""The front panel on a session: real drivers (mock pins, a pty) shut the real gate; and a panel that is not there."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from appliance import panel_link
from appliance.config import parse
from appliance.drivers import PanelDevices, hardware
from appliance.panel_link import PanelLink
from appliance.session import Session
from appliance.unit_events import SetupModeChanged
from hw import BUTTON_NAMES, ButtonEdge
from hw.mock import MockButtons, MockLeds
from tests.appliance.unit import MockDevices, idle_intercom, new_session, running, until
from tests.hw.test_panel import PtyPanel

GPIO = '[audio]\ndriver = "none"\n[video]\ndriver = "none"\n[gpio]\ndriver = "gpiozero"\n'
NOBODY = "ws://127.0.0.1:9"


def devices_of(text: str) -> PanelDevices:
    panel = hardware(parse(text, "unit.toml")).panel
    assert panel is not None
    return panel


@pytest.fixture
def pins() -> Iterator[Any]:
    factory = MockFactory(pin_class=MockPWMPin)
    gpiozero.Device.pin_factory = factory
    yield factory
    factory.reset()
    gpiozero.Device.pin_factory = None


@pytest.fixture
def far(tmp_path: Path) -> Iterator[PtyPanel]:
    far = PtyPanel(tmp_path / "panel")
    far.plug_in()
    yield far
    far.unplug()


@asynccontextmanager
async def panel_on_a_session(panel: PanelDevices) -> AsyncIterator[tuple[PanelLink, Session]]:
    """Outside any room: the gate is there all the same."""
    session, bus = new_session(NOBODY, MockDevices(), auto_join=False)
    link = PanelLink(panel, session, idle_intercom(session, bus), bus)
    async with running(session):
        await until(lambda: session.has("audio"))
        task = asyncio.create_task(link.run(), name="panel under test")
        try:
            yield link, session
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await asyncio.to_thread(panel.leds.close)


async def test_a_button_on_a_pin_shuts_the_gate_and_the_led_shows_it(pins: Any) -> None:
    panel = devices_of(GPIO)
    async with panel_on_a_session(panel) as (link, session):
        await until(lambda: pins.pin(17).pull == "up", "the buttons are open")
        await until(lambda: pins.pin(27).function == "output", "the LEDs are open")
        for muted in (True, False):
            pins.pin(17).drive_low()
            pins.pin(17).drive_high()
            pins.pin(17).drive_low()
            await asyncio.sleep(0.05)  # of a finger
            pins.pin(17).drive_high()
            await until(lambda: session.is_muted("audio") is muted)  # noqa: B023
            await until(lambda: pins.pin(27).state == float(muted))  # noqa: B023
        assert link.health == "ok"
    assert pins.pin(17).function == pins.pin(27).function == "input"


async def test_push_to_talk_by_holding_a_pin(pins: Any) -> None:
    async with panel_on_a_session(devices_of(GPIO)) as (_, session):
        await until(lambda: pins.pin(27).function == "output")
        await session.gates.set("audio", True)
        await until(lambda: pins.pin(27).state == 1)
        pins.pin(17).drive_low()
        await until(lambda: not session.is_muted("audio"), "open while it is held")
        await until(lambda: pins.pin(27).state == 0)
        pins.pin(17).drive_high()
        await until(lambda: session.is_muted("audio"))


async def test_a_panel_on_a_serial_port(far: PtyPanel) -> None:
    panel = devices_of(GPIO + f'[panel]\nport = "{far.link}"\n')
    async with panel_on_a_session(panel) as (link, session):
        await until(lambda: link.health == "ok")
        far.button(1, True)
        far.button(1, False)
        await until(lambda: session.is_muted("audio"))
        await until(lambda: far.shown.get(1) == 255)


async def test_pulling_the_plug_ends_push_to_talk(far: PtyPanel) -> None:
    panel = devices_of(GPIO + f'[panel]\nport = "{far.link}"\n')
    async with panel_on_a_session(panel) as (link, session):
        await session.gates.set("audio", True)
        await until(lambda: link.health == "ok")
        far.button(1, True)
        await until(lambda: not session.is_muted("audio"))
        far.unplug()
        await until(lambda: session.is_muted("audio"))
        await until(lambda: link.health.startswith(f"degraded: front panel {far.link}"))
        far.plug_in()
        await until(lambda: link.health == "ok")
        await until(lambda: far.shown.get(1) == 255, "the LEDs tell the truth again")


async def test_a_panel_that_cannot_be_opened_is_tried_again(pins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel_link, "REOPEN_DELAYS_S", (0.02,))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "gpiozero", None)
        async with panel_on_a_session(devices_of(GPIO)) as (link, session):
            await until(lambda: link.health == "degraded: GPIO: gpiozero is not installed; " + PIP)
            await session.gates.set("audio", True)
            without.undo()
            await until(lambda: link.health == "ok")
            await until(lambda: pins.pin(27).state == 1)


PIP = "pip install 'room-appliance[pi]'"


def test_auto_is_gpio_on_a_raspberry_pi_only(monkeypatch: pytest.MonkeyPatch) -> None:
    config = parse(GPIO.replace('"gpiozero"', '"auto"'), "unit.toml")
    assert hardware(config).panel is None
    monkeypatch.setattr("appliance.drivers.is_raspberry_pi", lambda: True)
    assert hardware(config).panel is not None


class Fingers:
    """Buttons whose edges have the time that the test gives them."""

    def __init__(self) -> None:
        self.sink: Callable[[ButtonEdge], None] | None = None

    def start(self, sink: Callable[[ButtonEdge], None]) -> None:
        self.sink = sink

    def close(self) -> None:
        self.sink = None


async def test_both_buttons_ask_for_set_up_mode_and_then_for_the_factory_state() -> None:
    session, bus = new_session(NOBODY, MockDevices(), auto_join=False)
    leds, fingers, asked = MockLeds(), Fingers(), list[str]()

    async def reset() -> None:
        asked.append("reset")

    panel = PanelDevices(leds, fingers)
    link = PanelLink(
        panel, session, idle_intercom(session, bus), bus, on_setup=lambda: asked.append("setup"), on_reset=reset
    )
    task = asyncio.create_task(link.run(), name="panel under test")
    try:
        await until(lambda: fingers.sink)
        assert fingers.sink is not None
        now_s = time.monotonic()
        for button in BUTTON_NAMES:
            fingers.sink(ButtonEdge(button, True, now_s - 10.5))
        await until(lambda: asked == ["setup"])
        await until(lambda: set(link.patterns.values()) == {"4hz"}, "the warning")
        fingers.sink(ButtonEdge("mute", False, now_s - 0.2))
        fingers.sink(ButtonEdge("call", False, now_s - 0.1))
        await until(lambda: set(link.patterns.values()) != {"4hz"})
        for button in BUTTON_NAMES:
            fingers.sink(ButtonEdge(button, True, now_s))
        fingers.sink(ButtonEdge("mute", False, now_s + 20.1))
        await until(lambda: asked == ["setup", "setup", "reset"])
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_set_up_mode_is_shown() -> None:
    session, bus = new_session(NOBODY, MockDevices(), auto_join=False)
    link = PanelLink(PanelDevices(MockLeds(), MockButtons()), session, idle_intercom(session, bus), bus)
    task = asyncio.create_task(link.run(), name="panel under test")
    try:
        await until(lambda: link.patterns["connection"] == "off")
        for is_shown, pattern in ((True, "slow-pulse"), (False, "off")):
            bus.publish(SetupModeChanged(phase="access-point", is_shown=is_shown))
            await until(lambda: link.patterns["connection"] == pattern)  # noqa: B023
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
