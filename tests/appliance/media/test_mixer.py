from __future__ import annotations

import numpy as np
import pytest

from appliance.media.mixer import CEILING, Mixer, Sound, ramped
from tests.appliance.media.sound import frequency_hz, tone


def blocks(frequency_hz: float, amplitude: float, count: int = 100) -> list[Sound]:
    """One second of a tone in blocks; the amplitude may be over full scale."""
    t = np.arange(count * 480) / 48_000
    return np.split((amplitude * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32), count)


def test_nobody_is_silence() -> None:
    mixed = Mixer().mix([])
    assert mixed.shape == (480,)
    assert mixed.dtype == np.int16
    assert not mixed.any()


def test_one_quiet_peer_passes_as_it_is() -> None:
    samples = tone(440, 0.01, amplitude=0.5)
    mixed = Mixer().mix([samples.astype(np.float32) / np.float32(32_767)])
    assert np.abs(mixed.astype(int) - samples).max() <= 1


def test_two_peers_are_summed() -> None:
    mixer = Mixer()
    pairs = zip(blocks(400, 0.2), blocks(1000, 0.4), strict=True)
    mixed = np.concatenate([mixer.mix(pair) for pair in pairs]).astype(np.float32) / np.float32(32_767)
    spectrum = np.abs(np.fft.rfft(mixed)) / (mixed.size / 2)
    assert spectrum[400] == pytest.approx(0.2, abs=0.01)
    assert spectrum[1000] == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("amplitude", [1.2, 3.0, 20.0])
def test_the_sum_never_clips_for_long(amplitude: float) -> None:
    mixer = Mixer()
    mixed = np.concatenate([mixer.mix([block]) for block in blocks(300, amplitude)]).astype(np.float32) / np.float32(
        32_767
    )
    assert np.abs(mixed).max() <= CEILING + 1e-4
    flat = np.count_nonzero(np.abs(mixed[480:]) > CEILING - 1e-3) / mixed[480:].size
    assert flat < 0.06  # a clipped sine stays at the ceiling for 40 to 97 % of the time
    assert frequency_hz(mixed) == pytest.approx(300, abs=1)
    assert np.abs(mixed[4_800:]).max() >= 0.9


def test_the_limiter_lets_go_within_200_ms() -> None:
    mixer = Mixer()
    for block in blocks(300, 4.0, 10):
        mixer.mix([block])
    after = [mixer.mix([block]).astype(np.float32) / np.float32(32_767) for block in blocks(300, 0.5, 30)]
    assert np.abs(after[0]).max() < 0.3
    assert np.abs(np.concatenate(after[20:])).max() == pytest.approx(0.5, abs=0.01)
    peaks = [float(np.abs(block).max()) for block in after[:20]]
    assert peaks == sorted(peaks)


def test_ramp_runs_from_one_gain_to_the_other() -> None:
    ones = np.ones(480, np.float32)
    ramp = ramped(ones, 0.0, 1.0)
    assert (ramp[0], ramp[-1]) == (0.0, 1.0)
    assert np.abs(np.diff(ramp)).max() < 0.003
    assert ramped(ones, 1.0, 1.0) is ones
    assert np.array_equal(ramped(ones, 0.5, 0.5), ones / 2)
