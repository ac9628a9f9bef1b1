from __future__ import annotations

import numpy as np
import pytest

from appliance.media.tones import PROGRESS_HZ, REPEATED, RING_HZ, Tone, tone
from hw import SAMPLE_RATE_HZ


def strongest_hz(sound: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    return float(np.abs(np.fft.rfft(sound)).argmax() * SAMPLE_RATE_HZ / sound.size)


@pytest.mark.parametrize("which", list(Tone))
def test_it_is_heard_and_does_not_click(which: Tone) -> None:
    sound = tone(which)
    assert sound.dtype == np.float32
    assert 0.3 < np.abs(sound).max() <= 0.5
    assert np.abs(np.diff(sound, prepend=0.0, append=0.0)).max() < 0.12  # as steep as a wave of 1 kHz, no step
    assert sound.size % (SAMPLE_RATE_HZ // 100) == 0  # whole blocks: a repeated one has no gap


def test_the_tones_of_the_telephone_network() -> None:
    for which in (Tone.RING_BACK, Tone.BUSY):
        assert strongest_hz(tone(which)) == pytest.approx(PROGRESS_HZ, abs=2)
    assert {round(tone(which).size / SAMPLE_RATE_HZ, 3) for which in REPEATED} == {3.0, 5.0}  # E.180: 1 on, 4 off
    assert min(RING_HZ) * 0.9 < strongest_hz(tone(Tone.RING)) < max(RING_HZ) * 1.1
