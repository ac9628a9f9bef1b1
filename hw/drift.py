"""Two sound cards have two clocks: how far apart they run, and a resampler that makes up for it.

The sound written to the speaker's card is paced by the microphone's. When its clock runs faster its queue shrinks, so
the queue's level is what is controlled: a slow loop turns it into parts per million.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from hw import SAMPLE_RATE_HZ, HardwareError, Samples

MAX_PPM = 300.0  # crystals are within 100 of what they claim; two of them within 200
_LOOP_HZ = 0.02  # slow: nobody hears the pitch move, and the level's jitter averages out
_SETTLE_S = 2.0  # the first levels give the target
_SMOOTH_S = 1.0
_JUMP_FRAMES = 960.0  # a level so far off is no drift: the queue was emptied or filled
_MAX_ERROR_FRAMES = 60.0  # more than any drift makes once the loop follows: a step must not wind it up
_OMEGA = 2 * math.pi * _LOOP_HZ
_PROPORTIONAL = 2 * _OMEGA / SAMPLE_RATE_HZ * 1e6  # ppm a frame; critically damped
_INTEGRAL = _OMEGA**2 / SAMPLE_RATE_HZ * 1e6  # ppm a frame and second


class DriftLoop:
    """Levels of the speaker's queue in, correction out. Pure.

    `ppm` is the estimate: how much faster the speaker's clock runs than the microphone's.
    """

    def __init__(self) -> None:
        self.ppm = 0.0
        self._target: float | None = None
        self._level = 0.0
        self._settled_s = 0.0

    def update(self, level_frames: float, step_s: float) -> float:
        """The correction in ppm, within +-300, for the next block: so much more is to be written."""
        if self._target is None:
            self._settled_s += step_s
            self._level += (level_frames - self._level) * step_s / self._settled_s  # the mean so far
            if self._settled_s >= _SETTLE_S:
                self._target = self._level
            return self.ppm
        self._level += (level_frames - self._level) * min(1.0, step_s / _SMOOTH_S)
        if abs(self._target - level_frames) > _JUMP_FRAMES:
            self.restart()
            return self.ppm
        missing = _within(self._target - self._level, _MAX_ERROR_FRAMES)
        self.ppm = _within(self.ppm + _INTEGRAL * missing * step_s, MAX_PPM)
        return _within(self.ppm + _PROPORTIONAL * missing, MAX_PPM)

    def restart(self) -> None:
        """The queue was emptied or filled: a new target, the same estimate."""
        self._target, self._level, self._settled_s = None, 0.0, 0.0


def _within(value: float, limit: float) -> float:
    return max(-limit, min(limit, value))


class Stretcher:
    """Gives a few ppm more or fewer samples than it gets; 2 ms of delay. HardwareError without soxr."""

    def __init__(self) -> None:
        try:
            import soxr
        except ImportError as exc:
            raise HardwareError("a microphone and a speaker on different cards need soxr: pip install soxr") from exc
        # The first rate is the largest that set_io_ratio may name.
        self._stream: Any = soxr.ResampleStream(SAMPLE_RATE_HZ * 1.01, SAMPLE_RATE_HZ, 1, dtype="int16", vr=True)
        self._stream.set_io_ratio(1.0, 1.0)

    def __call__(self, samples: Samples, ppm: float) -> Samples:
        self._stream.set_io_ratio(1.0, 1.0 + ppm * 1e-6, samples.size)
        return cast("Samples", self._stream.resample_chunk(np.ascontiguousarray(samples)))
