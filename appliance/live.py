"""Which settings take effect at once, and what has to be done for them; pure.

A key that is not named here needs the unit composed anew: everything closed and made again within this process, which
takes less than a second and leaves the room for so long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appliance.config import Config
from appliance.config_schema import keys

Part = Literal["name", "room", "near-end", "audio", "video", "panel", "country", "call"]

# name: told from now on. room: out of the room and into the next. near-end: what is done to the microphone's sound, at
# once. audio, video: these devices anew, the call goes on meanwhile. panel: LEDs and buttons anew. country: told to the
# radio. call: for the next call.
_SECTIONS: dict[str, Part] = {"room": "room", "audio": "audio", "video": "video", "gpio": "panel", "call": "call"}
_KEYS: dict[str, Part | None] = {
    "device.name": "name",
    "audio.duplex": "near-end",
    "audio.echo_cancellation": "near-end",
    "audio.noise_suppression": "near-end",
    "audio.gain_control": "near-end",
    "audio.low_delay": "near-end",
    "gpio.driver": None,  # the virtual panel comes with a page
    "wifi.country": "country",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change asks for: the `parts` to do at once, for the keys in `live`; those in `restart` wait for one."""

    parts: frozenset[Part] = frozenset()
    live: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


def part_of(section: str, name: str) -> Part | None:
    """What a change of this key asks for; None: a restart of the unit."""
    return _KEYS.get(f"{section}.{name}", _SECTIONS.get(section))


def plan(old: Config, new: Config) -> Plan:
    """From what runs to what is wanted."""
    parts: set[Part] = set()
    live, restart = [], []
    for key in keys(Config):
        if getattr(getattr(old, key.section), key.name) == getattr(getattr(new, key.section), key.name):
            continue
        part = part_of(key.section, key.name)
        name = f"{key.section}.{key.name}"
        if part is None:
            restart.append(name)
        else:
            parts.add(part)
            live.append(name)
    return Plan(frozenset(parts), tuple(live), tuple(restart))
