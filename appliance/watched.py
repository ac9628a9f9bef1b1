"""Devices that cannot hold up the unit, whatever their drivers do, and that say when they last delivered.

Each wraps one device for one opening. `start` and `close` return at once: the device is opened and closed in threads of
its own, for a driver may take seconds, or for ever. What it delivers after `close` goes nowhere. One that cannot be
opened reports it through `on_lost`, like one that vanished, and so does one whose driver fails on an error of its own.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from appliance.media.plausible import block_fault, fault
from hw import (
    BLOCK_FRAMES,
    AccessUnit,
    AudioBlock,
    BlockSink,
    Camera,
    HardwareError,
    Labeled,
    Measured,
    Microphone,
    MuteSwitch,
    OnLost,
    Picture,
    PictureSink,
    RawPictures,
    Samples,
    SoundStats,
    Speaker,
)

logger = logging.getLogger(__name__)

LOOK_S = 2.0  # a preview that hasn't asked for so long is not looked at any more

_SILENCE: Samples = np.zeros(BLOCK_FRAMES, np.int16)


class Watched:
    """Made on the event loop. `delivered_s`: monotonic time of the last block or picture, None before the first."""

    def __init__(self, device: Microphone | Camera | Speaker) -> None:
        self.device_id = device.device_id
        self.delivered_s: float | None = None
        self._loop = asyncio.get_running_loop()
        self._closed = asyncio.Event()
        self._closable = device
        self._measured = device if isinstance(device, Measured) else None
        self._closing = False
        self._opener: threading.Thread | None = None
        self._closer = threading.Thread(target=self._close, name=f"close {device.device_id}", daemon=True)

    @property
    def label(self) -> str:
        """Its name for people."""
        device = self._closable
        return (device.label if isinstance(device, Labeled) else "") or device.device_id

    @property
    def stats(self) -> SoundStats | None:
        """None also of a device that does not measure itself."""
        return self._measured.stats if self._measured is not None else None

    @property
    def is_closed(self) -> bool:
        """The driver let go of it: it can be opened again."""
        return self._closed.is_set()

    def close(self) -> None:
        """Nothing comes from it any more."""
        if not self._closing:
            self._closing = True
            self._closer.start()

    async def wait_closed(self) -> None:
        """After `close`: until the driver let go and no thread is left of it, which a bad one may never do."""
        await self._closed.wait()
        self._closer.join()  # its last act was to set the event

    def _open(self, start: Callable[[], None], on_lost: OnLost) -> None:
        def run() -> None:
            try:
                if not self._closing:
                    start()
                    self.device_id = self._closable.device_id  # "auto" has found one
            except HardwareError as exc:
                on_lost(exc)
            except Exception as exc:
                logger.exception("%s: its driver failed", self.device_id)
                on_lost(driver_error(self.device_id, exc))

        self._opener = threading.Thread(target=run, name=f"open {self.device_id}", daemon=True)
        self._opener.start()

    def _close(self) -> None:
        if self._opener is not None:
            self._opener.join()
        try:
            self._closable.close()
        except Exception:
            logger.exception("%s: its driver failed at closing", self.device_id)
        with suppress(RuntimeError):  # the loop is gone
            self._loop.call_soon_threadsafe(self._closed.set)


def driver_error(device_id: str, error: Exception) -> HardwareError:
    return HardwareError(f"{device_id}: its driver failed: {type(error).__name__}: {error}")


class WatchedMicrophone(Watched):
    """What is no block of sound is told to the log, goes nowhere, and does not count as delivered."""

    def __init__(self, device: Microphone) -> None:
        super().__init__(device)
        self._device = device

    def start(self, sink: BlockSink, on_lost: OnLost) -> None:
        told: list[str] = []

        def deliver(block: AudioBlock) -> None:
            if self._closing:
                return
            now_s = time.monotonic()
            if what := block_fault(block, now_s):
                if not told:  # the first says it: a bad driver gives a hundred a second
                    told.append(what)
                    logger.warning("%s: not a block of sound: %s", self.device_id, what)
                return
            self.delivered_s = now_s
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
            if self._closing:
                return _SILENCE
            self.delivered_s = time.monotonic()
            return source()

        self._open(lambda: self._device.start(pull, on_lost), on_lost)


class WatchedCamera(Watched):
    """What is no picture is told to the log, and does not count as delivered."""

    def __init__(self, device: Camera) -> None:
        super().__init__(device)
        self._device = device
        self.width, self.height, self.fps = device.width, device.height, device.fps
        self._latest: Picture | None = None
        self._wanted = {"uplink": False, "look": False}
        self._look_away: asyncio.TimerHandle | None = None

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        def deliver(picture: Picture | AccessUnit) -> None:
            if self._closing:
                return
            now_s = time.monotonic()
            if not fault(picture, now_s):
                self.delivered_s = now_s
                if isinstance(picture, Picture):
                    self._latest = picture
            sink(picture)

        self._open(lambda: self._device.start(deliver, on_lost), on_lost)

    def look(self) -> Picture | None:
        """The newest raw picture, for the unit's own preview. A camera that encodes makes them while somebody looks:
        the first look finds none."""
        if self._look_away is not None:
            self._look_away.cancel()
        self._look_away = None if self._closing else self._loop.call_later(LOOK_S, self._want, "look", False)
        self._want("look", not self._closing)
        latest = self._latest
        return latest if latest is not None and time.monotonic() - latest.captured_s < LOOK_S else None

    def request_keyframe(self) -> None:
        self._ask(self._device.request_keyframe)

    def set_bitrate(self, bps: int) -> None:
        self._ask(lambda: self._device.set_bitrate(bps))

    def want_pictures(self, wanted: bool) -> None:
        self._want("uplink", wanted)

    def close(self) -> None:
        super().close()
        self._latest = None
        if self._look_away is not None:
            self._look_away.cancel()

    def _want(self, who: str, wanted: bool) -> None:
        before = any(self._wanted.values())
        self._wanted[who] = wanted
        device, after = self._device, any(self._wanted.values())
        if after != before and isinstance(device, RawPictures):
            self._ask(lambda: device.want_pictures(after))

    def _ask(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception:
            logger.exception("%s: its driver failed", self.device_id)
