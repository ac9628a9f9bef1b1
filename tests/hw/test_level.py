from __future__ import annotations

import numpy as np
import pytest

from hw.level import SPEECH_VOLUME, Meter, dbov, dbov_of, volume
from tests.appliance.media.sound import tone, voice


@pytest.mark.parametrize(
    ("amplitude", "expected"), [(1.0, -3.0), (0.5, -9.0), (0.1, -23.0), (0.001, -63.0)], ids=lambda value: str(value)
)
def test_dbov_of_sines(amplitude: float, expected: float) -> None:
    samples = tone(1000, 0.1, amplitude)
    assert dbov(samples) == pytest.approx(expected, abs=0.3)
    assert dbov(samples.astype(np.float32) / 32_768) == pytest.approx(expected, abs=0.3)


def test_silence_is_the_floor() -> None:
    assert dbov(np.zeros(480, np.int16)) == -127.0
    assert dbov(np.zeros(0, np.int16)) == -127.0
    assert dbov_of(1e-20) == -127.0
    assert dbov(np.full(480, -32_768, np.int16)) == 0.0


@pytest.mark.parametrize(("level_dbov", "expected"), [(-127, 0), (-55, 0), (-50, 10), (-30, 50), (-5, 100), (0, 100)])
def test_volume(level_dbov: float, expected: int) -> None:
    assert volume(level_dbov) == expected


def test_speech_reads_as_speech_and_its_noise_floor_does_not() -> None:
    assert 40 <= volume(dbov(voice(1.0))) <= 75
    noise = np.random.default_rng(1).normal(0, 40, 48_000).astype(np.int16)  # -58 dBov
    assert volume(dbov(noise)) <= SPEECH_VOLUME


def test_meter_rises_at_once_and_falls_60_db_a_second() -> None:
    meter = Meter()
    assert meter.volume == 0
    meter.feed(-20.0, 0.01)
    assert meter.volume == 70
    for _ in range(25):
        meter.feed(-127.0, 0.01)
    assert meter.volume == volume(-35.0)
    for _ in range(50):
        meter.feed(-127.0, 0.01)
    assert meter.volume == 0
