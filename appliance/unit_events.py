"""Events of the unit itself: its mute gate and its devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appliance.events import Event


@dataclass(frozen=True, kw_only=True)
class MuteChanged(Event, retained=True):
    """The gates moved, in a room or out of one: True is shut."""

    audio: bool
    video: bool


@dataclass(frozen=True, kw_only=True)
class _DeviceChanged(Event):
    """ADD: the device delivers. REMOVE: it is gone, and is tried again; `message` says why."""

    device_id: str
    state: Literal["ADD", "REMOVE"]
    label: str
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class CameraChanged(_DeviceChanged):
    """U66."""


@dataclass(frozen=True, kw_only=True)
class RecordingDeviceChanged(_DeviceChanged):
    """U67."""


@dataclass(frozen=True, kw_only=True)
class PlaybackDeviceChanged(_DeviceChanged):
    """U68."""
