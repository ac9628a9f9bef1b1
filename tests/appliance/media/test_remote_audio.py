from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.media.remote_audio import RemoteAudio
from tests.appliance.media.sound import arrivals, encode, frequency_hz, largest_step, listen, tone, voice

TONE = encode(tone(440, 10.0))
VOICE = encode(voice(10.0))
NATURAL_STEP = {"tone": 0.025, "voice": 0.05}


def test_a_clean_stream_is_played_whole_within_20_ms() -> None:
    heard = listen(arrivals(TONE))
    stats = heard.audio.stats()
    assert frequency_hz(heard.sound[48_000:]) == pytest.approx(440, abs=1)
    assert max(heard.delays_ms[5:]) <= 20
    assert stats.target_ms <= 13
    assert (stats.lost, stats.late, stats.underruns, stats.concealed_ms, stats.removed_ms) == (0, 0, 0, 0, 0)
    assert largest_step(heard.sound[4_800:]) <= NATURAL_STEP["tone"]


@pytest.mark.parametrize("kind", ["tone", "voice"])
@pytest.mark.parametrize("loss", [0.02, 0.05])
def test_losses_are_concealed_without_clicks_and_without_delay(kind: str, loss: float) -> None:
    packets = arrivals(TONE if kind == "tone" else VOICE, loss=loss)
    heard = listen(packets)
    stats = heard.audio.stats()
    assert stats.lost >= 5
    assert stats.lost <= len(TONE) - len(packets)
    assert 5 * stats.lost <= stats.concealed_ms <= 30 * stats.lost
    assert stats.late == 0
    assert statistics.mean(heard.delays_ms[100:]) <= 20
    assert heard.delays_ms[-1] <= 20
    assert largest_step(heard.sound[4_800:]) <= 2 * NATURAL_STEP[kind]


def test_jitter_is_absorbed_and_the_delay_comes_back() -> None:
    rough, smooth = arrivals(VOICE, jitter_s=0.05, seed=3), arrivals(VOICE)
    packets = [packet for packet in rough if packet[0] < 4] + [
        packet for packet in smooth if packet[0] >= 4.06 and packet[0] < 9.9
    ]
    heard = listen(packets)
    stats = heard.audio.stats()
    assert max(heard.delays_ms[100:400]) <= 85
    assert min(heard.delays_ms[200:400]) >= 35
    assert max(heard.delays_ms[900:]) <= 35  # 5 s after the jitter
    assert stats.underruns <= 5
    assert stats.removed_ms > 0
    assert largest_step(heard.sound[4_800:]) <= 2 * NATURAL_STEP["voice"]


@pytest.mark.parametrize("kind", ["tone", "voice"])
def test_a_stall_of_200_ms_is_caught_up_in_2_s(kind: str) -> None:
    heard = listen(arrivals(TONE if kind == "tone" else VOICE, stall=(4.0, 0.2)))
    stats = heard.audio.stats()
    assert max(heard.delays_ms[415:430]) > 100
    assert max(heard.delays_ms[620:]) <= 35
    assert stats.lost == stats.discarded == stats.late == 0
    assert 120 <= stats.removed_ms <= 210
    assert largest_step(heard.sound[4_800:]) <= 2 * NATURAL_STEP[kind]


@pytest.mark.parametrize("drift_ppm", [-300, 300])
def test_a_drifting_sender_neither_piles_up_nor_starves(drift_ppm: int) -> None:
    payloads = VOICE * 6
    heard = listen(arrivals(payloads, drift=drift_ppm * 1e-6))
    stats = heard.audio.stats()
    assert max(heard.delays_ms[10:]) <= 40
    assert stats.underruns <= 2
    assert stats.lost == 0
    assert (stats.removed_ms if drift_ppm < 0 else stats.inserted_ms) > 0


def test_an_end_fades_and_stays_silent() -> None:
    heard = listen(arrivals(TONE[:100]), tail_s=1.0)
    end = round(arrivals(TONE[:100])[-1][0] * 48_000)
    assert largest_step(heard.sound[4_800:]) <= 2 * NATURAL_STEP["tone"]
    assert not heard.sound[end + 9_600 :].any()
    assert heard.audio.level == 0


def test_level_is_of_the_sound_and_gain_is_not_part_of_it() -> None:
    audio = listen(arrivals(TONE)).audio
    assert audio.level == pytest.approx(82, abs=4)  # 0.3 of full scale: -13.5 dBov


def test_gain_runs_there_within_one_block() -> None:
    audio = RemoteAudio("bob")
    packets = arrivals(TONE, jitter_s=0.0)[:60]
    blocks = []
    for index in range(100):
        while packets and packets[0][0] <= index * 0.01:
            arrival_s, sequence_number, timestamp, payload = packets.pop(0)
            audio.push(sequence_number, timestamp, payload, arrival_s)
        if index == 50:
            audio.gain = 0.25
        blocks.append(audio.render(index * 0.01 + 0.003))
    loud, quiet = np.concatenate(blocks[30:50]), np.concatenate(blocks[51:70])
    assert np.abs(quiet).max() == pytest.approx(np.abs(loud).max() / 4, rel=0.15)
    assert largest_step(np.concatenate(blocks[30:70])) <= NATURAL_STEP["tone"]


def test_what_is_not_opus_is_counted_and_concealed() -> None:
    packets = arrivals(TONE[:200])
    broken = [
        (arrival_s, number, timestamp, b"\xff\xff\xff" if index % 20 == 10 else payload)
        for index, (arrival_s, number, timestamp, payload) in enumerate(packets)
    ]
    heard = listen(broken)
    assert heard.audio.stats().malformed == 10
    assert heard.audio.stats().lost == 10
    assert largest_step(heard.sound[4_800:]) <= 2 * NATURAL_STEP["tone"]


def test_packets_without_a_playback_thread_stay_bounded() -> None:
    audio = RemoteAudio("bob")
    for index in range(5_000):
        audio.push(index % 2**16, index * 960, TONE[index % len(TONE)], index * 0.02)
    audio.render(100.0)
    assert audio.stats().packets <= 256
    assert audio.stats().buffer_ms <= 320


@settings(max_examples=60, deadline=None)
@given(
    packets=st.lists(
        st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=60), st.integers(0, 40)),
        max_size=60,
    )
)
def test_any_packets_give_blocks_of_finite_sound(packets: list[tuple[int, int, bytes, int]]) -> None:
    audio = RemoteAudio("bob")
    now_s = 1.0
    for sequence_number, timestamp, payload, after_ms in packets:
        now_s += after_ms / 1000
        audio.push(sequence_number, timestamp, payload, now_s)
        block = audio.render(now_s)
        assert block.shape == (480,)
        assert bool(np.isfinite(block).all())
    assert 0 <= audio.level <= 100
