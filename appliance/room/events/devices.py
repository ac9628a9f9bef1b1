"""Microphone, camera and speaker of the client's maker, who reports them (`RoomClient.report`), in a room or not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from appliance.events import Event


@dataclass(frozen=True, kw_only=True)
class _DeviceChanged(Event):
    """ADD: a device is there, one that the unit uses or any other. REMOVE: it is gone, or works no more; `message`
    says why, where that is known. `label` is its name for people."""

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


@dataclass(frozen=True, kw_only=True)
class _TrackEnded(Event):
    """The device that made a published track is gone; its REMOVE came before (OR04). `stream`: the local one's name."""

    device_id: str
    stream: str


@dataclass(frozen=True, kw_only=True)
class AudioTrackEnded(_TrackEnded):
    """U69."""


@dataclass(frozen=True, kw_only=True)
class VideoTrackEnded(_TrackEnded):
    """U70."""


class StreamErrorCode(StrEnum):
    DEVICE_AUTO_RECOVER_FAILED = "device-auto-recover-failed"  # RS22: gone, and nothing took its place
    PLAYBACK_NOT_ALLOWED = "playback-not-allowed"  # RS21: the speaker cannot be started


@dataclass(frozen=True, kw_only=True)
class StreamError(Event):
    """U41. `stream` is the local stream's name, or "playout" for what the speaker plays; `kind` is what `resume` takes.

    It is over when the device works, or somebody resumes it.
    """

    stream: str
    kind: Literal["microphone", "camera", "speaker"]
    code: StreamErrorCode
    message: str
