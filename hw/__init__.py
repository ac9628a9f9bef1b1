"""What touches the world: the Protocols that every driver keeps, and what passes through them.

Drivers call their sinks from a thread of their own (the capture thread); a sink must be quick, must not block and must
not raise. `start` returns once the device is open or raises `HardwareError`; `close` is idempotent, may be called from
the event loop and returns within 1 s with the thread gone. A device that vanishes while open says so through its
`on_lost` callback, once, from its own thread.

Units: audio is mono signed 16 bit at 48 kHz in blocks of 480 frames (10 ms); pictures are `av.VideoFrame` in yuv420p;
times are `time.monotonic()` seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import av
import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 48_000
BLOCK_FRAMES = 480  # 10 ms: the period of every audio device here

Samples = npt.NDArray[np.int16]

LedName = Literal["mute", "connection", "quality1", "quality2", "quality3", "quality4", "quality5"]
LED_NAMES: tuple[LedName, ...] = ("mute", "connection", "quality1", "quality2", "quality3", "quality4", "quality5")
ButtonName = Literal["mute", "call"]
BUTTON_NAMES: tuple[ButtonName, ...] = ("mute", "call")


ChangeKind = Literal["camera", "recording", "playback"]


class HardwareError(Exception):
    """A device cannot be opened or has failed. The message names the device and what to do."""


class ScreenClosedError(HardwareError):
    """A person closed the window: it is not to be opened again."""


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """One period from a microphone: `samples` int16 of shape (480,), captured at `captured_s` (its last sample)."""

    samples: Samples
    captured_s: float


@dataclass(frozen=True, slots=True)
class Picture:
    """One raw picture, yuv420p, captured at `captured_s`."""

    frame: av.VideoFrame
    captured_s: float


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One H.264 access unit in Annex B, no B-frames, SPS and PPS before each key frame."""

    data: bytes
    keyframe: bool
    captured_s: float


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """A device came or went (capabilities U66 to U68)."""

    kind: ChangeKind
    device_id: str
    state: Literal["ADD", "REMOVE"]
    label: str


@dataclass(frozen=True, slots=True)
class SoundStats:
    """One end of a sound card. `xruns` counts since the device was made, `latency_ms` is what waits in it now.

    `drift_ppm`: how much faster its clock runs than the microphone's; None where both are one card.
    """

    period_frames: int
    buffer_frames: int
    xruns: int
    latency_ms: float
    drift_ppm: float | None = None


@dataclass(frozen=True, slots=True)
class ButtonEdge:
    """A debounced edge of a button at `at_s`."""

    button: ButtonName
    pressed: bool
    at_s: float


BlockSink = Callable[[AudioBlock], None]
PictureSink = Callable[[Picture | AccessUnit], None]
OnLost = Callable[[HardwareError], None]


@runtime_checkable
class Microphone(Protocol):
    device_id: str

    def start(self, sink: BlockSink, on_lost: OnLost) -> None: ...
    def close(self) -> None: ...


@runtime_checkable
class MuteSwitch(Protocol):
    """A microphone that may have a switch of its own: it follows the mute gate, and never replaces it."""

    def set_muted(self, muted: bool) -> None:
        """Returns at once; the switch moves soon after, where there is one."""


@runtime_checkable
class Measured(Protocol):
    """A microphone or speaker that measures itself."""

    @property
    def stats(self) -> SoundStats | None:
        """None while it is not open. Any thread; returns at once."""


@runtime_checkable
class Labeled(Protocol):
    """A device that has a name for people, "USB PnP Sound Device"; "" while it is not known."""

    @property
    def label(self) -> str: ...


@runtime_checkable
class Speaker(Protocol):
    device_id: str

    def start(self, source: Callable[[], Samples], on_lost: OnLost) -> None:
        """Call `source` each 10 ms from the playback thread; it gives the next 480 samples."""

    def close(self) -> None: ...


@runtime_checkable
class Camera(Protocol):
    device_id: str
    width: int
    height: int
    fps: int

    def start(self, sink: PictureSink, on_lost: OnLost) -> None: ...
    def request_keyframe(self) -> None:
        """Only a camera that encodes acts on it."""

    def set_bitrate(self, bps: int) -> None:
        """Only a camera that encodes acts on it."""

    def close(self) -> None: ...


@runtime_checkable
class RawPictures(Protocol):
    """A camera that may encode, and can deliver raw pictures beside its access units, for who cannot use those.

    It delivers none before its first access unit, and none while they are not wanted, as at first. A camera that turns
    out to deliver pictures only ignores it.
    """

    def want_pictures(self, wanted: bool) -> None:
        """Any thread; returns at once."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture and its place on a screen, in pixels. `key` says whose it is, from one scene to the next.

    `frame` None: a gray area with `label` large in its middle; else the picture in its own proportions, cut to fill
    the place (`crop`) or whole with bars beside it, and `label` in its lower left corner. `is_marked`: with a border.
    """

    key: str
    frame: av.VideoFrame | None
    x: int
    y: int
    width: int
    height: int
    label: str = ""
    crop: bool = False
    is_marked: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """What a screen shows: tiles, none over another; or two lines in the middle, one large and one small. Nothing at
    all: darkness.
    """

    tiles: tuple[Tile, ...] = ()
    title: str = ""
    subtitle: str = ""


@runtime_checkable
class Display(Protocol):
    device_id: str

    def start(self, on_size: Callable[[int, int], None], on_lost: OnLost) -> None:
        """Opens the screen; `on_size(width, height)` is called before this returns, and when its size changes."""

    def show(self, scene: Scene) -> None:
        """Any thread; returns at once. The newest scene counts, one that was not drawn in time is skipped."""

    def close(self) -> None: ...


@runtime_checkable
class Leds(Protocol):
    def set(self, brightness: dict[LedName, float]) -> None:
        """Brightness 0..1 of each named LED; those not named stay as they are.

        The first call opens the device, also with nothing in it, or raises HardwareError.
        """

    def close(self) -> None: ...


@runtime_checkable
class Buttons(Protocol):
    def start(self, sink: Callable[[ButtonEdge], None]) -> None: ...
    def close(self) -> None: ...


@runtime_checkable
class DeviceMonitor(Protocol):
    """Tells which devices of the machine appear and vanish, the unit's own and all others."""

    def start(self, sink: Callable[[DeviceChange], None]) -> None:
        """From now on, from a thread of its own. HardwareError where nobody tells it."""

    def close(self) -> None: ...
