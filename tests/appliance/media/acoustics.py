"""A room, a sound card and people in it, on a virtual clock: for everything that cancels echo.

    played block -> queue of the card (delay, drift, xruns) -> soft clip -> room -> + near talk + noise -> heard block

`Room.turn` is one 10 ms step of a card's lock-step thread: a block is written, and one is read. The speaker stands
15 cm from the microphone; its echo comes `delay_ms` after the block was written.

The talk in `speech/` was made by eSpeak NG for this repository, in three languages: it is nobody's voice.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, Samples

Wave = npt.NDArray[np.float64]  # -1..1 at 48 kHz

SPEECH = Path(__file__).parent / "speech"
RT60_S = 0.35
_RATE_KHZ = SAMPLE_RATE_HZ // 1000
_DIRECT_FRAMES = round(0.15 / 343 * SAMPLE_RATE_HZ)  # 15 cm of air
_TAPS = 12  # each side of the interpolator for a clock that drifts
_MEMORY = 2 * SAMPLE_RATE_HZ  # frames; half of it at least is there
_SOFT = 0.7  # where the speaker begins to clip


@lru_cache
def speech(name: str, level_dbov: float = -23.0) -> Wave:
    """Somebody who talks for eight seconds, at this level where he does: `far1`, `far2`, `near1`, `near2`."""
    with av.open(str(SPEECH / f"{name}.flac")) as container:
        resampler = av.AudioResampler("dbl", "mono", SAMPLE_RATE_HZ)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    wave = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    whole = wave[: wave.size // BLOCK_FRAMES * BLOCK_FRAMES]
    return at_level(whole, level_dbov)


def at_level(wave: Wave, level_dbov: float) -> Wave:
    """`wave` so loud that its parts that are no pauses have this mean level."""
    scaled: Wave = wave * 10 ** ((level_dbov - level_of(wave)) / 20)
    return scaled


def level_of(wave: Wave) -> float:
    """dBov of the parts that are no pauses."""
    powers = (wave[: wave.size // BLOCK_FRAMES * BLOCK_FRAMES].reshape(-1, BLOCK_FRAMES) ** 2).mean(axis=1)
    active = powers[powers > powers.max() * 1e-3]
    return float(10 * np.log10(active.mean()))


def impulse_response(rng: np.random.Generator, rt60_s: float = RT60_S) -> Wave:
    """From the speaker to the microphone: the direct sound, and a room that dies away 8 dB below it."""
    count = round(rt60_s * SAMPLE_RATE_HZ)
    tail = rng.standard_normal(count) * np.exp(-6.91 * np.arange(count) / count)
    tail[: 2 * _DIRECT_FRAMES] = 0.0
    tail *= 10 ** (-8 / 20) / np.sqrt((tail**2).sum())
    tail[_DIRECT_FRAMES] += 1.0
    # A small speaker and a small microphone: nothing below 150 Hz, little above 12 kHz.
    hz = np.fft.rfftfreq(2 * count, 1 / SAMPLE_RATE_HZ)
    shape = (hz / 150) ** 2 / (1 + (hz / 150) ** 2) / (1 + (hz / 12_000) ** 4)
    return np.fft.irfft(np.fft.rfft(tail, 2 * count) * shape, 2 * count)[:count]


class Room:
    """`echo_db` is the echo's level by what is played; `xruns` {turn: ms}: so much of what is queued is lost before
    this turn's block is written (negative: so much silence is put before it).

    After each turn `echo` and `near` are what the heard block consists of, beside the noise.
    """

    def __init__(
        self,
        *,
        delay_ms: float,
        seed: int = 1,
        echo_db: float = 0.0,
        drift_ppm: float = 0.0,
        noise_dbov: float = -66.0,
        xruns: dict[int, float] | None = None,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        response = impulse_response(self._rng) * 10 ** (echo_db / 20)
        parts = response[: response.size // BLOCK_FRAMES * BLOCK_FRAMES].reshape(-1, BLOCK_FRAMES)
        self._response = np.fft.rfft(parts, 2 * BLOCK_FRAMES).astype(np.complex64)  # each 10 ms of it
        self._spectra = np.zeros((2 * len(parts), BLOCK_FRAMES + 1), np.complex64)  # of what sounded, twice in turn
        self._newest = 0
        self._sounded = np.zeros(BLOCK_FRAMES)
        self._lag = delay_ms * _RATE_KHZ - _DIRECT_FRAMES  # frames from writing to sounding
        self._drift = drift_ppm * 1e-6
        self._noise = 10 ** (noise_dbov / 20)
        self._xruns = xruns or {}
        self._played = np.zeros(_MEMORY)  # what was written
        self._end = _MEMORY // 2
        self._turn = 0
        self.echo = self.near = np.zeros(BLOCK_FRAMES)

    def breaks_at(self, turn: int) -> bool:
        """Whether an xrun comes in this turn."""
        return turn in self._xruns

    def turn(self, played: Samples, near: Wave | None = None) -> Samples:
        """Writes 480 samples and reads what was heard meanwhile, with `near` talk in it."""
        self._lag -= self._xruns.get(self._turn, 0.0) * _RATE_KHZ + self._drift * BLOCK_FRAMES
        self._turn += 1
        if self._end + BLOCK_FRAMES > _MEMORY:
            self._played[: _MEMORY // 2] = self._played[self._end - _MEMORY // 2 : self._end]
            self._end = _MEMORY // 2
        self._played[self._end : self._end + BLOCK_FRAMES] = played / 32_768.0
        self._end += BLOCK_FRAMES
        sounding = _SOFT * np.tanh(self._sounding() / _SOFT)
        self.echo = self._ring(sounding)
        self.near = np.zeros(BLOCK_FRAMES) if near is None else near
        heard = self.echo + self.near + self._noise * self._rng.standard_normal(BLOCK_FRAMES)
        return np.asarray(np.clip(heard * 32_768, -32_768, 32_767)).astype(np.int16)

    def _ring(self, sounding: Wave) -> Wave:
        """What comes of it at the microphone, by partitioned convolution."""
        count = len(self._response)
        newest = self._newest = (self._newest - 1) % count
        spectrum = np.fft.rfft(np.concatenate((self._sounded, sounding)))
        self._spectra[newest] = self._spectra[newest + count] = spectrum
        self._sounded = sounding
        latest_first = self._spectra[newest : newest + count]
        return np.fft.irfft(np.einsum("ij,ij->j", latest_first, self._response))[BLOCK_FRAMES:]

    def _sounding(self) -> Wave:
        """What the speaker sounds now: of `lag` frames ago, between samples where its clock drifts."""
        first = self._end - BLOCK_FRAMES - self._lag
        whole = int(np.floor(first))
        part = first - whole
        if part == 0.0:
            return self._played[whole : whole + BLOCK_FRAMES]
        at = np.arange(-_TAPS + 1, _TAPS + 1)
        kernel = np.sinc(part - at) * np.cos(np.pi * (part - at) / (2 * _TAPS + 1)) ** 2
        stretch = self._played[whole - _TAPS + 1 : whole + BLOCK_FRAMES + _TAPS]
        return np.convolve(stretch, kernel[::-1], "valid")
