"""Events of the unit itself: its mute gate and its devices."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from appliance.events import Event


@dataclass(frozen=True, kw_only=True)
class MuteChanged(Event, retained=True):
    """The gates moved, in a room or out of one: True is shut."""

    audio: bool
    video: bool


@dataclass(frozen=True, kw_only=True)
class DevicesChanged(Event, retained=True):
    """Which devices of the unit work now: they deliver."""

    microphone: bool
    camera: bool
    speaker: bool


StrainReason = Literal["", "throttled", "heat", "encoder", "load"]


@dataclass(frozen=True, kw_only=True)
class VideoStrainChanged(Event, retained=True):
    """The machine has more to do than it can: video is `rungs` steps smaller or slower than its link allows."""

    rungs: int
    reason: StrainReason


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


@dataclass(frozen=True, kw_only=True)
class SetupModeChanged(Event, retained=True):
    """`phase`: "idle", "access-point", "looking" or "joining"; `is_shown`: the LEDs say that somebody is waited for.

    `attempt`: how the last wish to join a network goes: "joining", "joined", "failed", or None before the first.
    """

    phase: str
    is_shown: bool
    attempt: str | None = None


@dataclass(frozen=True, kw_only=True)
class CallChanged(Event, retained=True):
    """A call begins, goes on or ends. `phase`: "idle", "ringing-out", "ringing-in" or "in-call". `peer_id`: who rings
    or is spoken to, of a call that has ended too. `calling`: who is still rung. `reason`: how the last call ended.
    """

    phase: str
    peer_id: str
    peer_name: str
    calling: tuple[str, ...]
    room: str
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class MissedCallsChanged(Event, retained=True):
    """How many calls the hub keeps that nobody answered."""

    count: int
