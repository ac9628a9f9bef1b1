"""The sound of a test: three soft bells, one after the other."""

from __future__ import annotations

import functools

import numpy as np

from appliance.media.mixer import Sound
from hw import SAMPLE_RATE_HZ

NOTES_HZ = (659.26, 880.0, 1318.51)  # E5, A5, E6
_EVERY_S = 0.28
_DECAY_S = 0.35
_OVERTONES = ((1.0, 1.0), (2.0, 0.25), (3.0, 0.08))  # multiple of the note, amplitude
_ATTACK_S = 0.006
_PEAK = 0.35  # of full scale: clear, and nobody jumps


@functools.cache
def chime() -> Sound:
    """Float32 -1..1 at 48 kHz, about two seconds; it ends in silence."""
    whole = np.zeros(round(SAMPLE_RATE_HZ * 2.0), np.float32)
    for index, note_hz in enumerate(NOTES_HZ):
        first = round(index * _EVERY_S * SAMPLE_RATE_HZ)
        t_s = np.arange(whole.size - first) / SAMPLE_RATE_HZ
        envelope = np.minimum(1.0, t_s / _ATTACK_S) * np.exp(-t_s / _DECAY_S)
        tone = sum(amplitude * np.sin(2 * np.pi * note_hz * multiple * t_s) for multiple, amplitude in _OVERTONES)
        whole[first:] += (tone * envelope).astype(np.float32)
    whole[-SAMPLE_RATE_HZ // 10 :] *= np.linspace(1.0, 0.0, SAMPLE_RATE_HZ // 10, dtype=np.float32)
    return whole * np.float32(_PEAK / np.abs(whole).max())
