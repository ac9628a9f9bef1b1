"""From an edge on a real pin to the silent wire: an output pin is wired to the mute button's pin and presses it.

ROOM_APPLIANCE_WIRE=23 make test-hardware       # BCM number of the pin that is wired to [gpio] mute_button
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from appliance.config import Config
from appliance.drivers import PanelDevices
from hw.gpio import GpioButtons, GpioLeds
from tests.bench.buttons import LIMIT_MS, Move, press
from tests.hardware.conftest import Person

pytestmark = pytest.mark.hardware

WIRE_VARIABLE = "ROOM_APPLIANCE_WIRE"


@pytest.mark.usefixtures("pi")
@pytest.mark.timeout(180)
async def test_press_to_mute(config: Config, person: Person) -> None:
    wire = int(os.environ.get(WIRE_VARIABLE, "0"))
    gpio = config.gpio
    if not wire:
        pytest.skip(f"no wire: connect a free pin to GPIO {gpio.mute_button} and give its number in ${WIRE_VARIABLE}")
    if not gpio.mute_button or config.panel.port:
        pytest.skip("the mute button is on no pin: gpio.mute_button is 0, or [panel] port is set")
    if not is_wired(wire, gpio.mute_button):
        pytest.skip(f"GPIO {gpio.mute_button} does not follow GPIO {wire}: is the wire there?")

    @asynccontextmanager
    async def wired() -> AsyncIterator[tuple[PanelDevices, Move]]:
        import gpiozero

        leds = GpioLeds(gpio.mute_led, gpio.connection_led, gpio.quality_leds, gpio.rgb_led)
        with gpiozero.DigitalOutputDevice(wire, initial_value=True) as pin:
            yield PanelDevices(leds, GpioButtons(gpio.mute_button)), lambda down: pin.off() if down else pin.on()

    person.told("the mute LED switches by itself for half a minute")
    took_ms = sorted((await press(wired())).wire_ms)
    p95 = took_ms[int(0.95 * len(took_ms))]
    person.told(
        f"press to mute: median {statistics.median(took_ms):.1f} ms, 95th {p95:.1f} ms, worst {took_ms[-1]:.1f}"
    )
    assert p95 <= LIMIT_MS


def is_wired(output: int, button: int) -> bool:
    """Whether `button` follows `output`; the first is an input all the time, so nothing is shorted."""
    import gpiozero

    def follows(pin: Any, contact: Any, level: bool) -> bool:
        pin.value = level
        time.sleep(0.01)
        return bool(contact.value) is not level  # active is low

    with (
        gpiozero.DigitalInputDevice(button, pull_up=True) as contact,
        gpiozero.DigitalOutputDevice(output, initial_value=True) as pin,
    ):
        return all(follows(pin, contact, level) for level in (False, True, False, True))
