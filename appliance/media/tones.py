"""Sounds of a call: what rings, and what the caller hears. Pure: samples, float32 -1..1 at 48 kHz.

| tone | | after |
|---|---|---|
| ring | two warbling bursts, then a rest | the ringing of a British bell telephone: 0.4 on, 0.2 off, 0.4 on, 2 off |
| ring-back | 425 Hz, 1 s on, 4 s off | ITU-T E.180, Europe's common tone |
| busy | 425 Hz, 0.5 s on, 0.5 s off, three times | ITU-T E.180 |
| end | two falling notes | |
| answered | two rising notes: an open microphone is announced | |

The ring and the ring-back are one period, to be repeated without a seam.
"""

from __future__ import annotations

import functools
from enum import StrEnum

import numpy as np

from appliance.media.mixer import Sound
from hw import SAMPLE_RATE_HZ

PROGRESS_HZ = 425.0  # ITU-T E.180
RING_HZ = (880.0, 1046.5)  # A5 and C6 by turns
_WARBLE_S = 0.04
_EDGE_S = 0.01  # nothing clicks
_PEAK = 0.5  # of full scale, at full volume


class Tone(StrEnum):
    RING = "ring"
    RING_BACK = "ring-back"
    BUSY = "busy"
    END = "end"
    ANSWERED = "answered"


REPEATED = frozenset({Tone.RING, Tone.RING_BACK})


@functools.cache
def tone(which: Tone) -> Sound:
    """The whole sound, or one period of it when it is of those `REPEATED`."""
    match which:
        case Tone.RING:
            burst = _warble(0.4)
            whole = _chain(burst, 0.2, burst, 2.0)
        case Tone.RING_BACK:
            whole = _chain(0.2, _note(PROGRESS_HZ, 1.0), 3.8)
        case Tone.BUSY:
            beep = _note(PROGRESS_HZ, 0.5)
            whole = _chain(beep, 0.5, beep, 0.5, beep, 0.5)
        case Tone.END:
            whole = _chain(_note(RING_HZ[0], 0.15), 0.05, _note(RING_HZ[0] / 2, 0.3))
        case Tone.ANSWERED:
            whole = _chain(_note(RING_HZ[0] / 2, 0.15), 0.05, _note(RING_HZ[0], 0.3))
    return whole * np.float32(_PEAK)


def _chain(*parts: Sound | float) -> Sound:
    """Notes, and rests in seconds."""
    return np.concatenate([_silence(part) if isinstance(part, float) else part for part in parts])


def _silence(duration_s: float) -> Sound:
    return np.zeros(round(duration_s * SAMPLE_RATE_HZ), np.float32)


def _note(frequency_hz: float, duration_s: float) -> Sound:
    t_s = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return _shaped(np.sin(2 * np.pi * frequency_hz * t_s))


def _warble(duration_s: float) -> Sound:
    t_s = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    frequency_hz = np.where(t_s // _WARBLE_S % 2 == 0, *RING_HZ)
    return _shaped(np.sin(2 * np.pi * np.cumsum(frequency_hz) / SAMPLE_RATE_HZ))  # no jump of the phase


def _shaped(wave: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Sound:
    edge = round(_EDGE_S * SAMPLE_RATE_HZ)
    wave[:edge] *= np.linspace(0.0, 1.0, edge)
    wave[-edge:] *= np.linspace(1.0, 0.0, edge)
    return wave.astype(np.float32)
