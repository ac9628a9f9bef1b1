"""Microphone and speaker without hardware: driven and read by a test or by the virtual panel."""

from __future__ import annotations

import threading
import wave
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AudioBlock, BlockSink, Microphone, OnLost, Samples
from hw.level import Meter, dbov
from hw.pacing import Pacer
from hw.plug import Pluggable

BLOCK_S = BLOCK_FRAMES / SAMPLE_RATE_HZ


class MockMicrophone(Pluggable):
    """Delivers 10 ms blocks in real time: what was fed, else what `source` (another microphone) hears, else silence.

    A device that its source loses is lost too.
    """

    def __init__(self, source: Microphone | None = None, *, device_id: str = "mock-microphone") -> None:
        super().__init__(device_id)
        self._source = source
        self._fed: deque[Samples] = deque()
        self._pacer = Pacer("mock-microphone")

    def feed(self, samples: Samples) -> None:
        """Queue mono int16 at 48 kHz, any length; a last part of a block is filled up with silence."""
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ValueError(f"feed wants mono int16, got {samples.dtype} of shape {samples.shape}")
        padded = np.append(samples, np.zeros(-samples.size % BLOCK_FRAMES, np.int16))
        self._fed.extend(padded.reshape(-1, BLOCK_FRAMES))

    def start(self, sink: BlockSink, on_lost: OnLost) -> None:
        self.close()
        self._opened(on_lost)

        def deliver(block: AudioBlock) -> None:
            sink(AudioBlock(self._fed.popleft(), block.captured_s) if self._fed else block)

        silence = np.zeros(BLOCK_FRAMES, np.int16)
        if self._source is not None:
            self._source.start(deliver, self._lost)
        else:
            self._pacer.start(BLOCK_S, lambda: lambda _n, due_s: deliver(AudioBlock(silence, due_s)), self._lost)

    def close(self) -> None:
        super().close()
        self._pacer.close()
        if self._source is not None:
            self._source.close()


class MockSpeaker(Pluggable):
    """Pulls a block each 10 ms of the monotonic clock and keeps the last `keep_s` seconds.

    `level` is the volume 0..100 (`hw.level.Meter`), `blocks` how many were pulled since `start`.
    """

    def __init__(self, *, keep_s: float = 30.0, device_id: str = "mock-speaker") -> None:
        super().__init__(device_id)
        self.blocks = 0
        self._ring: deque[Samples] = deque(maxlen=max(1, round(keep_s / BLOCK_S)))
        self._changed = threading.Condition()
        self._meter = Meter()
        self._pacer = Pacer("mock-speaker")

    @property
    def level(self) -> int:
        return self._meter.volume if self._pacer.is_open else 0

    def start(self, source: Callable[[], Samples], on_lost: OnLost) -> None:
        self.close()
        self.blocks = 0
        self._meter = Meter()
        self._opened(on_lost)

        def tick(_number: int, _due_s: float) -> None:
            samples = np.array(source(), dtype=np.int16)
            self._meter.feed(dbov(samples), BLOCK_S)
            with self._changed:
                self._ring.append(samples)
                self.blocks += 1
                self._changed.notify_all()

        self._pacer.start(BLOCK_S, lambda: tick, self._lost)

    def samples(self) -> Samples:
        """What was played, oldest first: int16 mono at 48 kHz, at most the last `keep_s` seconds."""
        with self._changed:
            return np.concatenate([np.zeros(0, np.int16), *self._ring])

    def wait_blocks(self, count: int, timeout_s: float) -> bool:
        """Block the calling thread until `count` more blocks were pulled; False when that takes too long."""
        with self._changed:
            goal = self.blocks + count
            return self._changed.wait_for(lambda: self.blocks >= goal, timeout_s)

    def clear(self) -> None:
        with self._changed:
            self._ring.clear()

    def save_wav(self, path: str | Path) -> None:
        """Write `samples()` as a mono 16 bit WAV file; OSError when that fails."""
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE_HZ)
            file.writeframes(self.samples().astype("<i2").tobytes())

    def close(self) -> None:
        super().close()
        self._pacer.close()
