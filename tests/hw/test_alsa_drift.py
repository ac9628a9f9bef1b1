"""Microphone and speaker on two cards for real: two PulseAudio servers, one with a clock that runs fast.

The only slow test of sound: a drift takes its time to show.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, Samples
from hw.alsa_duplex import AlsaDuplex
from tests.hw.collect import lost_is_an_error, no_new_threads
from tests.pulse import pulseaudio, purity_db

DRIFT_PPM = 150.0
TONE_HZ = 1000.0
FOUND_S = 90.0  # it takes 25 s; a loaded machine that lets the speaker run dry begins again
PURE_DB = 30.0
TOO_MANY_XRUNS = 5  # no drift makes so many: with all of 450 ppm wrong a queue runs dry once in 45 s


@pytest.mark.alone
@pytest.mark.timeout(150)
def test_a_speaker_whose_clock_runs_fast(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = 0

    def tone() -> Samples:
        nonlocal block
        turns = 2 * np.pi * TONE_HZ * np.arange(block * BLOCK_FRAMES, (block + 1) * BLOCK_FRAMES) / SAMPLE_RATE_HZ
        block += 1
        samples: Samples = (8000 * np.sin(turns)).astype(np.int16)
        return samples

    with pulseaudio(tmp_path_factory.mktemp("drift"), speaker_ppm=DRIFT_PPM) as cards, no_new_threads():
        for name, value in cards.environment.items():
            monkeypatch.setenv(name, value)
        duplex = AlsaDuplex("card", "card")
        duplex.microphone.start(lambda _block: None, lost_is_an_error)
        duplex.speaker.start(tone, lost_is_an_error)
        try:
            started_s, near_s = time.monotonic(), 0.0
            with cards.recorder() as record:
                while near_s < 10:
                    pure_db = purity_db(record(1.0), TONE_HZ)
                    near = abs(duplex.speaker.drift_ppm - DRIFT_PPM) < 40 and pure_db > PURE_DB
                    near_s = near_s + 1 if near else 0.0
                    if duplex.speaker.xruns > TOO_MANY_XRUNS:
                        pytest.skip("this machine is too loaded to keep a speaker supplied")
                    assert time.monotonic() - started_s < FOUND_S, f"{duplex.speaker.drift_ppm:.0f} ppm {pure_db} dB"
        finally:
            duplex.speaker.close()
            duplex.microphone.close()
