from __future__ import annotations

import numpy as np
import pytest

from appliance.media.libopus import OpusError
from appliance.media.opus_encoder import LONG_FRAMES, OpusEncoder, is_silence
from appliance.media.seamless import SeamlessDecoder
from hw.level import dbov
from tests.appliance.media.sound import encode, largest_step, tone, voice


@pytest.mark.parametrize("waited", [120, 360, 480, 840], ids=lambda frames: f"{frames / 48} ms")
@pytest.mark.parametrize("kind", ["tone", "voice"])
def test_waiting_for_a_packet_leaves_no_step(kind: str, waited: int) -> None:
    payloads = encode(tone(440, 2.0) if kind == "tone" else voice(2.0))
    decoder = SeamlessDecoder()
    natural = largest_step(np.concatenate([decoder.decode(payload) for payload in payloads[:10]])[4_800:])
    sounds = []
    for index, payload in enumerate(payloads[10:]):
        if index % 7 == 3:
            sounds.append(decoder.conceal(waited))
        sounds.append(decoder.decode(payload))
    assert largest_step(np.concatenate(sounds)) <= 2 * max(natural, 0.02)


@pytest.mark.parametrize("lost", [1, 2, 4])
@pytest.mark.parametrize("waited", [0, 480])
def test_lost_packets_leave_no_step_and_no_time(lost: int, waited: int) -> None:
    payloads = encode(voice(2.0))
    decoder = SeamlessDecoder()
    sounds = []
    index = 0
    while index < len(payloads):
        if index % 20 == 15 and index + lost < len(payloads):
            sounds.append(decoder.conceal(waited))
            for missing in range(lost - 1):
                sounds.append(decoder.recover(None, 960, 960 - (waited if missing == 0 else 0)))
            sounds.append(decoder.recover(payloads[index + lost], 960, 960 - (waited if lost == 1 else 0)))
            index += lost
        sounds.append(decoder.decode(payloads[index]))
        index += 1
    sound = np.concatenate(sounds)
    assert sound.size == len(payloads) * 960
    assert largest_step(sound) <= 0.1
    assert decoder.concealed_frames > 0


def test_concealment_is_silent_after_80_ms_and_the_return_has_no_step() -> None:
    payloads = encode(tone(440, 1.0))
    decoder = SeamlessDecoder()
    natural = largest_step(np.concatenate([decoder.decode(payload) for payload in payloads[:20]])[4_800:])
    made_up = np.concatenate([decoder.conceal(480) for _ in range(20)])
    assert float(np.abs(made_up[:480]).max()) > 0.15
    assert not made_up[8 * 480 :].any()
    assert decoder.concealed_frames == 8 * 480
    back = decoder.decode(payloads[30])
    assert largest_step(np.concatenate((made_up, back))) <= 1.5 * natural


def test_late_concealment_has_no_step_of_its_own() -> None:
    decoder = SeamlessDecoder()
    payloads = encode(tone(200, 1.0))
    natural = largest_step(np.concatenate([decoder.decode(payload) for payload in payloads])[4_800:])
    assert largest_step(np.concatenate([decoder.conceal(480) for _ in range(20)])) <= 1.5 * natural


def test_silence_before_the_first_packet() -> None:
    decoder = SeamlessDecoder()
    assert not decoder.conceal(960).any()
    assert decoder.concealed_frames == 0


def test_fec_that_is_no_opus_is_concealed() -> None:
    payloads = encode(tone(440, 0.4))
    decoder = SeamlessDecoder()
    for payload in payloads:
        decoder.decode(payload)
    assert decoder.recover(b"\xff\xff\xff", 960, 480).shape == (480,)
    with pytest.raises(OpusError):
        decoder.decode(b"\xff\xff\xff")


def test_a_pause_sounds_like_the_room_until_the_sender_is_gone() -> None:
    room = np.random.default_rng(1).normal(0, 8, 60 * LONG_FRAMES).astype(np.int16)
    encoder = OpusEncoder()
    encoder.may_pause(True)
    packets = [encoder.encode(room[first : first + LONG_FRAMES]) for first in range(0, room.size, LONG_FRAMES)]
    decoder = SeamlessDecoder()
    for packet in packets[: next(index for index, packet in enumerate(packets) if is_silence(packet)) + 1]:
        heard = decoder.decode(packet)
    pause = np.concatenate([decoder.conceal(480) for _ in range(100)])
    assert abs(dbov(pause) - dbov(room)) < 10
    assert largest_step(np.concatenate((heard, pause))) < 0.005
    assert decoder.concealed_frames == 0
    assert not np.concatenate([decoder.conceal(480) for _ in range(100)])[-19_200:].any()
    assert decoder.is_silent


def test_a_muted_sender_is_silence_at_once() -> None:
    encoder = OpusEncoder()
    encoder.may_pause(True)
    decoder = SeamlessDecoder()
    for _ in range(20):
        decoder.decode(encoder.encode(np.zeros(LONG_FRAMES, np.int16)))
    assert decoder.is_silent
    assert not decoder.conceal(480).any()
