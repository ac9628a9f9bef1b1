"""The front panel: lights its LEDs in turn, and asks a person to press its buttons."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator, Sequence

from appliance.doctor.finding import Finding
from appliance.doctor.person import Person
from appliance.drivers import PanelDevices
from hw import BUTTON_NAMES, LED_NAMES, ButtonEdge, ButtonName, HardwareError

OPEN_S = 3.0  # for a panel on a serial port to answer: six times it is asked
LED_S = 0.15  # lit in turn: long enough to be seen
SLOW_LED_S = 0.5  # where somebody watches
PRESS_S = 10.0

REMEDY = 'mend it, or change [gpio] or [panel] port; [gpio] driver "none" does without'
_POLL_S = 0.05


def check_panel(panel: PanelDevices, person: Person, buttons: Sequence[ButtonName] = BUTTON_NAMES) -> Iterator[Finding]:
    """Finding "front panel"; with a person there "button NAME" of each too. Raises what a broken driver raises."""
    edges: queue.SimpleQueue[ButtonEdge] = queue.SimpleQueue()
    try:
        trouble = _open(panel, edges)
        if trouble:
            yield Finding("front panel", "failed", trouble, REMEDY)
            return
        yield _walk(panel, person)
        if person.is_there:
            for name in buttons:
                yield _press(name, edges, panel, person)
    except HardwareError as exc:
        yield Finding("front panel", "failed", str(exc), REMEDY)
    finally:
        panel.buttons.close()
        panel.leds.close()


def _open(panel: PanelDevices, edges: queue.SimpleQueue[ButtonEdge]) -> str:
    panel.buttons.start(edges.put)
    panel.leds.set({})
    deadline_s = time.monotonic() + OPEN_S
    while panel.trouble() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return panel.trouble()


def _walk(panel: PanelDevices, person: Person) -> Finding:
    person.tell(f"Look at the LEDs, one after the other: {', '.join(LED_NAMES)}.")
    for lit in LED_NAMES:
        panel.leds.set({name: float(name == lit) for name in LED_NAMES})
        time.sleep(SLOW_LED_S if person.is_there else LED_S)
    panel.leds.set(dict.fromkeys(LED_NAMES, 0.0))
    if trouble := panel.trouble():
        return Finding("front panel", "failed", trouble, REMEDY)
    if held := panel.held():
        remedy = "let go of it; a button closes its pin to ground"
        return Finding("front panel", "warning", f"button down: {', '.join(held)}", remedy, {"held": list(held)})
    seen = person.ask("Did each LED that the panel has light up?")
    if seen is False:
        remedy = "look at the wires, the pins in [gpio], and leds_active_low for a common anode"
        return Finding("front panel", "failed", "not each LED was seen", remedy, {"seen": False})
    return Finding("front panel", "ok", "each LED was lit, no button is down", facts={"seen": seen})


def _press(name: ButtonName, edges: queue.SimpleQueue[ButtonEdge], panel: PanelDevices, person: Person) -> Finding:
    check = f"button {name}"
    person.tell(f"Press the {name} button within {PRESS_S:g} s; Enter skips it.")
    pressed_s: float | None = None
    deadline_s = time.monotonic() + PRESS_S
    while time.monotonic() < deadline_s:
        while not edges.empty():
            edge = edges.get()
            if edge.button == name and edge.pressed:
                pressed_s = edge.at_s
                panel.leds.set({"mute": 1.0})
            elif edge.button == name and pressed_s is not None:
                panel.leds.set({"mute": 0.0})
                held_ms = round(1000 * (edge.at_s - pressed_s))
                return Finding(check, "ok", f"pressed for {held_ms} ms and let go", facts={"held_ms": held_ms})
        if person.waves_off(_POLL_S):
            return Finding(check, "skipped", "nobody pressed it")
    if pressed_s is not None:
        return Finding(check, "failed", "pressed, and never let go", "it is stuck, or its wires touch")
    remedy = "press it; if it was pressed: it closes its pin to ground; look at the wires and the pins in [gpio]"
    return Finding(check, "failed", f"no press within {PRESS_S:g} s", remedy)
