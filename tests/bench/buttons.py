"""From a button's edge to the shut mute gate, in a session whose camera and microphone run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gpiozero
from gpiozero.pins.mock import MockFactory, MockPWMPin

from appliance.drivers import PanelDevices
from appliance.panel_link import PanelLink
from appliance.session import Session
from hw.gpio import GpioButtons, GpioLeds
from hw.mock import MockButtons, MockLeds
from hw.panel import SerialPanel
from tests.appliance.unit import MockDevices, idle_intercom, new_session, until
from tests.bench.table import Row, percentile, row
from tests.hw.test_panel import PtyPanel

PRESSES = 60
LIMIT_MS = 20.0  # who has pressed the button is not heard after it
FINGER_S = 0.06
_POLL_S = 0.0002
_LOST_S = 5.0

Move = Callable[[bool], None]  # the mute button, down or up
Panel = AbstractAsyncContextManager[tuple[PanelDevices, Move]]


@asynccontextmanager
async def gpio() -> AsyncIterator[tuple[PanelDevices, Move]]:
    """gpiozero's mock pins; driver, thread and debouncing are those of a Pi."""
    factory: Any = MockFactory(pin_class=MockPWMPin)
    gpiozero.Device.pin_factory = factory
    try:
        devices = PanelDevices(GpioLeds(27, 5, (6, 13, 19)), GpioButtons(17, 22))
        yield devices, lambda down: factory.pin(17).drive_low() if down else factory.pin(17).drive_high()
    finally:
        gpiozero.Device.pin_factory = None


@asynccontextmanager
async def uart() -> AsyncIterator[tuple[PanelDevices, Move]]:
    """The example panel on a pty; its own debouncing (5 ms) is not in it."""
    with TemporaryDirectory() as directory:
        far = PtyPanel(Path(directory) / "panel")
        far.plug_in()
        panel = SerialPanel(str(far.link))
        try:
            yield PanelDevices(panel.leds, panel.buttons, lambda: panel.trouble), lambda down: _push(far, down)
        finally:
            far.unplug()


def _push(far: PtyPanel, down: bool) -> None:
    far.button(1, down)


@asynccontextmanager
async def mock() -> AsyncIterator[tuple[PanelDevices, Move]]:
    """No driver at all: what the panel, the loop and the gate take."""
    buttons = MockButtons()
    yield PanelDevices(MockLeds(), buttons), lambda down: buttons.press("mute") if down else buttons.release("mute")


async def edge_to_gate_ms(panel: Panel) -> list[float]:
    """Of each press that shuts the gate, from its last edge: a press is told when the button is let go."""
    session, bus = new_session("ws://127.0.0.1:9", MockDevices(), auto_join=False)
    async with panel as (devices, move):
        link = PanelLink(devices, session, idle_intercom(session, bus), bus)
        tasks = [asyncio.create_task(session.run(), name="session"), asyncio.create_task(link.run(), name="panel")]
        try:
            await until(lambda: session.has("audio") and link.health == "ok")
            return await asyncio.to_thread(_press_all, session, move)
        finally:
            for task in reversed(tasks):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await asyncio.to_thread(devices.leds.close)


def _press_all(session: Session, move: Move) -> list[float]:
    took_ms: list[float] = []
    for count in range(2 * PRESSES):
        shut = count % 2 == 0
        move(True)
        time.sleep(FINGER_S)
        released_s = time.monotonic()
        move(False)
        while session.is_muted("audio") is not shut:
            if time.monotonic() - released_s > _LOST_S:
                raise RuntimeError("a press did not reach the gate")
            time.sleep(_POLL_S)
        if shut:
            took_ms.append((time.monotonic() - released_s) * 1000)
        time.sleep(FINGER_S)
    return took_ms


async def rows() -> list[Row]:
    table = []
    for name, panel in (("GPIO", gpio), ("UART", uart), ("mock", mock)):
        took_ms = await edge_to_gate_ms(panel())
        limit = f"the limit of {LIMIT_MS:g} ms"
        table.append(
            row(f"button edge to shut gate p99, {name}", "ms", percentile(took_ms, 0.99), LIMIT_MS, 1.0, peer=limit)
        )
    return table
