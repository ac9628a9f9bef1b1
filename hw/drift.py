"""Two sound cards have two clocks: how far apart they run, and a resampler that makes up for it.

The sound written to the speaker's card is paced by the microphone's. What the microphone's card holds and what the
speaker's is still to play are one sum, which only the drift changes: a late thread moves sound from one to the other.
That sum is the loop's input, and a slow loop turns it into parts per million.

Cards and sound servers count in steps (a period, a USB transfer). Looked at always at the same point of a period, such
a step stands still for a minute and then jumps; looked at anywhere in it, by chance, it averages out.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from hw import SAMPLE_RATE_HZ, HardwareError, Samples

MAX_PPM = 300.0  # crystals are within 100 of what they claim; two of them within 200
_ACQUIRE_HZ, _ACQUIRE_S = 0.02, 20.0  # the loop's first bandwidth; then it narrows with the time that it has run, to
_TRACK_HZ = 0.005  # so slow: what is left of the steps of two sound servers moves the estimate by 2 ppm
_REACQUIRE_S = 40.0  # after running dry it goes on with the bandwidth of this time
_SETTLE_S = 2.0  # the first levels give the target
_SMOOTH_S = 1.0  # each of two stages
_JUMP_FRAMES = 480.0  # no drift takes the smoothed level so far: a queue was emptied or filled
_MAX_ERROR_FRAMES = 240.0  # a smaller jump must not wind it up
_MAX_STEP_S = 0.1  # nothing was looked at for so long, or longer


class DriftLoop:
    """Levels of the queues in, correction out. Pure.

    `ppm` is the estimate: how much faster the speaker's clock runs than the microphone's. `correction_ppm`, within
    +-300, is how much more is to be written now: the estimate, and what brings the level back.
    """

    def __init__(self) -> None:
        self.ppm = 0.0
        self.correction_ppm = 0.0
        self._target: float | None = None
        self._level = self._smooth = 0.0
        self._settled_s = 0.0
        self._run_s = 0.0

    def update(self, level_frames: float, step_s: float) -> None:
        """The level as it is `step_s` after the one before."""
        step_s = min(step_s, _MAX_STEP_S)
        if self._target is None:
            self._settled_s += step_s
            self._level += (level_frames - self._level) * step_s / self._settled_s  # the mean so far
            if self._settled_s >= _SETTLE_S:
                self._target = self._smooth = self._level
            return
        self._level += (level_frames - self._level) * step_s / _SMOOTH_S
        self._smooth += (self._level - self._smooth) * step_s / _SMOOTH_S
        if abs(self._target - self._smooth) > _JUMP_FRAMES:
            self.restart()
            return
        self._run_s += step_s
        omega = 2 * math.pi * max(_TRACK_HZ, _ACQUIRE_HZ * min(1.0, _ACQUIRE_S / self._run_s))
        missing_ppm_s = _within(self._target - self._smooth, _MAX_ERROR_FRAMES) / SAMPLE_RATE_HZ * 1e6
        self.ppm = _within(self.ppm + omega**2 * missing_ppm_s * step_s, MAX_PPM)
        self.correction_ppm = _within(self.ppm + 2 * omega * missing_ppm_s, MAX_PPM)  # critically damped

    def shift(self, frames: float) -> None:
        """So many frames were written beside the pace, or (negative) kept back: the level moves, and so it may."""
        self._level += frames
        if self._target is not None:
            self._target += frames
            self._smooth += frames

    def ran_dry(self) -> None:
        """The speaker had nothing to play: a new target, and half of an estimate that took sound away."""
        if self.ppm < 0:
            self.ppm /= 2
            self._run_s = min(self._run_s, _REACQUIRE_S)
        self.restart()

    def restart(self) -> None:
        """A queue was emptied or filled: a new target, the same estimate."""
        self.correction_ppm = self.ppm
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
