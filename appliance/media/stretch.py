"""Shortens or lengthens speech by whole pitch periods, so that nobody hears it (overlap-add at the best match)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Sound = npt.NDArray[np.float32]  # mono, 48 kHz, -1..1

MIN_SHIFT_FRAMES = 120  # 2.5 ms: 400 Hz
MAX_SHIFT_FRAMES = 576  # 12 ms: 83 Hz
_DECIMATION = 4
_SILENCE_POWER = 1e-6  # mean square, -60 dBov: any seam will do
_MATCH = 0.5  # least normalized correlation of the two sides of the seam


def shorten(sound: Sound, frames: int) -> Sound:
    """`sound` with at most `frames` taken out of it, or `sound` itself where no seam would go unheard."""
    shift, overlap = _seam(sound, frames)
    if shift == 0:
        return sound
    seam = cross_fade(sound[:overlap], sound[shift : shift + overlap])
    return np.concatenate((seam, sound[shift + overlap :]))


def lengthen(sound: Sound, frames: int) -> Sound:
    """`sound` with at most `frames` of it said twice, or `sound` itself where no seam would go unheard."""
    shift, overlap = _seam(sound, frames)
    if shift == 0:
        return sound
    seam = cross_fade(sound[shift : shift + overlap], sound[:overlap])
    return np.concatenate((sound[:shift], seam, sound[overlap:]))


def cross_fade(before: Sound, after: Sound) -> Sound:
    """From `before` to `after`, both of the same length."""
    rise = np.linspace(0.0, 1.0, before.size, dtype=np.float32)
    return before + (after - before) * rise


def join(last: float, sound: Sound) -> Sound:
    """`sound` bent over its first 2.5 ms so that it goes on from the sample `last` without a step."""
    if sound.size == 0:
        return sound
    bend = min(sound.size, 120)
    joined = sound.copy()
    joined[:bend] += np.float32(last - float(sound[0])) * _FALL[:bend]
    return joined


_FALL: Sound = (0.5 + 0.5 * np.cos(np.pi * np.arange(120) / 120)).astype(np.float32)


def _seam(sound: Sound, frames: int) -> tuple[int, int]:
    """(shift, overlap) in samples of the best match within `sound` for its own beginning; shift 0: none good enough."""
    overlap = min(240, sound.size // 4)
    longest = min(frames, MAX_SHIFT_FRAMES, sound.size - overlap)
    if longest < MIN_SHIFT_FRAMES or overlap < 2 * _DECIMATION:
        return 0, 0
    if float(np.dot(sound, sound)) < _SILENCE_POWER * sound.size:
        return longest, overlap
    coarse = sound[: longest + overlap : _DECIMATION]
    head = coarse[: overlap // _DECIMATION]
    products = np.correlate(coarse, head, "valid")
    running = np.concatenate((np.zeros(1, np.float32), np.cumsum(coarse * coarse)))
    energies = running[head.size :] - running[: -head.size]
    matches = products / np.sqrt(np.maximum(energies * energies[0], 1e-12))
    skipped = MIN_SHIFT_FRAMES // _DECIMATION
    best = skipped + int(np.argmax(matches[skipped:]))
    return (best * _DECIMATION, overlap) if matches[best] >= _MATCH else (0, 0)
