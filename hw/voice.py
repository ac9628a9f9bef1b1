"""A voice that says nothing: soft formant syllables in phrases with pauses. Pure.

Source and filter (G. Fant): harmonics of a gliding pitch, each as loud as three formant resonances make it; vowels
glide into each other, breath noise opens a syllable.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hw import SAMPLE_RATE_HZ, Samples

_VOWELS_HZ = {  # the first three formants of a grown-up voice (Peterson and Barney 1952, rounded)
    "a": (750, 1200, 2500),
    "e": (500, 1850, 2500),
    "i": (300, 2250, 2950),
    "o": (520, 900, 2400),
    "u": (330, 880, 2250),
}
_BANDWIDTHS_HZ = (80, 110, 160)
# A syllable: vowel it starts on, vowel it ends on, length in s, pitch in Hz at its start and end. None: a pause.
_PHRASES: tuple[tuple[str, str, float, float, float] | float, ...] = (
    ("o", "a", 0.22, 124, 132), ("a", "i", 0.19, 132, 138), ("e", "e", 0.16, 136, 130), ("a", "o", 0.24, 130, 122),
    ("i", "e", 0.18, 122, 116), ("o", "u", 0.30, 116, 98), 0.75,
    ("e", "i", 0.20, 128, 136), ("a", "a", 0.21, 138, 142), ("u", "o", 0.18, 140, 128), ("a", "e", 0.28, 128, 146),
    0.95,
    ("a", "u", 0.24, 130, 124), ("i", "i", 0.15, 126, 124), ("o", "e", 0.20, 122, 118), ("e", "a", 0.18, 118, 114),
    ("o", "o", 0.17, 114, 112), ("u", "a", 0.34, 110, 92), 1.3,
)  # fmt: skip
_HARMONICS = 36
_PEAK = 0.35
_GAP_S = 0.03


def _syllable(
    first: str, last: str, length_s: float, pitch_from: float, pitch_to: float, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    count = int(length_s * SAMPLE_RATE_HZ)
    t = np.linspace(0, 1, count)
    pitch = pitch_from + (pitch_to - pitch_from) * t + 1.2 * np.sin(2 * np.pi * 5.2 * length_s * t)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
    glide = (1 - np.cos(np.pi * t)) / 2
    formants = [
        (a + (b - a) * glide, bandwidth)
        for a, b, bandwidth in zip(_VOWELS_HZ[first], _VOWELS_HZ[last], _BANDWIDTHS_HZ, strict=True)
    ]
    voiced = np.zeros(count)
    for k in range(1, _HARMONICS + 1):
        hz = k * pitch
        resonance = sum(
            gain / (1 + ((hz - formant) / bandwidth) ** 2)
            for gain, (formant, bandwidth) in zip((1.0, 0.6, 0.3), formants, strict=True)
        )
        voiced += (0.03 + resonance) / k**0.7 * np.sin(k * phase)
    breath = np.convolve(rng.standard_normal(count), np.ones(8) / 8, "same") * np.exp(-t * length_s / 0.02) * 0.15
    envelope = np.minimum(1, t * length_s / 0.035) * np.minimum(1, (1 - t) * length_s / 0.07)
    return np.asarray(np.sin(envelope * np.pi / 2) * voiced + np.sin(np.minimum(1, t * 40) * np.pi / 2) * breath)


@lru_cache(maxsize=1)
def babble() -> Samples:
    """Some eight seconds that can be looped without a click, whole blocks long; about 0.2 s of work, then kept."""
    rng = np.random.default_rng(4)
    parts = []
    for part in _PHRASES:
        if isinstance(part, float):
            parts.append(np.zeros(int(part * SAMPLE_RATE_HZ)))
        else:
            parts += [_syllable(*part, rng), np.zeros(int(_GAP_S * SAMPLE_RATE_HZ))]
    sound = np.concatenate(parts)
    sound = np.append(sound, np.zeros(-sound.size % 480))
    samples: Samples = (sound / np.abs(sound).max() * _PEAK * 32767).astype(np.int16)
    samples.setflags(write=False)
    return samples


def tone(hz: float, first_sample: int, count: int, amplitude: float = 0.25) -> Samples:
    """`count` samples of a sine that runs on without a step from block to block."""
    index = np.arange(first_sample, first_sample + count, dtype=np.float64)
    wave = amplitude * 32767 * np.sin(2 * np.pi * hz * index / SAMPLE_RATE_HZ)
    samples: Samples = wave.astype(np.int16)
    return samples
