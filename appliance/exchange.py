"""Which hardware other settings exchange in a unit that runs; all else stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from dataclasses import dataclass, replace

from appliance.config import Config
from appliance.device_roll import KINDS, DeviceKind
from appliance.drivers import Hardware, hardware
from appliance.live import Part

_WITHOUT_HARDWARE: frozenset[Part] = frozenset({"name", "room", "near-end", "country", "call"})


@dataclass(frozen=True, slots=True)
class Exchange:
    """`hardware`: all that there is from now on. `kinds`: of which the device is another one; `panel`: whether the
    front panel is.
    """

    hardware: Hardware
    kinds: frozenset[DeviceKind] = frozenset()
    panel: bool = False


async def exchange(now: Hardware, config: Config, parts: Set[Part]) -> Exchange:
    """What `parts` of a plan ask for; opens nothing. Raises `ConfigError` like `hardware`."""
    if parts <= _WITHOUT_HARDWARE:
        return Exchange(now)
    new = await asyncio.to_thread(hardware, config)
    kinds = set[DeviceKind]()
    if "video" in parts:
        kinds.add("camera")
    if "audio" in parts:
        keeps_speaker = new.speaker is not None and now.speaker is not None  # the virtual panel plays it
        kinds |= {"microphone"} if keeps_speaker else {"microphone", "speaker"}
    drivers = replace(
        new.drivers,
        monitor=now.drivers.monitor or new.drivers.monitor,
        **{kind: getattr(now.drivers, kind) for kind in KINDS if kind not in kinds},
    )
    is_other_panel = "panel" in parts and config.gpio.driver != "mock" and new.panel is not None
    after = Hardware(
        drivers,
        new.panel if is_other_panel else now.panel,
        new.speaker if "speaker" in kinds else now.speaker,
        now.display,
        now.screen,
    )
    return Exchange(after, frozenset(kinds), is_other_panel)
