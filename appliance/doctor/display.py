"""The unit's own screen: opened, written on, and looked at by a person."""

from __future__ import annotations

import queue

from appliance.doctor.finding import Finding
from appliance.doctor.person import Person
from hw import Display, HardwareError, Scene

REMEDY = 'connect it, install what it needs, or change [display] driver; "none" does without'
SEEN_S = 0.3  # a driver that loses the screen at its first picture says so within it
SCENE = Scene(title="12:34", subtitle="room-appliance doctor")


def check_display(display: Display, person: Person, *, is_required: bool) -> Finding:
    """A screen that is not there matters where the configuration asks for one."""
    sizes: list[tuple[int, int]] = []
    lost: queue.SimpleQueue[HardwareError] = queue.SimpleQueue()
    try:
        display.start(lambda width, height: sizes.append((width, height)), lost.put)
        try:
            display.show(SCENE)
            try:
                raise lost.get(timeout=SEEN_S)
            except queue.Empty:
                seen = person.ask("Does the screen show 12:34?") if person.is_there else None
        finally:
            display.close()
    except HardwareError as exc:
        if is_required:
            return Finding("display", "failed", str(exc), REMEDY)
        return Finding("display", "skipped", f"{exc}; the unit works without one")
    width, height = sizes[-1]
    facts = {"width": width, "height": height, "seen": seen}
    if seen is False:
        return Finding("display", "failed", "it opened, but nothing is seen on it", REMEDY, facts)
    return Finding("display", "ok", f"{width} x {height}", facts=facts)
