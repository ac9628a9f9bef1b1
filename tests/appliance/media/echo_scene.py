"""Somebody talks at the far end, somebody at the near one: the unit's near end in a simulated room, and measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from appliance.media.echo import NearEnd, NearEndSettings
from appliance.media.far_end import FarEnd
from appliance.media.trace import Trace
from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AudioBlock, Samples, SoundStats
from tests.appliance.media.acoustics import Room, Wave

CANCELS = NearEndSettings(echo_cancellation=True, noise_suppression=1)
Reference = Callable[[list[Samples], int], Samples]  # what was played so far, the turn -> what the canceller is told


class Card:
    """The speaker of a sound card whose driver counts its xruns."""

    def __init__(self) -> None:
        self.device_id = "card"
        self.xruns = 0

    @property
    def stats(self) -> SoundStats:
        return SoundStats(480, 1920, self.xruns, 20.0)

    def start(self, source: object, on_lost: object) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Heard:
    """Of one scene, all as long as it: what the far end hears, what the microphone's sound consisted of, and, for each
    block, whether both ends were found to talk and the speaker's gain. `delay` frames lie between `near` and `out`."""

    out: Wave
    echo: Wave
    near: Wave
    microphone: Wave
    double: npt.NDArray[np.bool_]
    gain: npt.NDArray[np.float64]
    delay: int
    near_end: NearEnd

    def erle_db(self, from_s: float, to_s: float) -> float:
        """The echo's energy by that of all that is left."""
        at = slice(round(from_s * SAMPLE_RATE_HZ), round(to_s * SAMPLE_RATE_HZ))
        return _db(float((self.echo[at] ** 2).sum() / (self.out[at] ** 2).sum()))

    def near_gain_db(self, from_s: float, to_s: float) -> float:
        """How much of the near talk is in what the far end hears."""
        near, out = self.near_and_out(from_s, to_s)
        return 2 * _db(abs(float(out @ near / (near @ near))))

    def near_and_out(self, from_s: float, to_s: float) -> tuple[Wave, Wave]:
        """Both in time with each other: the high-pass of the canceller shifts talk by a fraction of a millisecond."""
        first, last = round(from_s * SAMPLE_RATE_HZ), round(to_s * SAMPLE_RATE_HZ)
        near = self.near[first:last]
        shifted = [self.out[first + delay : last + delay] for delay in range(self.delay - 16, self.delay + 17)]
        return near, max(shifted, key=lambda out: abs(float(out @ near)))


def _db(ratio: float) -> float:
    return float(10 * np.log10(max(ratio, 1e-12)))


