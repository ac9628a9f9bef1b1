"""Two virtual cards with clocks that differ: the loop finds the drift and keeps the queue where it was."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ
from hw.drift import MAX_PPM, DriftLoop, Stretcher

STEP_S = 0.01
TRANSFER = 48  # frames of a USB transfer


@dataclass
class Cards:
    """A microphone's card and a speaker's whose clock is `drift_ppm` faster; each counts in steps of so many frames.

    The thread between them wakes `jitter_s` late, and sometimes (`stalls` of the blocks) up to `stall_s`.
    """

    drift_ppm: float
    capture_step: int = TRANSFER
    playback_step: int = TRANSFER
    jitter_s: float = 0.0005
    stalls: float = 0.0
    stall_s: float = 0.0
    seed: int = 1

    def run(self, loop: DriftLoop, seconds: float, queued: float = 1440.0) -> tuple[list[float], list[float]]:
        """The loop's estimate and what is really between the two clocks, each block, as `AlsaDuplex` looks at it."""
        chance = random.Random(self.seed)
        played_hz = SAMPLE_RATE_HZ * (1 + self.drift_ppm * 1e-6)
        phase = chance.random() * self.playback_step
        written, read, now_s, looked_s = queued, 0, 0.0, 0.0
        estimates, levels = [], []
        for _ in range(round(seconds / STEP_S)):
            steps = math.ceil((read + BLOCK_FRAMES) / self.capture_step)
            wake_s = max(now_s, steps * self.capture_step / SAMPLE_RATE_HZ + chance.random() * self.jitter_s)
            look_s = now_s + chance.random() * STEP_S
            if look_s < wake_s:
                held = math.floor(SAMPLE_RATE_HZ * look_s / self.capture_step) * self.capture_step - read
                played = math.floor((played_hz * look_s + phase) / self.playback_step) * self.playback_step
                loop.update(held + written - played, look_s - looked_s)
                looked_s = look_s
            now_s = wake_s + (chance.random() * self.stall_s if chance.random() < self.stalls else 0.0)
            read += BLOCK_FRAMES
            written += BLOCK_FRAMES * (1 + loop.correction_ppm * 1e-6)
            estimates.append(loop.ppm)
            levels.append(SAMPLE_RATE_HZ * now_s - read + written - played_hz * now_s)
        return estimates, levels


SERVER = {"capture_step": 480, "playback_step": 480}
PIPE = {"playback_step": 2048}  # PulseAudio into a pipe: a page at a time
LOADED = SERVER | {"jitter_s": 0.003, "stalls": 0.02, "stall_s": 0.05}


@pytest.mark.parametrize(
    ("steps", "abs_ppm", "abs_frames"),
    [({}, 4, 60), (SERVER, 12, 100), (PIPE, 15, 130), (LOADED, 12, 160)],
    ids=["card", "server", "pipe", "loaded"],
)
@pytest.mark.parametrize("drift_ppm", [-200.0, -80.0, 0.0, 80.0, 150.0])
def test_the_drift_is_found_and_the_queues_stay(
    drift_ppm: float, steps: dict[str, int], abs_ppm: float, abs_frames: float
) -> None:
    loop = DriftLoop()
    estimates, levels = Cards(drift_ppm, **steps).run(loop, 180)
    assert all(abs(estimate - drift_ppm) < abs_ppm for estimate in estimates[-6000:])  # the whole last minute
    assert max(abs(level - levels[100]) for level in levels) < abs_frames


@pytest.mark.parametrize("steps", [{}, SERVER, LOADED], ids=["card", "server", "loaded"])
def test_nobody_hears_the_correction_move(steps: dict[str, int]) -> None:
    """A step of pitch is heard from 3000 ppm on; this one creeps."""
    corrections = []

    class Watched(DriftLoop):
        def update(self, level_frames: float, step_s: float) -> None:
            super().update(level_frames, step_s)
            corrections.append(self.correction_ppm)

    loop = Watched()
    Cards(150.0, **steps).run(loop, 120)
    assert max(abs(after - before) for before, after in pairwise(corrections)) < 50


def test_a_filled_queue_is_a_new_target_and_not_drift() -> None:
    loop = DriftLoop()
    Cards(80.0).run(loop, 90)
    assert loop.ppm == pytest.approx(80, abs=5)
    estimates, levels = Cards(80.0).run(loop, 60, queued=2400.0)  # nobody told it
    assert all(abs(estimate - 80) < 12 for estimate in estimates)
    assert max(abs(level - levels[0]) for level in levels) < 120


@pytest.mark.parametrize("frames", [480, -480, 960])
def test_what_was_written_beside_the_pace_is_no_drift(frames: int) -> None:
    loop = DriftLoop()
    Cards(80.0).run(loop, 90)
    loop.shift(frames)
    estimates, _ = Cards(80.0).run(loop, 20, queued=1440.0 + frames)
    assert all(abs(estimate - 80) < 5 for estimate in estimates)


def test_a_restart_keeps_the_estimate_and_corrects_with_it() -> None:
    loop = DriftLoop()
    Cards(-120.0).run(loop, 90)
    loop.restart()
    assert loop.correction_ppm == loop.ppm == pytest.approx(-120, abs=5)


def test_after_running_dry_a_wrong_estimate_is_left_soon() -> None:
    loop = DriftLoop()
    Cards(-290.0).run(loop, 90)
    for _ in range(3):  # what was learned was no drift: the queue runs dry with it
        loop.ran_dry()
        assert loop.correction_ppm == loop.ppm
    assert abs(loop.ppm) < 50
    estimates, levels = Cards(100.0).run(loop, 120)
    assert all(abs(estimate - 100) < 20 for estimate in estimates[-1000:])
    assert max(abs(level - levels[0]) for level in levels) < 240


def test_what_was_written_too_much_ran_nothing_dry() -> None:
    loop = DriftLoop()
    Cards(150.0).run(loop, 90)
    loop.ran_dry()
    assert loop.correction_ppm == loop.ppm == pytest.approx(150, abs=5)


@given(st.lists(st.floats(-1e6, 1e6), max_size=500), st.floats(0.001, 1.0))
def test_no_level_makes_it_correct_more_than_its_limit(levels: list[float], step_s: float) -> None:
    loop = DriftLoop()
    for level in levels:
        loop.update(level, step_s)
        assert abs(loop.correction_ppm) <= MAX_PPM
        assert abs(loop.ppm) <= MAX_PPM


@pytest.mark.parametrize("ppm", [-300.0, 0.0, 300.0])
def test_stretched_sound_has_so_many_more_samples_and_is_as_clean(ppm: float) -> None:
    pytest.importorskip("soxr")
    stretch = Stretcher()
    blocks = 1000
    time_s = np.arange(blocks * BLOCK_FRAMES) / SAMPLE_RATE_HZ
    sound = (10_000 * np.sin(2 * np.pi * 1000 * time_s)).astype(np.int16).reshape(blocks, BLOCK_FRAMES)
    out = np.concatenate([stretch(block, ppm) for block in sound])
    assert out.dtype == np.int16
    assert out.size - sound.size == pytest.approx(sound.size * ppm * 1e-6, abs=BLOCK_FRAMES)
    power = np.abs(np.fft.rfft(out[1000:] * np.hanning(out.size - 1000))) ** 2
    peak = int(power.argmax())
    assert peak * SAMPLE_RATE_HZ / (out.size - 1000) == pytest.approx(1000 * (1 - ppm * 1e-6), abs=0.15)
    tone = power[peak - 20 : peak + 21].sum()
    assert 10 * np.log10(tone / (power.sum() - tone)) > 60
