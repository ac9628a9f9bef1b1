"""Two virtual cards with clocks that differ: the loop finds the drift and keeps the queue where it was."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ
from hw.drift import MAX_PPM, DriftLoop, Stretcher

STEP_S = 0.01


def run(loop: DriftLoop, drift_ppm: float, seconds: float, level: float = 1200.0, jitter: float = 240.0) -> list[float]:
    """Levels of the queue, each step, of a speaker whose clock is `drift_ppm` faster; read with `jitter` frames."""
    rng = random.Random(1)
    levels = []
    for _ in range(round(seconds / STEP_S)):
        correction_ppm = loop.update(level + rng.uniform(-jitter, jitter), STEP_S)
        level += SAMPLE_RATE_HZ * STEP_S * (correction_ppm - drift_ppm) * 1e-6
        levels.append(level)
    return levels


@pytest.mark.parametrize("drift_ppm", [-200.0, -80.0, 0.0, 50.0, 80.0, 200.0])
def test_the_drift_is_found_and_the_queue_stays(drift_ppm: float) -> None:
    loop = DriftLoop()
    levels = run(loop, drift_ppm, 120)
    assert loop.ppm == pytest.approx(drift_ppm, abs=6)
    assert max(abs(level - 1200) for level in levels) < 100  # 2 ms


def test_a_filled_queue_is_a_new_target_and_not_drift() -> None:
    loop = DriftLoop()
    run(loop, 80, 90)
    levels = run(loop, 80, 60, level=2400)
    assert loop.ppm == pytest.approx(80, abs=6)
    assert abs(levels[-1] - 2400) < 100


@given(st.lists(st.floats(-1e6, 1e6), max_size=500), st.floats(0.001, 1.0))
def test_no_level_makes_it_correct_more_than_its_limit(levels: list[float], step_s: float) -> None:
    loop = DriftLoop()
    for level in levels:
        assert abs(loop.update(level, step_s)) <= MAX_PPM
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
