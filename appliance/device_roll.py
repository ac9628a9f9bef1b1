"""Which devices are there, as the unit has told: each coming and going once, whoever notices it first.

A device that is unplugged is missed by its driver and by udev, in either order; one that is plugged in is announced by
udev and works a moment later. Pure, but for `publish`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from appliance.events import Event
from appliance.room.events import CameraChanged, PlaybackDeviceChanged, RecordingDeviceChanged
from hw import ChangeKind, SoundStats

DeviceKind = Literal["microphone", "camera", "speaker"]
KINDS: tuple[DeviceKind, ...] = ("microphone", "camera", "speaker")
KIND_OF: dict[ChangeKind, DeviceKind] = {"recording": "microphone", "camera": "camera", "playback": "speaker"}

MAX_GONE = 64  # devices that are remembered when they are gone

_EVENTS = {"microphone": RecordingDeviceChanged, "camera": CameraChanged, "speaker": PlaybackDeviceChanged}


@dataclass(frozen=True, slots=True)
class DeviceStats:
    """One device of the unit. `openings` counts how often it was opened, `losses` how often it worked and was lost.

    `error` is why it does not work; `sound` what a sound card measures.
    """

    kind: DeviceKind
    device_id: str
    label: str
    works: bool
    openings: int
    losses: int
    error: str = ""
    sound: SoundStats | None = None


class DeviceRoll:
    def __init__(self, publish: Callable[[Event], None]) -> None:
        self._publish = publish
        self._told: dict[tuple[DeviceKind, str], Literal["ADD", "REMOVE"]] = {}

    def there(self, kind: DeviceKind, device_id: str, label: str) -> None:
        self._tell(kind, device_id, "ADD", label, "")

    def gone(self, kind: DeviceKind, device_id: str, label: str, message: str = "") -> None:
        self._tell(kind, device_id, "REMOVE", label, message)

    def _tell(
        self, kind: DeviceKind, device_id: str, state: Literal["ADD", "REMOVE"], label: str, message: str
    ) -> None:
        if self._told.get((kind, device_id)) == state:
            return
        self._told.pop((kind, device_id), None)
        self._told[kind, device_id] = state
        gone = [device for device, told in self._told.items() if told == "REMOVE"]
        for device in gone[:-MAX_GONE]:
            del self._told[device]
        self._publish(_EVENTS[kind](device_id=device_id, state=state, label=label, message=message))
