"""From mouth to ear on a virtual clock: delay, losses, drift, and what no network may do to the sound."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.media.jitter import MAX_DELAY_S
from appliance.media.opus_encoder import LONG_FRAMES, SHORT_FRAMES
from hw import SAMPLE_RATE_HZ
from tests.bench.sound_scene import BURST_S, Network, Scene, burst_starts, run

PATH_MS = {LONG_FRAMES: 45, SHORT_FRAMES: 35}  # packet, encoder's look-ahead, least buffer, pull; beside the network's
NETWORK_MS = 25
LENGTHS = pytest.mark.parametrize("length", [LONG_FRAMES, SHORT_FRAMES], ids=["20-ms", "10-ms"])


@LENGTHS
@pytest.mark.parametrize("loss", [0.0, 0.02, 0.05])
def test_random_loss_costs_little_delay_and_no_burst(loss: float, length: int) -> None:
    heard = run(Scene(40.0, Network(loss=loss), packet_frames=length))
    assert not heard.missed
    assert heard.percentile_ms(0.5) <= NETWORK_MS + PATH_MS[length]
    assert heard.percentile_ms(0.95) <= NETWORK_MS + PATH_MS[length] + 400 * loss
    assert heard.stats.underruns == 0


@LENGTHS
@pytest.mark.parametrize(
    ("network", "more_ms"),
    [
        (Network(jitter_s=0.020), 20),
        (Network(jitter_s=0.050), 50),
        (Network(reordered=0.05, doubled=0.05), 30),
        (Network(loss=0.05, burst_loss=0.3), 5),
        (Network(loss=0.02, jitter_s=0.010, stall_s=0.08, stall_period_s=3.1, doubled=0.01), 60),
    ],
    ids=["jitter-20", "jitter-50", "reordered", "bursts", "wifi"],
)
def test_a_bad_network_costs_about_its_jitter_and_no_burst(network: Network, more_ms: float, length: int) -> None:
    """Of three networks of a kind, for the fourth worst of 70 bursts is what one of them makes of it."""
    runs = [run(Scene(40.0, network, packet_frames=length, seed=seed)) for seed in range(1, 4)]
    assert all(len(heard.missed) <= (network.burst_loss > 0) for heard in runs)  # three packets in a row are a burst
    assert max(heard.percentile_ms(0.5, since_s=5) for heard in runs) <= NETWORK_MS + PATH_MS[length] + more_ms
    late_ms = statistics.median(heard.percentile_ms(0.95, since_s=5) for heard in runs)
    assert late_ms <= NETWORK_MS + PATH_MS[length] + more_ms + 20


@LENGTHS
def test_the_delay_comes_back_when_the_network_is_good_again(length: int) -> None:
    network = Network(loss=0.05, jitter_s=0.060, stall_s=0.15, stall_period_s=2.0, until_s=15.0)
    heard = run(Scene(30.0, network, packet_frames=length))
    assert heard.percentile_ms(0.5, 5, 15) > NETWORK_MS + PATH_MS[length] + 40
    assert heard.percentile_ms(0.95, 23) <= NETWORK_MS + PATH_MS[length] + 15


@LENGTHS
@pytest.mark.parametrize(("sender_ppm", "speaker_ppm"), [(100, -100), (-100, 100)])
def test_drifting_clocks_make_the_stream_no_later_and_cut_nothing(
    sender_ppm: float, speaker_ppm: float, length: int
) -> None:
    """100 s are 20 ms of drift: each phase of packets and pulls is passed twice."""
    heard = run(Scene(100.0, sender_ppm=sender_ppm, speaker_ppm=speaker_ppm, packet_frames=length))
    assert not heard.missed
    assert heard.percentile_ms(1.0) <= NETWORK_MS + PATH_MS[length] + 5
    assert heard.stats.underruns <= 1
    assert heard.stats.concealed_ms <= 10


@settings(max_examples=25, deadline=None)
@given(
    network=st.builds(
        Network,
        loss=st.floats(0, 0.3),
        burst_loss=st.floats(0, 0.5),
        jitter_s=st.floats(0, 0.3),
        reordered=st.floats(0, 0.3),
        doubled=st.floats(0, 0.3),
        stall_s=st.sampled_from([0.0, 0.2, 0.9]),
        stall_period_s=st.just(2.0),
    ),
    sender_ppm=st.floats(-300, 300),
    speaker_ppm=st.floats(-300, 300),
    seed=st.integers(0, 2**31),
    length=st.sampled_from([LONG_FRAMES, SHORT_FRAMES]),
)
def test_whatever_the_network_does_nothing_is_heard_that_was_not_said(
    network: Network, sender_ppm: float, speaker_ppm: float, seed: int, length: int
) -> None:
    """Nor later than the bound of the buffer allows; 80 ms of concealment may follow."""
    scene = Scene(6.0, network, sender_ppm=sender_ppm, speaker_ppm=speaker_ppm, seed=seed, packet_frames=length)
    heard = run(scene)
    latest_s = NETWORK_MS / 1000 + network.jitter_s + 0.03 + network.stall_s + MAX_DELAY_S + BURST_S + 0.2
    assert max(heard.mouth_to_ear_s.values(), default=0.0) <= latest_s
    quiet = np.ones(heard.sound.size, bool)
    for first in burst_starts(scene.duration_s):
        quiet[first - 480 : first + math.ceil(latest_s * SAMPLE_RATE_HZ)] = False
    assert np.abs(heard.sound[quiet].astype(int)).max(initial=0) < 300
