"""Camera and microphone out of nothing: a moving picture with a clock and a frame code, and a voice or a tone."""

from __future__ import annotations

import time

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AudioBlock, BlockSink, HardwareError, OnLost, Picture, PictureSink
from hw.frame_code import draw_code, read_code
from hw.landscape import Landscape
from hw.pacing import Pacer, Tick
from hw.voice import babble, tone

__all__ = ["SyntheticCamera", "SyntheticMicrophone", "draw_code", "read_code"]

_MIN_SIDE = 160


class SyntheticCamera:
    """Pictures 0, 1, 2, ... with the number as frame code; `name` stands below the clock.

    `start` raises HardwareError for a size that isn't even and at least 160x160, or fps outside 1..120.
    """

    def __init__(
        self, width: int = 1280, height: int = 720, fps: int = 30, *, name: str = "Room", device_id: str = "synthetic"
    ) -> None:
        self.device_id = device_id
        self.width, self.height, self.fps = width, height, fps
        self._name = name
        self._pacer = Pacer("synthetic-camera")

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        if self.width % 2 or self.height % 2 or min(self.width, self.height) < _MIN_SIDE or not 1 <= self.fps <= 120:
            raise HardwareError(
                f"camera {self.device_id}: {self.width}x{self.height} at {self.fps} fps is not possible; "
                f"take even sides of at least {_MIN_SIDE} and 1 to 120 fps"
            )

        def prepare() -> Tick:
            landscape = Landscape(self.width, self.height, self._name)

            def tick(number: int, due_s: float) -> None:
                captured_s = time.monotonic()
                sink(Picture(landscape.picture(number, number / self.fps, time.time()), captured_s))

            return tick

        self._pacer.start(1 / self.fps, prepare, on_lost)

    def request_keyframe(self) -> None:
        pass

    def set_bitrate(self, bps: int) -> None:
        pass

    def close(self) -> None:
        self._pacer.close()


class SyntheticMicrophone:
    """A synthetic voice, or with `tone_hz` a pure tone of a quarter of full scale."""

    def __init__(self, *, tone_hz: float | None = None, device_id: str = "synthetic") -> None:
        self.device_id = device_id
        self._tone_hz = tone_hz
        self._pacer = Pacer("synthetic-microphone")

    def start(self, sink: BlockSink, on_lost: OnLost) -> None:
        """Raises HardwareError for a tone that 48 kHz cannot carry."""
        tone_hz = self._tone_hz
        if tone_hz is not None and not 0 < tone_hz < SAMPLE_RATE_HZ / 2:
            raise HardwareError(f"microphone {self.device_id}: a tone of {tone_hz} Hz is outside 0..24000 Hz")

        def prepare() -> Tick:
            voice = babble() if tone_hz is None else None

            def tick(number: int, due_s: float) -> None:
                first = number * BLOCK_FRAMES
                if voice is None:
                    assert tone_hz is not None
                    samples = tone(tone_hz, first, BLOCK_FRAMES)
                else:
                    samples = voice[first % voice.size :][:BLOCK_FRAMES]
                sink(AudioBlock(samples, due_s))

            return tick

        self._pacer.start(BLOCK_FRAMES / SAMPLE_RATE_HZ, prepare, on_lost)

    def close(self) -> None:
        self._pacer.close()
