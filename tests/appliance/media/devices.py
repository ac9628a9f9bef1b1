"""A camera and a microphone that a test drives picture by picture and block by block, on the test's own thread."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AccessUnit, AudioBlock, HardwareError, Picture
from tests.appliance.media.pictures import picture


class HandCamera:
    def __init__(self, *, broken: bool = False) -> None:
        self.device_id = "hand-camera"
        self.width, self.height, self.fps = 320, 192, 30
        self.keyframe_requests = 0
        self.bitrates_bps: list[int] = []
        self.pictures_wanted = False
        self.closed = 0
        self._broken = broken
        self._sink: Callable[[Picture | AccessUnit], None] | None = None
        self.lose: Callable[[HardwareError], None] = lambda exc: None

    def start(self, sink: Callable[[Picture | AccessUnit], None], on_lost: Callable[[HardwareError], None]) -> None:
        if self._broken:
            raise HardwareError("hand-camera: broken")
        self._sink, self.lose = sink, on_lost

    def show(self, number: int, captured_s: float | None = None) -> float:
        """Delivers picture `number`, captured now or at `captured_s`; gives the capture time."""
        captured_s = time.monotonic() if captured_s is None else captured_s
        self.deliver(Picture(picture(number, self.width, self.height), captured_s))
        return captured_s

    def deliver(self, what: Picture | AccessUnit) -> None:
        assert self._sink is not None
        self._sink(what)

    def request_keyframe(self) -> None:
        self.keyframe_requests += 1

    def set_bitrate(self, bps: int) -> None:
        self.bitrates_bps.append(bps)

    def want_pictures(self, wanted: bool) -> None:
        self.pictures_wanted = wanted

    def close(self) -> None:
        self.closed += 1


class HandMicrophone:
    """A loud tone."""

    def __init__(self) -> None:
        self.device_id = "hand-microphone"
        self.closed = 0
        self._sink: Callable[[AudioBlock], None] | None = None
        self._tone = (10_000 * np.sin(2 * np.pi * 500 * np.arange(BLOCK_FRAMES) / SAMPLE_RATE_HZ)).astype(np.int16)
        self.lose: Callable[[HardwareError], None] = lambda exc: None

    def start(self, sink: Callable[[AudioBlock], None], on_lost: Callable[[HardwareError], None]) -> None:
        self._sink, self.lose = sink, on_lost

    def speak(self, blocks: int) -> None:
        """Blocks that end now and in 10 ms steps from now on."""
        assert self._sink is not None
        for number in range(blocks):
            self._sink(AudioBlock(self._tone, time.monotonic() + number * BLOCK_FRAMES / SAMPLE_RATE_HZ))

    def close(self) -> None:
        self.closed += 1
