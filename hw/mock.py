"""Every Protocol of `hw` without hardware, drivable and assertable; and absent devices."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

from hw import (
    BUTTON_NAMES,
    LED_NAMES,
    AccessUnit,
    BlockSink,
    ButtonEdge,
    ButtonName,
    Camera,
    ChangeKind,
    DeviceChange,
    HardwareError,
    LedName,
    OnLost,
    Picture,
    PictureSink,
    RawPictures,
    Samples,
    Scene,
)
from hw.mock_audio import MockMicrophone, MockSpeaker
from hw.plug import Pluggable
from hw.synthetic import SyntheticCamera

__all__ = [
    "AbsentCamera",
    "AbsentMicrophone",
    "AbsentSpeaker",
    "MockButtons",
    "MockCamera",
    "MockDisplay",
    "MockLeds",
    "MockMicrophone",
    "MockMonitor",
    "MockSpeaker",
]

_LED_HISTORY = 1000


class MockCamera(Pluggable):
    """Another camera (a synthetic one when none is given) with a plug, and a stall switch.

    `stalled = True` keeps the pictures back while the camera counts as open. `keyframe_requests` counts,
    `bitrates_bps` keeps what was asked for.
    """

    def __init__(self, source: Camera | None = None, *, device_id: str = "mock-camera") -> None:
        super().__init__(device_id)
        self.stalled = False
        self.keyframe_requests = 0
        self.bitrates_bps: list[int] = []
        self._source = SyntheticCamera() if source is None else source
        self.width, self.height, self.fps = self._source.width, self._source.height, self._source.fps

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        def deliver(picture: Picture | AccessUnit) -> None:
            if not self.stalled:
                sink(picture)

        self._opened(on_lost)
        self._source.start(deliver, self._lost)

    def request_keyframe(self) -> None:
        self.keyframe_requests += 1
        self._source.request_keyframe()

    def set_bitrate(self, bps: int) -> None:
        self.bitrates_bps.append(bps)
        self._source.set_bitrate(bps)

    def want_pictures(self, wanted: bool) -> None:
        if isinstance(self._source, RawPictures):
            self._source.want_pictures(wanted)

    def close(self) -> None:
        super().close()
        self._source.close()


class MockLeds:
    """`brightness` of every LED now, the last changes in `history` as (monotonic seconds, what was set)."""

    def __init__(self, on_change: Callable[[dict[LedName, float]], None] | None = None) -> None:
        self.brightness: dict[LedName, float] = dict.fromkeys(LED_NAMES, 0.0)
        self.history: deque[tuple[float, dict[LedName, float]]] = deque(maxlen=_LED_HISTORY)
        self.closed = False
        self._on_change = on_change

    def set(self, brightness: Mapping[LedName, float]) -> None:
        """ValueError, and nothing changed, for an unknown LED or a brightness outside 0..1."""
        for name, level in brightness.items():
            if name not in LED_NAMES or not 0.0 <= level <= 1.0:
                raise ValueError(f"LED {name} = {level}: allowed are 0..1 for {', '.join(LED_NAMES)}")
        if not brightness:
            return
        self.brightness |= brightness
        self.history.append((time.monotonic(), dict(brightness)))
        if self._on_change is not None:
            self._on_change(dict(self.brightness))

    def close(self) -> None:
        self.set(dict.fromkeys(LED_NAMES, 0.0))
        self.closed = True


class MockMonitor:
    """Tells what a test says: `add` and `remove` of devices of any kind."""

    def __init__(self) -> None:
        self._sink: Callable[[DeviceChange], None] | None = None

    @property
    def is_open(self) -> bool:
        return self._sink is not None

    def start(self, sink: Callable[[DeviceChange], None]) -> None:
        self._sink = sink

    def add(self, kind: ChangeKind, device_id: str, label: str = "") -> None:
        self._tell(DeviceChange(kind, device_id, "ADD", label or device_id))

    def remove(self, kind: ChangeKind, device_id: str, label: str = "") -> None:
        self._tell(DeviceChange(kind, device_id, "REMOVE", label or device_id))

    def close(self) -> None:
        self._sink = None

    def _tell(self, change: DeviceChange) -> None:
        if self._sink is not None:
            self._sink(change)


class MockButtons:
    """Buttons pressed by program. An edge that changes nothing (pressed again) is no edge. ValueError: unknown name.

    `held` are those that were down at the last start.
    """

    def __init__(self) -> None:
        self.pressed: set[ButtonName] = set()
        self.held: tuple[ButtonName, ...] = ()
        self._sink: Callable[[ButtonEdge], None] | None = None

    def start(self, sink: Callable[[ButtonEdge], None]) -> None:
        self.held = tuple(name for name in BUTTON_NAMES if name in self.pressed)
        self._sink = sink

    def press(self, button: ButtonName) -> None:
        self._edge(button, True)

    def release(self, button: ButtonName) -> None:
        self._edge(button, False)

    def click(self, button: ButtonName) -> None:
        self.press(button)
        self.release(button)

    def close(self) -> None:
        self._sink = None

    def _edge(self, button: ButtonName, pressed: bool) -> None:
        if button not in BUTTON_NAMES:
            raise ValueError(f"button {button}: there are {', '.join(BUTTON_NAMES)}")
        if (button in self.pressed) == pressed:
            return
        self.pressed ^= {button}
        if self._sink is not None:
            self._sink(ButtonEdge(button, pressed, time.monotonic()))


class AbsentMicrophone:
    """No microphone: `start` raises HardwareError with `why`."""

    def __init__(self, why: str = "there is no microphone") -> None:
        self.device_id = "absent"
        self._why = why

    def start(self, sink: BlockSink, on_lost: OnLost) -> None:
        raise HardwareError(self._why)

    def close(self) -> None:
        pass


class AbsentSpeaker:
    """No speaker: `start` raises HardwareError with `why`."""

    def __init__(self, why: str = "there is no speaker") -> None:
        self.device_id = "absent"
        self._why = why

    def start(self, source: Callable[[], Samples], on_lost: OnLost) -> None:
        raise HardwareError(self._why)

    def close(self) -> None:
        pass


class AbsentCamera:
    """No camera: `start` raises HardwareError with `why`."""

    width = height = fps = 0

    def __init__(self, why: str = "there is no camera") -> None:
        self.device_id = "absent"
        self._why = why

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        raise HardwareError(self._why)

    def request_keyframe(self) -> None:
        pass

    def set_bitrate(self, bps: int) -> None:
        pass

    def close(self) -> None:
        pass


class MockDisplay:
    """A screen of `size` that keeps the scene it shows. `unplug` loses it; until `plug` it cannot be opened."""

    def __init__(self, width: int = 1280, height: int = 720, *, device_id: str = "mock-display") -> None:
        self.device_id = device_id
        self.scene: Scene | None = None
        self.is_open = False
        self._size = (width, height)
        self._there = True
        self._on_size: Callable[[int, int], None] = lambda width, height: None
        self._on_lost: OnLost = lambda error: None

    def start(self, on_size: Callable[[int, int], None], on_lost: OnLost) -> None:
        if not self._there:
            raise HardwareError(f"{self.device_id}: no screen is connected")
        self._on_size, self._on_lost, self.is_open = on_size, on_lost, True
        on_size(*self._size)

    def show(self, scene: Scene) -> None:
        self.scene = scene

    def close(self) -> None:
        self.is_open, self.scene = False, None

    def resize(self, width: int, height: int) -> None:
        self._size = (width, height)
        if self.is_open:
            self._on_size(width, height)

    def unplug(self, error: HardwareError | None = None) -> None:
        self._there = False
        if self.is_open:
            self._on_lost(error or HardwareError(f"{self.device_id}: gone"))

    def plug(self) -> None:
        self._there = True
