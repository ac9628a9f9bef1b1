"""Sums the peers and keeps the sum within 16 bits: float mix, gain ramps, peak limiter. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from hw import BLOCK_FRAMES, Samples

Sound = npt.NDArray[np.float32]

CEILING = 0.97  # of full scale
_STEPS = 10  # gain is looked at each 1 ms
_STEP_FRAMES = BLOCK_FRAMES // _STEPS
_RELEASE = 1.0 / 200  # gain a step: from nothing to full in 200 ms


def ramped(sound: Sound, before: float, after: float) -> Sound:
    """One block at a gain that runs from `before` to `after` without a step."""
    if before == after:
        return sound if after == 1.0 else sound * np.float32(after)
    return sound * np.linspace(before, after, sound.size, dtype=np.float32)


class Mixer:
    """Mixes blocks of 480 float samples into one int16 block; the limiter's gain lives from block to block."""

    def __init__(self) -> None:
        self._gain = 1.0

    def mix(self, sounds: Iterable[Sound]) -> Samples:
        """The limited sum, int16 of shape (480,); silence of nothing."""
        total: Sound | None = None
        for sound in sounds:
            total = sound if total is None else total + sound
        if total is None:
            self._gain = 1.0
            return np.zeros(BLOCK_FRAMES, np.int16)
        return (self._limit(total) * 32_767.0).astype(np.int16)

    def _limit(self, total: Sound) -> Sound:
        peaks = np.abs(total).reshape(_STEPS, _STEP_FRAMES).max(axis=1)
        if self._gain == 1.0 and float(peaks.max()) <= CEILING:
            return total
        allowed = np.minimum(1.0, CEILING / np.maximum(peaks, 1e-9))
        # The gain at each edge suits the steps on both its sides; only the block's first edge is given.
        edges = [self._gain]
        for step in range(_STEPS):
            following = float(allowed[step + 1]) if step + 1 < _STEPS else 1.0
            edges.append(min(float(allowed[step]), following, edges[-1] + _RELEASE))
        self._gain = edges[-1]
        curve = np.interp(np.arange(BLOCK_FRAMES), np.arange(_STEPS + 1) * _STEP_FRAMES, edges).astype(np.float32)
        limited: Sound = np.clip(total * curve, -CEILING, CEILING)
        return limited
