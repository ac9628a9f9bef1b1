"""Which cameras and sound cards come and go, as udev tells it. The only file that imports pyudev.

`Table` is pure: properties of udev events in, changes out. A camera is a video4linux node that can capture; a sound
card has an end for each of its PCM devices, told by the name that ALSA opens, `plughw:CARD=Device,DEV=0`.
"""

from __future__ import annotations

import logging
import os
import re
import select
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hw import ChangeKind, DeviceChange, HardwareError

logger = logging.getLogger(__name__)

_SUBSYSTEMS = ("sound", "video4linux")
_PCM = re.compile(r"/card\d+/pcmC\d+D(?P<device>\d+)(?P<end>[cp])$")
_ENDS: Mapping[str, ChangeKind] = {"c": "recording", "p": "playback"}
_CLOSE_S = 1.0


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What sysfs says beside an event: the sound card's id, and the name that the USB device gives itself."""

    card_id: str = ""
    product: str = ""


class Table:
    """Knows what was added: a device that is gone can no longer be asked for its name."""

    def __init__(self) -> None:
        self._known: dict[str, DeviceChange] = {}

    def feed(self, properties: Mapping[str, str], facts: CardFacts = CardFacts()) -> DeviceChange | None:
        """The change that an event is; None for one that concerns nobody. ACTION and DEVPATH are always there."""
        path, action = properties.get("DEVPATH", ""), properties.get("ACTION", "")
        if action == "remove":
            known = self._known.pop(path, None)
            if known is None:
                known = _described(properties, facts)
            return known and DeviceChange(known.kind, known.device_id, "REMOVE", known.label)
        if action != "add":
            return None
        change = _described(properties, facts)
        if change is not None:
            self._known[path] = change
        return change


def _described(properties: Mapping[str, str], facts: CardFacts) -> DeviceChange | None:
    subsystem, path = properties.get("SUBSYSTEM"), properties.get("DEVPATH", "")
    if subsystem == "video4linux":
        node = properties.get("DEVNAME", "")
        if not node or ":capture:" not in properties.get("ID_V4L_CAPABILITIES", ""):
            return None
        label = properties.get("ID_V4L_PRODUCT") or facts.product or _spaced(properties.get("ID_MODEL", ""))
        return DeviceChange("camera", node, "ADD", label or node)
    if subsystem == "sound" and (found := _PCM.search(path)) and facts.card_id:
        device_id = f"plughw:CARD={facts.card_id},DEV={int(found['device'])}"
        label = facts.product or _spaced(properties.get("ID_MODEL", "")) or facts.card_id
        return DeviceChange(_ENDS[found["end"]], device_id, "ADD", label)
    return None


def _spaced(model: str) -> str:
    """udev writes an underscore for each space."""
    return model.replace("_", " ").strip()


class UdevMonitor:
    """A thread that listens to udev. HardwareError where pyudev or udev is missing."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._wake = -1  # eventfd, while the thread runs

    def start(self, sink: Callable[[DeviceChange], None]) -> None:
        self.close()
        try:
            import pyudev
        except ImportError as exc:
            raise HardwareError("device changes need pyudev: pip install 'room-appliance[pi]'") from exc
        try:
            context = pyudev.Context()
            monitor = pyudev.Monitor.from_netlink(context)
            for subsystem in _SUBSYSTEMS:
                monitor.filter_by(subsystem)
            monitor.start()
            table = Table()
            for subsystem in _SUBSYSTEMS:
                for device in context.list_devices(subsystem=subsystem):
                    table.feed({**dict(device.properties), "ACTION": "add"}, _facts(device))
        except OSError as exc:
            raise HardwareError(f"device changes: udev does not answer: {exc}") from exc
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        arguments = (monitor, table, self._wake, sink)
        self._thread = threading.Thread(target=_listen, args=arguments, name="udev", daemon=True)
        self._thread.start()

    def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        os.eventfd_write(self._wake, 1)
        thread.join(_CLOSE_S)
        if not thread.is_alive():
            os.close(self._wake)


def _listen(monitor: Any, table: Table, wake: int, sink: Callable[[DeviceChange], None]) -> None:
    poll = select.poll()
    poll.register(monitor.fileno(), select.POLLIN)
    poll.register(wake, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if wake in ready:
            return
        try:
            device = monitor.poll(0)
            change = table.feed(dict(device.properties), _facts(device)) if device is not None else None
        except (OSError, ValueError) as exc:  # more came at once than the socket holds, or what is no event
            logger.warning("a device change was missed: %s", exc)
            continue
        if change is not None:
            sink(change)


def _facts(device: Any) -> CardFacts:
    """From sysfs; of a device that is gone by now, nothing."""
    card = device.parent if device.subsystem == "sound" else None
    usb = device.find_parent("usb", "usb_device")
    return CardFacts(_attribute(card, "id"), _attribute(usb, "product"))


def _attribute(device: Any, name: str) -> str:
    try:
        value: bytes = device.attributes.get(name) if device is not None else b""
    except (OSError, KeyError):
        return ""
    return (value or b"").decode(errors="replace").strip()
