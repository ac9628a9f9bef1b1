"""Pins of gpiozero's MockFactory: the driver, its thread and its debouncing are real."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockPin, MockPWMPin

from hw import LED_NAMES, ButtonEdge, HardwareError
from hw.debounce import MIN_GAP_S
from hw.gpio import GpioButtons, GpioLeds

EDGE_TIMEOUT_S = 5.0


@pytest.fixture
def pins() -> Iterator[Any]:
    factory = MockFactory(pin_class=MockPWMPin)
    gpiozero.Device.pin_factory = factory
    yield factory
    factory.reset()
    gpiozero.Device.pin_factory = None


class Fingers:
    """Buttons on mock pins 17 (mute) and 22 (call), and the edges that they made."""

    def __init__(self, pins: Any, buttons: GpioButtons) -> None:
        self.mute, self.call = pins.pin(17), pins.pin(22)
        self.edges: queue.SimpleQueue[ButtonEdge] = queue.SimpleQueue()
        buttons.start(self.edges.put)

    def next(self) -> ButtonEdge:
        return self.edges.get(timeout=EDGE_TIMEOUT_S)


@pytest.fixture
def buttons() -> Iterator[GpioButtons]:
    buttons = GpioButtons(mute=17, call=22)
    yield buttons
    buttons.close()


def test_a_button_closes_to_ground(pins: Any, buttons: GpioButtons) -> None:
    fingers = Fingers(pins, buttons)
    assert fingers.mute.pull == "up"
    before_s = time.monotonic()
    fingers.mute.drive_low()
    after_s = time.monotonic()
    edge = fingers.next()
    assert (edge.button, edge.pressed) == ("mute", True)
    assert before_s <= edge.at_s <= after_s  # of the touch, not of the settling
    fingers.call.drive_low()
    assert (edge := fingers.next()).button == "call"
    fingers.mute.drive_high()
    assert not fingers.next().pressed


def test_five_bounces_are_one_press(pins: Any, buttons: GpioButtons) -> None:
    fingers = Fingers(pins, buttons)
    for _ in range(5):
        fingers.mute.drive_low()
        fingers.mute.drive_high()
    fingers.mute.drive_low()
    assert fingers.next().pressed
    for _ in range(5):
        fingers.mute.drive_high()
        fingers.mute.drive_low()
    fingers.mute.drive_high()
    released = fingers.next()
    assert not released.pressed
    fingers.call.drive_low()  # what comes next is this, and not one of the bounces
    assert fingers.next().button == "call"


def test_a_stuck_button_is_named_and_means_nothing(pins: Any, buttons: GpioButtons) -> None:
    class Stuck(MockPWMPin):  # type: ignore[misc]  # gpiozero is untyped
        def _set_pull(self, value: str) -> None:
            super()._set_pull(value)
            self.drive_low()

    pins.pin(17, pin_class=Stuck)
    fingers = Fingers(pins, buttons)
    assert buttons.held == ("mute",)
    fingers.mute.drive_high()
    assert not fingers.next().pressed  # a release alone is no gesture
    fingers.mute.drive_low()
    assert fingers.next().pressed


def test_closing_leaves_no_thread_and_frees_the_pins(pins: Any, buttons: GpioButtons) -> None:
    fingers = Fingers(pins, buttons)
    fingers.mute.drive_low()
    fingers.next()
    buttons.close()
    buttons.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "gpio-buttons"]
    with gpiozero.LED(17):
        pass
    again = Fingers(pins, buttons)
    again.call.drive_low()
    assert again.next().button == "call"


def test_pins_that_are_not_connected(pins: Any) -> None:
    buttons = GpioButtons(mute=0, call=22)
    edges: queue.SimpleQueue[ButtonEdge] = queue.SimpleQueue()
    buttons.start(edges.put)
    pins.pin(22).drive_low()
    assert edges.get(timeout=EDGE_TIMEOUT_S).button == "call"
    buttons.close()
    leds = GpioLeds()
    leds.set(dict.fromkeys(LED_NAMES, 1.0))
    leds.close()
    assert pins.pins.keys() == {pins.pin(22).info}


def test_brightness_is_pwm(pins: Any) -> None:
    leds = GpioLeds(mute=27, connection=5, quality=(6, 13, 19))
    leds.set({"mute": 0.25})
    assert pins.pin(27).state == 0.25
    assert pins.pin(27).frequency
    leds.set({"connection": 1.0, "quality1": 1.0})
    assert pins.pin(27).state == 0.25
    assert [pins.pin(pin).state for pin in (5, 6, 13, 19)] == [1, 0, 0, 1]  # best first
    leds.close()
    assert pins.pin(27).function == "input"


def test_a_pattern_at_its_times(pins: Any) -> None:
    leds = GpioLeds(mute=27)
    leds.set({"mute": 1.0})
    pins.pin(27).clear_states()
    time.sleep(0.1)
    leds.set({"mute": 0.0})
    leds.set({"mute": 0.0})
    time.sleep(0.1)
    leds.set({"mute": 0.5})
    states = pins.pin(27).states
    assert [state.state for state in states] == [1, 0, 0.5]
    assert all(state.timestamp >= 0.09 for state in states[1:])
    leds.close()


def test_one_rgb_led(pins: Any) -> None:
    leds = GpioLeds(mute=27, connection=5, rgb_led=(16, 20, 21), active_low=True)
    leds.set({})
    assert [pins.pin(pin).state for pin in (16, 20, 21)] == [1, 1, 1]  # dark: common anode
    leds.set(dict.fromkeys(LED_NAMES, 1.0) | {"mute": 0.0})
    assert [pins.pin(pin).state for pin in (16, 20, 21)] == [1, 0, 1]
    leds.set({"mute": 1.0})
    assert [pins.pin(pin).state for pin in (16, 20, 21)] == [0, 1, 1]
    assert pins.pin(27).function == "input"
    leds.close()


def test_a_pin_in_use_costs_that_pin_only(pins: Any) -> None:
    with gpiozero.LED(17):
        buttons = GpioButtons(mute=17, call=22)
        edges: queue.SimpleQueue[ButtonEdge] = queue.SimpleQueue()
        buttons.start(edges.put)
        assert "GPIO 17 (mute button)" in buttons.trouble
        pins.pin(22).drive_low()
        assert edges.get(timeout=EDGE_TIMEOUT_S).button == "call"
        buttons.close()


def test_pins_that_cannot_dim_are_named() -> None:
    gpiozero.Device.pin_factory = MockFactory(pin_class=MockPin)
    leds = GpioLeds(mute=27, connection=5)
    with pytest.raises(HardwareError, match=r"GPIO 27 \(mute LED\)"):
        leds.set({})
    leds.close()
    gpiozero.Device.pin_factory = None


@pytest.mark.parametrize("missing", ["gpiozero", "gpiozero.pins.lgpio"])
def test_no_gpio_on_this_machine(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    buttons, leds = GpioButtons(mute=17), GpioLeds(mute=27)
    with pytest.raises(HardwareError, match="is not installed"):
        buttons.start(lambda _edge: None)
    with pytest.raises(HardwareError, match="is not installed"):
        leds.set({})
    buttons.close()
    leds.close()


def test_a_click_faster_than_any_finger_keeps_its_order(pins: Any, buttons: GpioButtons) -> None:
    fingers = Fingers(pins, buttons)
    fingers.mute.drive_low()
    pressed = fingers.next()
    fingers.mute.drive_high()
    fingers.call.drive_low()
    rest = [fingers.next(), fingers.next()]
    assert {(edge.button, edge.pressed) for edge in rest} == {("mute", False), ("call", True)}
    assert rest[0].at_s <= rest[1].at_s
    assert time.monotonic() - pressed.at_s >= MIN_GAP_S
