"""The configured devices, each opened and used for real, by nobody else meanwhile."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from msgspec import structs

from appliance.config import Config
from appliance.doctor import access
from appliance.doctor.camera import check_camera
from appliance.doctor.display import check_display
from appliance.doctor.finding import Finding
from appliance.doctor.front_panel import check_panel
from appliance.doctor.person import Person
from appliance.doctor.sound import check_sound
from appliance.drivers import hardware
from appliance.errors import ConfigError
from hw import ButtonName

HANGS_S = 30.0  # for one finding: every check ends by itself long before, and a person has answered

_SECTIONS = {
    "camera": "[video]",
    "microphone": "[audio]",
    "speaker": "[audio]",
    "front panel": "[gpio] or [panel]",
    "display": "[display]",
}
_KINDS = {"camera": "camera", "microphone": "sound", "speaker": "sound", "front panel": "panel"}


def check(config: Config, person: Person) -> Iterator[Finding]:
    try:
        devices = hardware(config)
    except ConfigError as exc:
        yield Finding("devices", "failed", str(exc), "change this key in the configuration")
        return
    drivers, panel = devices.drivers, devices.panel
    rounds: list[tuple[tuple[str, ...], Callable[[], Iterator[Finding]]]] = []
    if drivers.camera is None:
        yield not_configured("camera")
    else:
        make = drivers.camera
        rounds.append((("camera",), lambda: iter([check_camera(make())])))
    if drivers.microphone is None and drivers.speaker is None:
        yield not_configured("microphone")
        yield not_configured("speaker")
    else:
        microphone = drivers.microphone() if drivers.microphone is not None else None
        speaker = drivers.speaker() if drivers.speaker is not None else None
        names = [name for name, one in (("microphone", microphone), ("speaker", speaker)) if one is not None]
        rounds.append((tuple(names), lambda: check_sound(microphone, speaker, person)))
    if panel is None:
        yield not_configured("front panel")
    else:
        rounds.append((("front panel",), lambda: check_panel(panel, person, _buttons(config))))
    if devices.display is None:
        yield not_configured("display")
    else:
        display, is_required = devices.display, config.display.is_required
        rounds.append((("display",), lambda: iter([check_display(display, person, is_required=is_required)])))
    for names_of_round, start in rounds:
        for finding in guarded(names_of_round, start):
            yield with_holders(finding, config)


def _buttons(config: Config) -> tuple[ButtonName, ...]:
    """Those that are connected; a serial panel may have both."""
    pins: dict[ButtonName, int] = {"mute": config.gpio.mute_button, "call": config.gpio.call_button}
    return tuple(name for name, pin in pins.items() if pin or config.panel.port)


def not_configured(name: str) -> Finding:
    return Finding(name, "skipped", f"none is configured, or this machine has none ({_SECTIONS[name]} driver)")


def guarded(
    names: tuple[str, ...], start: Callable[[], Iterator[Finding]], timeout_s: float = HANGS_S
) -> Iterator[Finding]:
    """The findings of `start`, made in a thread: a driver that hangs or raises is a finding of the device in hand."""
    found: queue.SimpleQueue[Finding | BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            for finding in start():
                found.put(finding)
            found.put(None)
        except Exception as exc:
            found.put(exc)

    threading.Thread(target=run, name=f"doctor {names[0]}", daemon=True).start()
    count = 0
    while True:
        name = names[min(count, len(names) - 1)]
        remedy = f"update its driver, or choose another one in {_SECTIONS[name]}"
        try:
            got = found.get(timeout=timeout_s)
        except queue.Empty:
            yield Finding(name, "failed", f"its driver hangs: nothing for {timeout_s:g} s", remedy)
            return
        if got is None:
            return
        if not isinstance(got, Finding):
            yield Finding(name, "failed", f"its driver failed: {type(got).__name__}: {got}", remedy)
            return
        count += 1
        yield got


def with_holders(finding: Finding, config: Config) -> Finding:
    """A device that failed, with the programs that have it."""
    kind = _KINDS.get(finding.check)
    if finding.status != "failed" or kind is None:
        return finding
    others = access.holders(access.nodes(config, kind))
    if not others:
        return finding
    remedy = f"in use by {', '.join(others)}: end it; or {finding.remedy}"
    return structs.replace(finding, remedy=remedy, facts={**finding.facts, "held_by": others})
