"""From a button's edge to the shut mute gate and to the silent wire, in a session that sends to somebody."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gpiozero
from gpiozero.pins.mock import MockFactory, MockPWMPin

from appliance.drivers import PanelDevices
from appliance.media import aiortc_hooks
from appliance.panel_link import PanelLink
from appliance.room.uplink_leg import UplinkLeg
from appliance.session import Session
from hw.gpio import GpioButtons, GpioLeds
from hw.mock import MockButtons, MockLeds
from hw.panel import SerialPanel
from tests.appliance.unit import MockDevices, idle_intercom, new_session, until
from tests.bench.measure import role
from tests.bench.table import Row, percentile, row
from tests.hw.test_panel import PtyPanel
from tests.wire import Wire

PRESSES = 60
LIMIT_MS = 20.0  # who has pressed the button is not heard after it
FINGER_S = 0.06
SILENCE_BYTES = 80  # headers and Opus of silence, which goes on behind a shut gate; of a tone twice as much
HEARD_S = 0.05  # packets of sound are at most so far apart
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


@dataclass
class Presses:
    """ms from the last edge of each press that mutes, for a press is told when the button is let go: to the shut gate,
    and to the last packet of sound on the wire; 0 where none came after it.
    """

    gate_ms: list[float] = field(default_factory=list)
    wire_ms: list[float] = field(default_factory=list)


class Ear:
    """When the last packet of sound passed a wire. Headers of RTP are not encrypted."""

    def __init__(self, wire: Wire, offer: str) -> None:
        found = re.search(r"a=rtpmap:(\d+) opus", offer)
        assert found is not None
        self._payload_type = int(found[1])
        self.last_s = 0.0
        wire.drop = self._hear

    def _hear(self, data: bytes) -> bool:
        if len(data) > SILENCE_BYTES and 128 <= data[0] < 192 and data[1] & 0x7F == self._payload_type:
            self.last_s = time.monotonic()
        return False


async def press(panel: Panel) -> Presses:
    aiortc_hooks.install(["127.0.0.1"])
    session, bus = new_session("ws://127.0.0.1:9", MockDevices(), auto_join=False)
    async with panel as (devices, move):
        link = PanelLink(devices, session, idle_intercom(session, bus), bus)
        tasks = [asyncio.create_task(session.run(), name="session"), asyncio.create_task(link.run(), name="panel")]
        try:
            await until(lambda: session.has("audio") and link.health == "ok")
            return await _in_a_call(session, move)
        finally:
            for task in reversed(tasks):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await asyncio.to_thread(devices.leds.close)


async def _in_a_call(session: Session, move: Move) -> Presses:
    assert session.uplink is not None
    leg = UplinkLeg("bench", session.uplink, ("audio",), ice_servers=(), on_closed=lambda reason: None)
    with Wire() as wire:
        async with role("ours", "sink") as sink:
            try:
                offer = await leg.offer()
                ear = Ear(wire, offer)
                answer = await sink.ask("answer", sdp=wire.route(offer))
                await leg.accept(wire.route(answer["sdp"]))
                await sink.ask("connected")
                return await asyncio.to_thread(_press_all, session, move, ear)
            finally:
                await leg.close()


def _press_all(session: Session, move: Move, ear: Ear) -> Presses:
    presses = Presses()
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
        gate_s = time.monotonic()
        time.sleep(FINGER_S)
        if shut:
            presses.gate_ms.append((gate_s - released_s) * 1000)
            presses.wire_ms.append(max(0.0, ear.last_s - released_s) * 1000)
            if ear.last_s < released_s - HEARD_S:
                raise RuntimeError("nothing was on the wire before the press")
    return presses


async def rows() -> AsyncIterator[Row]:
    for name, panel in (("GPIO", gpio), ("UART", uart), ("mock", mock)):
        presses = await press(panel())
        limit = f"the limit of {LIMIT_MS:g} ms"
        for what, took_ms in (("shut gate", presses.gate_ms), ("silent wire", presses.wire_ms)):
            measure = f"button edge to {what} p99, {name}"
            yield row(measure, "ms", percentile(took_ms, 0.99), LIMIT_MS, 1.0, peer=limit)
