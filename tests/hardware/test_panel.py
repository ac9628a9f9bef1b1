"""LEDs and buttons of the unit's own front panel, on GPIO or a serial port."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator

import pytest

from appliance.config import Config
from appliance.drivers import PanelDevices, hardware
from hw import BUTTON_NAMES, LED_NAMES, ButtonEdge, ButtonName, HardwareError
from hw.patterns import Pattern, brightness
from tests.hardware.conftest import Person

pytestmark = pytest.mark.hardware

OPEN_S = 3.0
PRESS_S = 20.0
PRESSES = 5


@pytest.fixture
def edges() -> queue.SimpleQueue[ButtonEdge]:
    return queue.SimpleQueue()


@pytest.fixture
def panel(config: Config, edges: queue.SimpleQueue[ButtonEdge]) -> Iterator[PanelDevices]:
    found = hardware(config).panel
    if found is None:
        pytest.skip("no front panel: this is no Raspberry Pi, or [gpio] driver is none and [panel] port empty")
    try:
        found.buttons.start(edges.put)
        found.leds.set({})
    except HardwareError as exc:
        pytest.skip(str(exc))
    try:
        deadline_s = time.monotonic() + OPEN_S
        while found.trouble() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        if found.trouble():
            pytest.skip(found.trouble())
        yield found
    finally:
        found.buttons.close()
        found.leds.close()


def test_each_led_lights_alone(panel: PanelDevices, person: Person) -> None:
    for name in LED_NAMES:
        person.told(f"only the LED {name} is lit, if the panel has it")
        panel.leds.set({each: float(each == name) for each in LED_NAMES})
        time.sleep(1.0)
    panel.leds.set(dict.fromkeys(LED_NAMES, 0.0))
    assert person.says_yes("Did each LED of the panel light when it was named, and no other one?")


def test_brightness_changes_smoothly(panel: PanelDevices, person: Person) -> None:
    """By PWM: no flicker, no steps."""
    person.told("all LEDs pulse slowly, three times")
    start_s = time.monotonic()
    while (at_s := time.monotonic() - start_s) < 6.0:
        panel.leds.set(dict.fromkeys(LED_NAMES, brightness(Pattern.SLOW_PULSE, at_s)))
        time.sleep(0.02)
    panel.leds.set(dict.fromkeys(LED_NAMES, 0.0))
    assert person.says_yes("Did they pulse without flicker or steps?")


@pytest.mark.parametrize("button", BUTTON_NAMES)
@pytest.mark.timeout(120)
def test_each_press_is_one_press(
    button: ButtonName,
    panel: PanelDevices,
    edges: queue.SimpleQueue[ButtonEdge],
    config: Config,
    person: Person,
) -> None:
    """A contact that bounces must not count twice."""
    if not config.panel.port and not getattr(config.gpio, f"{button}_button"):
        pytest.skip(f"gpio.{button}_button is 0: not connected")
    assert button not in panel.held(), f"the {button} button is down already; is it stuck, or its wire on ground?"
    person.told(f"press the {button} button {PRESSES} times, as fast as you like; the mute LED follows it")
    told: list[ButtonEdge] = []
    while len(told) < 2 * PRESSES:
        try:
            edge = edges.get(timeout=PRESS_S)
        except queue.Empty:
            if not told:
                pytest.skip(f"nobody pressed the {button} button within {PRESS_S:g} s")
            break
        panel.leds.set({"mute": float(edge.pressed)})
        told.append(edge)
    assert person.says_yes(f"{PRESSES} presses were counted. Was it you, {PRESSES} times, not fewer?")
    assert [(edge.button, edge.pressed) for edge in told] == [(button, True), (button, False)] * PRESSES
    assert edges.empty(), "more edges than presses"