def scene(
    far: Wave,
    near: Wave | None,
    room: Room,
    *,
    settings: NearEndSettings = CANCELS,
    xruns_told: bool = True,
    reference: Reference | None = None,
) -> Heard:
    """Lock-step, as in `hw.alsa_duplex`: a block is heard and cleaned, then the next one is played.

    `xruns_told`: the driver counts those of the room. `reference`: another one than what was played.
    """
    card, far_end = Card(), _FarEnd(reference)
    far_end.restart(card)
    near_end = NearEnd(settings, far_end, Trace())
    silence = np.zeros(BLOCK_FRAMES)
    heard: Samples = silence.astype(np.int16)
    rows: dict[str, list[Wave]] = {name: [] for name in ("out", "echo", "near", "microphone")}
    double, gain = [], []
    echo, talk, delay_s = silence, silence, 0.0
    for turn in range(far.size // BLOCK_FRAMES):
        at = slice(turn * BLOCK_FRAMES, (turn + 1) * BLOCK_FRAMES)
        block = near_end.process(AudioBlock(heard, turn * 0.01))
        delay_s = turn * 0.01 - block.captured_s
        for name, wave in (("out", block.samples), ("echo", echo), ("near", talk), ("microphone", heard)):
            rows[name].append(np.asarray(wave / (32_768.0 if wave.dtype == np.int16 else 1.0)))
        double.append(near_end.stats().double_talk)
        gain.append(far_end.gain)
        played = far_end.play(np.asarray(far[at] * 32_768).astype(np.int16))
        if room.breaks_at(turn) and xruns_told:
            card.xruns += 1
        heard = room.turn(played, None if near is None else near[at])
        echo, talk = room.echo, room.near
    waves = {name: np.concatenate(blocks) for name, blocks in rows.items()}
    return Heard(
        **waves,
        double=np.array(double),
        gain=np.array(gain),
        delay=round(delay_s * SAMPLE_RATE_HZ),
        near_end=near_end,
    )


class _FarEnd(FarEnd):
    """One that tells another reference, for controls that must fail."""

    def __init__(self, reference: Reference | None) -> None:
        super().__init__()
        self._reference = reference
        self._played: list[Samples] = []

    def play(self, samples: Samples) -> Samples:
        played = super().play(samples)
        self._played.append(played)
        return played

    def take(self) -> Samples:
        reference = super().take()
        if self._reference is None or not self._played:
            return reference
        return self._reference(self._played, len(self._played) - 1)


# --- how well words are understood: Extended Short-Time Objective Intelligibility (Jensen and Taal, 2016)

_ESTOI_HZ, _FRAME, _HOP, _FFT = 10_000, 256, 128, 512
_BANDS, _LOWEST_HZ = 15, 150.0
_SEGMENT = 30  # frames: 384 ms
_RANGE_DB = 40.0  # frames of the clean speech that are quieter are pauses


def estoi(clean: Wave, heard: Wave) -> float:
    """0..1 (nothing to everything) of `heard`, which is in time with `clean`; both at 48 kHz, some seconds long."""
    clean, heard = _spoken(_resampled(clean), _resampled(heard))
    a, b = _bands(clean), _bands(heard)
    values = []
    for end in range(_SEGMENT, a.shape[1] + 1):
        x, y = (_normalized(_normalized(part[:, end - _SEGMENT : end], axis=1), axis=0) for part in (a, b))
        values.append(float((x * y).sum()) / _SEGMENT)
    return float(np.mean(values))


def _resampled(wave: Wave) -> Wave:
    count = wave.size * _ESTOI_HZ // SAMPLE_RATE_HZ
    return np.asarray(np.fft.irfft(np.fft.rfft(wave)[: count // 2 + 1], count))


def _frames(wave: Wave) -> Wave:
    window = np.hanning(_FRAME + 2)[1:-1]
    return np.asarray(np.lib.stride_tricks.sliding_window_view(wave, _FRAME)[::_HOP] * window)


def _spoken(clean: Wave, heard: Wave) -> tuple[Wave, Wave]:
    """Both without the frames in which nothing is said."""
    a, b = _frames(clean), _frames(heard)
    loud_db = 20 * np.log10(np.linalg.norm(a, axis=1) + 1e-12)
    kept = loud_db > loud_db.max() - _RANGE_DB
    return _overlapped(a[kept]), _overlapped(b[kept])


def _overlapped(frames: Wave) -> Wave:
    wave = np.zeros((len(frames) + 1) * _HOP)
    for number, frame in enumerate(frames):
        wave[number * _HOP : number * _HOP + _FRAME] += frame
    return wave


def _bands(wave: Wave) -> Wave:
    """Amplitudes of third octaves, by frame."""
    power = np.abs(np.fft.rfft(_frames(wave), _FFT)) ** 2
    hz = np.fft.rfftfreq(_FFT, 1 / _ESTOI_HZ)
    centers = _LOWEST_HZ * 2 ** (np.arange(_BANDS) / 3)
    edges = [np.argmin(np.abs(hz[:, None] - centers * 2 ** (side / 6)), axis=0) for side in (-1, 1)]
    bands = [power[:, low:high].sum(axis=1) for low, high in zip(*edges, strict=True)]
    return np.asarray(np.sqrt(np.array(bands)))


def _normalized(part: Wave, axis: int) -> Wave:
    centered = part - part.mean(axis=axis, keepdims=True)
    return np.asarray(centered / (np.linalg.norm(centered, axis=axis, keepdims=True) + 1e-12))
