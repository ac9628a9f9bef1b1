"""How loud: dBov of samples, and the volume 0..100 that every meter shows (capabilities U51).

0 is silence, over 10 is speech (-50 dBov), ordinary speech reads 40 to 70. Two points a decibel from -55 dBov (0) to
-5 dBov (100); a full-scale sine is -3 dBov.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

FULL_SCALE = 32_768.0
SILENCE_DBOV = -127.0  # the floor of RFC 6464
SPEECH_VOLUME = 10  # above this somebody is speaking

_FLOOR_DBOV = -55.0
_POINTS_PER_DB = 2.0


def mean_square(samples: npt.NDArray[Any]) -> float:
    """Mean square 0..1 of int16 samples or of float samples in -1..1; 0 of none."""
    if samples.size == 0:
        return 0.0
    values = samples.astype(np.float32, copy=False)
    scale = FULL_SCALE if samples.dtype == np.int16 else 1.0
    return float(np.dot(values, values)) / (samples.size * scale * scale)


def dbov_of(mean_sq: float) -> float:
    """-127..0 dBov of a mean square 0..1 (0 dBov is a full-scale square wave, RFC 6464 section 3)."""
    return max(SILENCE_DBOV, min(0.0, 10.0 * math.log10(mean_sq))) if mean_sq > 0.0 else SILENCE_DBOV


def dbov(samples: npt.NDArray[Any]) -> float:
    """-127..0 dBov of one block of samples."""
    return dbov_of(mean_square(samples))


def volume(level_dbov: float) -> int:
    """0..100 of a level in dBov."""
    return round(max(0.0, min(100.0, (level_dbov - _FLOOR_DBOV) * _POINTS_PER_DB)))


class Meter:
    """Volume 0..100 that rises at once and falls 60 dB a second, so that it can be read slower than it is fed."""

    FALL_DB_PER_S = 60.0

    def __init__(self) -> None:
        self._dbov = SILENCE_DBOV

    def feed(self, level_dbov: float, duration_s: float) -> None:
        """Takes the level of the next `duration_s` of sound."""
        self._dbov = max(level_dbov, self._dbov - self.FALL_DB_PER_S * duration_s)

    @property
    def dbov(self) -> float:
        return self._dbov

    @property
    def volume(self) -> int:
        return volume(self._dbov)
