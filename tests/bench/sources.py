"""Camera and microphone of the bench: the same moving picture and the same bursts for every contender."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import av
import numpy as np
import numpy.typing as npt

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AccessUnit, AudioBlock, HardwareError, Picture, Samples
from hw.frame_code import draw_code, read_code

WIDTH, HEIGHT, FPS = 1280, 720, 30
CODE_MODULO_MS = 1 << 20  # 17 minutes: longer than any measurement
BURST_PERIOD_S = 0.5
BURST_BLOCKS = 4  # 40 ms
BURST_HZ = 4000
LOUD = 4000  # a decoded burst is far above this, codec noise far below


def picture_code(now_s: float) -> int:
    """The capture time as it stands in a picture: monotonic milliseconds, wrapped."""
    return int(now_s * 1000) % CODE_MODULO_MS


def frame_age_ms(frame: av.VideoFrame, now_s: float) -> float | None:
    """How old a decoded picture is; None where its code cannot be read."""
    code = code_in(frame)
    return None if code is None else code_age_ms(code, now_s)


def code_age_ms(code: int, now_s: float) -> int:
    return (picture_code(now_s) - code) % CODE_MODULO_MS


class MovingPictures:
    """A textured background that pans under the noise of a sensor, so that an encoder uses the rate it is given."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        coarse = rng.integers(40, 216, (HEIGHT // 16, WIDTH // 8)).astype(np.uint8)
        self._wide = np.kron(coarse, np.ones((16, 16), np.uint8))
        self._noise = rng.integers(0, 9, (HEIGHT, 2 * WIDTH)).astype(np.uint8)
        self._chroma = np.full((HEIGHT // 2, WIDTH), 128, np.uint8)
        self._count = 0

    def next(self, now_s: float) -> av.VideoFrame:
        shift = self._count * 4 % WIDTH
        self._count += 1
        planes = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
        grain = self._count * 211 % WIDTH
        np.add(self._wide[:, shift : shift + WIDTH], self._noise[:, grain : grain + WIDTH], out=planes[:HEIGHT])
        planes[HEIGHT:] = self._chroma
        draw_code(planes[:HEIGHT], picture_code(now_s))
        return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def code_in(frame: av.VideoFrame) -> int | None:
    """The code of a decoded picture."""
    return read_code(np.frombuffer(bytes(frame.planes[0]), np.uint8).reshape(frame.height, -1)[:, : frame.width])


_TIME_S = np.arange(BLOCK_FRAMES) / SAMPLE_RATE_HZ
_SILENCE = np.zeros(BLOCK_FRAMES, np.int16)
_BURST = (12_000 * np.sin(2 * np.pi * BURST_HZ * _TIME_S)).astype(np.int16)  # made once: no part of what is measured


def burst_block(end_s: float) -> npt.NDArray[np.int16]:
    """The 10 ms that end at `end_s`, a multiple of 10 ms: in a burst that begins each half second, else silence."""
    return _BURST if round(end_s * 100) % round(BURST_PERIOD_S * 100) < BURST_BLOCKS else _SILENCE


class BurstListener:
    """Finds bursts in what is heard and tells how old each is. Feed blocks with the time their first sample is due."""

    def __init__(self, heard: Callable[[float], None]) -> None:
        self._heard = heard
        self._deaf_until_s = 0.0

    def hear(self, samples: npt.NDArray[np.int16], at_s: float) -> None:
        if at_s < self._deaf_until_s:
            return
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > LOUD)
        if not loud.size:
            return
        onset_s = at_s + loud[0] / SAMPLE_RATE_HZ
        # The burst's first sample entered the microphone one block before the half second.
        self._heard((onset_s % BURST_PERIOD_S + BLOCK_FRAMES / SAMPLE_RATE_HZ) * 1000)
        self._deaf_until_s = at_s + BURST_PERIOD_S / 2


def _paced(name: str, period_s: float, tick: Callable[[float], None], stop: threading.Event) -> threading.Thread:
    def run() -> None:
        due_s = math.ceil(time.monotonic() / period_s) * period_s
        while not stop.is_set():
            tick(due_s)
            due_s += period_s
            time.sleep(max(0.0, due_s - time.monotonic()))

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


class Paced:
    def __init__(self, device_id: str, period_s: float) -> None:
        self.device_id = device_id
        self._period_s = period_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def run(self, tick: Callable[[float], None]) -> None:
        self._thread = _paced(self.device_id, self._period_s, tick, self._stop)

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None


class BenchMicrophone(Paced):
    def __init__(self) -> None:
        super().__init__("bench-microphone", BLOCK_FRAMES / SAMPLE_RATE_HZ)

    def start(self, sink: Callable[[AudioBlock], None], on_lost: Callable[[HardwareError], None]) -> None:
        self.run(lambda due_s: sink(AudioBlock(burst_block(due_s), due_s)))


class PacedCamera(Paced):
    """Delivers `next_picture` in each turn. Nothing can be asked of it."""

    width, height, fps = WIDTH, HEIGHT, FPS

    def __init__(self, device_id: str) -> None:
        super().__init__(device_id, 1 / FPS)

    def next_picture(self, due_s: float) -> Picture | AccessUnit:
        raise NotImplementedError

    def start(self, sink: Callable[[Picture | AccessUnit], None], on_lost: Callable[[HardwareError], None]) -> None:
        self.run(lambda due_s: sink(self.next_picture(due_s)))

    def request_keyframe(self) -> None:
        """It makes one when it does."""

    def set_bitrate(self, bps: int) -> None:
        """It keeps its own."""


class BenchCamera(PacedCamera):
    def __init__(self) -> None:
        super().__init__("bench-camera")
        self._pictures = MovingPictures()

    def next_picture(self, due_s: float) -> Picture:
        return Picture(self._pictures.next(due_s), due_s)


class BenchSpeaker(Paced):
    """Pulls 10 ms each 10 ms, as a sound card would, and listens for bursts."""

    def __init__(self, listener: BurstListener) -> None:
        super().__init__("bench-speaker", BLOCK_FRAMES / SAMPLE_RATE_HZ)
        self._listener = listener

    def start(self, source: Callable[[], Samples], on_lost: Callable[[HardwareError], None]) -> None:
        self.run(lambda due_s: self._listener.hear(source(), due_s))
