from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.media.libopus import OpusError
from appliance.media.opus_decoder import CONCEALED_FRAMES, OpusDecoder, Sound, packet_frames
from tests.appliance.media.sound import encode, frequency_hz, largest_step, tone, voice


def test_a_tone_keeps_its_frequency_and_strength() -> None:
    decoder = OpusDecoder()
    sound = np.concatenate([decoder.decode(payload) for payload in encode(tone(1000, 1.0))])
    assert sound.dtype == np.float32
    assert sound.shape == (48_000,)
    assert frequency_hz(sound[9_600:]) == pytest.approx(1000, abs=2)
    assert float(np.abs(sound[9_600:]).max()) == pytest.approx(0.3, rel=0.15)


def test_concealment_goes_on_without_a_step_and_fades() -> None:
    decoder = OpusDecoder()
    sound = [decoder.decode(payload) for payload in encode(tone(440, 0.4))]
    natural = largest_step(np.concatenate(sound[5:]))
    made_up = [decoder.conceal() for _ in range(12)]
    assert all(block.shape == (CONCEALED_FRAMES,) for block in made_up)
    assert largest_step(np.concatenate((sound[-1], made_up[0], made_up[1]))) <= 1.5 * natural
    assert float(np.abs(made_up[0]).max()) > 0.15
    assert float(np.abs(made_up[-1]).max()) < 0.05


@pytest.mark.parametrize("lost", [51, 71, 93])  # in the middle of syllables
def test_fec_is_much_nearer_to_the_lost_packet_than_concealment(lost: int) -> None:
    payloads = encode(voice(2.0))
    whole, with_fec, without = OpusDecoder(), OpusDecoder(), OpusDecoder()
    for payload in payloads[:lost]:
        for decoder in (whole, with_fec, without):
            decoder.decode(payload)
    sent = whole.decode(payloads[lost])
    recovered = with_fec.recover(payloads[lost + 1], 960)
    made_up = np.concatenate((without.conceal(), without.conceal()))

    def error(sound: Sound) -> float:
        return float(np.square(sound - sent).sum() / np.square(sent).sum())

    assert recovered.shape == (960,)
    assert error(recovered) < 0.25
    assert error(recovered) < 0.5 * error(made_up)


@pytest.mark.parametrize("payload", [b"", b"\xff\xff\xff", b"\xfb\x00" * 300], ids=["empty", "broken", "too long"])
def test_what_is_not_opus_is_refused_and_the_stream_goes_on(payload: bytes) -> None:
    decoder = OpusDecoder()
    good = encode(tone(440, 0.1))
    decoder.decode(good[0])
    with pytest.raises(OpusError, match="libopus"):
        decoder.decode(payload)
    assert decoder.decode(good[1]).shape == (960,)


def test_packet_frames() -> None:
    assert packet_frames(encode(tone(440, 0.02))[0]) == 960
    with pytest.raises(OpusError):
        packet_frames(b"")


def test_a_closed_decoder_says_so() -> None:
    decoder = OpusDecoder()
    decoder.close()
    decoder.close()
    with pytest.raises(OpusError, match="closed"):
        decoder.conceal()


@settings(max_examples=200, deadline=None)
@given(payloads=st.lists(st.binary(max_size=80), max_size=8))
def test_any_bytes_decode_or_raise_opus_error(payloads: list[bytes]) -> None:
    decoder = OpusDecoder()
    for payload in payloads:
        try:
            frames = packet_frames(payload)
            sound = decoder.decode(payload)
        except OpusError:
            continue
        assert sound.size == frames
        assert bool(np.isfinite(sound).all())
