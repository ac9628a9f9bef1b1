"""What our Opus packets decode to, and what their FEC recovers."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.media.libopus import OpusError
from appliance.media.opus_decoder import OpusDecoder
from appliance.media.opus_encoder import BITRATE_BPS, LONG_FRAMES, OpusEncoder
from hw import SAMPLE_RATE_HZ, Samples
from hw.level import dbov


def _tone(hz: float, frames: int) -> Samples:
    times = np.arange(frames * LONG_FRAMES) / SAMPLE_RATE_HZ
    return np.round(8000 * np.sin(2 * np.pi * hz * times)).astype(np.int16)


def _packets(samples: Samples, loss: float = 0.0) -> list[bytes]:
    encoder = OpusEncoder()
    encoder.expect_loss(loss)
    return [encoder.encode(block) for block in samples.reshape(-1, LONG_FRAMES)]


def test_a_tone_comes_out_at_its_frequency_and_within_the_bit_rate() -> None:
    packets = _packets(_tone(440, 50))
    decoder = OpusDecoder()
    sound = np.concatenate([decoder.decode(packet) for packet in packets])[SAMPLE_RATE_HZ // 2 :]
    peak = np.argmax(np.abs(np.fft.rfft(sound * np.hanning(sound.size)))) * SAMPLE_RATE_HZ / sound.size
    assert abs(peak - 440) < 4
    assert sum(map(len, packets)) * 8 < 1.3 * BITRATE_BPS


def test_digital_silence_stays_digital_silence() -> None:
    decoder = OpusDecoder()
    packets = _packets(np.zeros(50 * LONG_FRAMES, np.int16))
    assert all(dbov(decoder.decode(packet)) < -90 for packet in packets)


def test_a_lost_onset_is_recovered_from_the_next_packet_even_before_loss_was_reported() -> None:
    sound = _tone(300, 30)
    sound[: 20 * LONG_FRAMES] //= 64  # concealment alone would go on as quietly
    packets = _packets(sound)
    decoder = OpusDecoder()
    for packet in packets[:20]:
        before = decoder.decode(packet)
    recovered = decoder.recover(packets[21], LONG_FRAMES)
    assert dbov(recovered) > dbov(before) + 10


@pytest.mark.parametrize("samples", [np.zeros(240, np.int16), np.zeros(960, np.float32), np.zeros((1, 960), np.int16)])
def test_anything_but_a_frame_is_refused(samples: Samples) -> None:
    with pytest.raises(ValueError, match="480 or 960 int16"):
        OpusEncoder().encode(samples)


def test_what_libopus_refuses_is_told_in_its_own_words() -> None:
    with pytest.raises(OpusError, match="libopus: invalid argument"):
        OpusEncoder(bitrate_bps=-7)
