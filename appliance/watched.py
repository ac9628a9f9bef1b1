"""Devices that are opened away from the event loop and say when they last delivered.

Each wraps one device for one opening: `start` returns at once and opens it in a thread of its own; a device that cannot
be opened reports it through `on_lost`, like one that vanished.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hw import AccessUnit, AudioBlock, Camera, HardwareError, Microphone, MuteSwitch, Picture, Samples, Speaker

OnLost = Callable[[HardwareError], None]


class Watched:
    """`delivered_s`: monotonic time of the last block or picture, None before the first."""

    def __init__(self, device: Microphone | Camera | Speaker) -> None:
        self.device_id = device.device_id
        self.delivered_s: float | None = None
        self._closable = device
        self._lock = threading.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        self._closed = True
        with self._lock:
            self._closable.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _open(self, start: Callable[[], None], on_lost: OnLost) -> None:
        def run() -> None:
            try:
                with self._lock:
                    if not self._closed:
                        start()
            except HardwareError as exc:
                on_lost(exc)

        self._thread = threading.Thread(target=run, name=f"open {self.device_id}", daemon=True)
        self._thread.start()


class WatchedMicrophone(Watched):
    def __init__(self, device: Microphone) -> None:
        super().__init__(device)
        self._device = device

    def start(self, sink: Callable[[AudioBlock], None], on_lost: OnLost) -> None:
        def deliver(block: AudioBlock) -> None:
            self.delivered_s = time.monotonic()
            sink(block)

        self._open(lambda: self._device.start(deliver, on_lost), on_lost)

    def set_muted(self, muted: bool) -> None:
        """To the device's own switch, if it has one."""
        if isinstance(self._device, MuteSwitch):
            self._device.set_muted(muted)


class WatchedSpeaker(Watched):
    def __init__(self, device: Speaker) -> None:
        super().__init__(device)
        self._device = device

    def start(self, source: Callable[[], Samples], on_lost: OnLost) -> None:
        def pull() -> Samples:
            self.delivered_s = time.monotonic()
            return source()

        self._open(lambda: self._device.start(pull, on_lost), on_lost)


class WatchedCamera(Watched):
    """`latest` is the newest raw picture, for the unit's own preview; a camera that encodes has none."""

    def __init__(self, device: Camera) -> None:
        super().__init__(device)
        self._device = device
        self.width, self.height, self.fps = device.width, device.height, device.fps
        self.latest: Picture | None = None

    def start(self, sink: Callable[[Picture | AccessUnit], None], on_lost: OnLost) -> None:
        def deliver(picture: Picture | AccessUnit) -> None:
            self.delivered_s = time.monotonic()
            if isinstance(picture, Picture):
                self.latest = picture
            sink(picture)

        self._open(lambda: self._device.start(deliver, on_lost), on_lost)

    def request_keyframe(self) -> None:
        self._device.request_keyframe()

    def close(self) -> None:
        super().close()
        self.latest = None
