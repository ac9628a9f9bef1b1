from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from appliance.config import parse
from appliance.doctor import front_panel
from appliance.doctor.finding import Finding
from appliance.doctor.front_panel import check_panel
from appliance.doctor.person import Nobody, Person
from appliance.drivers import PanelDevices, hardware
from hw import LED_NAMES, HardwareError
from hw.mock import MockButtons, MockLeds
from tests.appliance.doctor.people import Somebody
from tests.hw.test_panel import PtyPanel

GPIO = '[audio]\ndriver = "none"\n[video]\ndriver = "none"\n[gpio]\ndriver = "gpiozero"\n'
PIP = "pip install 'room-appliance[pi]'"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_panel, "LED_S", 0.0)
    monkeypatch.setattr(front_panel, "SLOW_LED_S", 0.0)


@pytest.fixture
def pins() -> Iterator[Any]:
    gpiozero.Device.pin_factory = MockFactory(pin_class=MockPWMPin)
    yield gpiozero.Device.pin_factory
    gpiozero.Device.pin_factory = None


@pytest.fixture
def far(tmp_path: Path) -> Iterator[PtyPanel]:
    far = PtyPanel(tmp_path / "panel")
    far.plug_in()
    yield far
    far.unplug()


def devices_of(text: str) -> PanelDevices:
    panel = hardware(parse(text, "unit.toml")).panel
    assert panel is not None
    return panel


def examine(panel: PanelDevices, person: Person | None = None) -> list[Finding]:
    return list(check_panel(panel, person or Nobody()))


def test_walks_the_leds_of_pins(pins: Any) -> None:
    for pin in (27, 5, 6, 13, 19):
        pins.pin(pin)
    [finding] = examine(devices_of(GPIO))
    assert finding.status == "ok", finding
    for pin in (27, 5, 6, 13, 19):
        assert 1 in [state.state for state in pins.pin(pin).states], f"pin {pin} was never lit"


def test_lights_one_led_at_a_time_and_leaves_them_dark() -> None:
    leds = MockLeds()
    [finding] = examine(PanelDevices(leds, MockButtons()))
    assert finding.status == "ok"
    walk = [[name for name, level in shown.items() if level] for _, shown in leds.history]
    assert walk[: len(LED_NAMES)] == [[name] for name in LED_NAMES]
    assert leds.closed
    assert not any(leds.brightness.values())


def test_a_person_who_saw_not_all_of_them() -> None:
    [finding, *_] = examine(PanelDevices(MockLeds(), MockButtons()), Somebody(answer=False, bored=True))
    assert (finding.status, "wires" in finding.remedy) == ("failed", True)


def test_serial_panel_with_a_stuck_button(far: PtyPanel) -> None:
    far.button(2, True)
    [finding] = examine(devices_of(GPIO + f'[panel]\nport = "{far.link}"\n'))
    assert (finding.status, finding.message) == ("warning", "button down: call")


def presser(push: Callable[[str, bool], object]) -> Callable[[str], None]:
    """Presses the button that it is told to, and lets go."""

    def on_tell(what: str) -> None:
        if what.startswith("Press"):
            name = what.split()[2]
            push(name, True)
            threading.Timer(0.1, push, (name, False)).start()

    return on_tell


def test_buttons_of_pins(pins: Any) -> None:
    numbers = {"mute": 17, "call": 22}

    def push(name: str, down: bool) -> None:
        pin = pins.pin(numbers[name])
        pin.drive_low() if down else pin.drive_high()

    panel, *buttons = examine(devices_of(GPIO), Somebody(on_tell=presser(push)))
    assert panel.status == "ok"
    assert [(finding.check, finding.status) for finding in buttons] == [("button mute", "ok"), ("button call", "ok")]
    held_ms = buttons[0].facts["held_ms"]
    assert isinstance(held_ms, int)
    assert 80 < held_ms < 400


def test_buttons_of_a_serial_panel(far: PtyPanel) -> None:
    numbers = {"mute": 1, "call": 2}
    somebody = Somebody(on_tell=presser(lambda name, down: far.button(numbers[name], down)))
    findings = examine(devices_of(GPIO + f'[panel]\nport = "{far.link}"\n'), somebody)
    assert [finding.status for finding in findings] == ["ok", "ok", "ok"], findings


def test_button_that_is_not_pressed_or_never_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_panel, "PRESS_S", 0.2)
    buttons = MockButtons()
    somebody = Somebody(on_tell=lambda what: buttons.press("mute") if "mute button" in what else None)
    _, mute, call = examine(PanelDevices(MockLeds(), buttons), somebody)
    assert (mute.status, mute.message) == ("failed", "pressed, and never let go")
    assert (call.status, call.message) == ("failed", "no press within 0.2 s")


def test_enter_skips_a_button() -> None:
    _, mute, call = examine(PanelDevices(MockLeds(), MockButtons()), Somebody(bored=True))
    assert (mute.status, call.status) == ("skipped", "skipped")


def test_without_a_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_panel, "OPEN_S", 0.2)
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    [finding] = examine(devices_of(GPIO))
    assert (finding.status, PIP in finding.message) == ("failed", True)
    [finding] = examine(PanelDevices(MockLeds(), MockButtons(), lambda: "front panel X does not answer"))
    assert (finding.status, finding.message) == ("failed", "front panel X does not answer")
    assert "[panel] port" in finding.remedy


def test_leds_that_fail_at_closing_hide_nothing() -> None:
    class Broken(MockLeds):
        def set(self, brightness: Any) -> None:
            raise HardwareError("GPIO 5: busy")

        def close(self) -> None: ...

    [finding] = examine(PanelDevices(Broken(), MockButtons()))
    assert (finding.status, finding.message) == ("failed", "GPIO 5: busy")
