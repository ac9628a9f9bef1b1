"""The microphone's way out: timestamps, gate, level."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from appliance.media.audio_out import BLOCK_S, AudioOut, SampleClock
from appliance.media.frames import CodedFrame
from appliance.media.opus_decoder import OpusDecoder, packet_frames
from appliance.media.opus_encoder import is_silence
from appliance.media.trace import Trace
from hw import BLOCK_FRAMES, AudioBlock
from hw.level import dbov


class Microphone:
    """A loud tone, block by block."""

    def __init__(self, trace: Trace | None = None) -> None:
        self.posted: list[tuple[int, CodedFrame]] = []
        self.out = AudioOut(lambda epoch, frame: self.posted.append((epoch, frame)), trace)
        self.out.wanted = True
        self.now_s = 100.0
        self.block = (10_000 * np.sin(2 * np.pi * 500 * np.arange(BLOCK_FRAMES) / 48_000)).astype(np.int16)

    def speak(self, blocks: int) -> None:
        for _ in range(blocks):
            self.now_s += BLOCK_S
            self.out.on_block(AudioBlock(self.block, self.now_s))

    def mute(self, muted: bool) -> None:
        self.out.gate = self.out.gate.set(muted, self.now_s)


def _energies(posted: list[tuple[int, CodedFrame]]) -> list[float]:
    decoder = OpusDecoder()
    return [dbov(decoder.decode(frame.data)) for _, frame in posted]


def test_two_blocks_make_a_packet_of_20_ms_with_its_level() -> None:
    microphone = Microphone()
    microphone.speak(20)
    frames = [frame for _, frame in microphone.posted]
    assert len(frames) == 10
    assert [after.timestamp - before.timestamp for before, after in itertools.pairwise(frames)] == [960] * 9
    assert frames[0].captured_s == pytest.approx(100.0)
    assert frames[0].timestamp == round(100.0 * 48_000)
    assert all(frame.audio_level == 13 and frame.keyframe for frame in frames)  # 10000 of 32768 is -13 dBov
    assert microphone.out.level > 50


def test_nothing_of_the_microphone_is_left_after_a_mute_not_even_half_a_packet() -> None:
    microphone = Microphone()
    microphone.speak(21)  # half a packet waits
    microphone.mute(True)
    before = len(microphone.posted)
    microphone.speak(40)
    muted = microphone.posted[before:]
    assert max(_energies(muted)) < -90
    assert {frame.audio_level for _, frame in muted} == {127}
    assert {epoch for epoch, _ in muted} == {microphone.out.gate.epoch}
    assert microphone.out.level == 0


def test_a_mute_is_soon_said_with_few_packets_and_time_goes_on() -> None:
    microphone = Microphone()
    microphone.speak(20)
    microphone.mute(True)
    microphone.speak(400)
    microphone.mute(False)
    microphone.speak(20)
    stamps = [frame.timestamp for _, frame in microphone.posted]
    gaps = [after - before for before, after in itertools.pairwise(stamps)]
    assert all(gap % 960 == 0 for gap in gaps)
    assert stamps[-1] - stamps[0] == 219 * 960
    muted = [frame for epoch, frame in microphone.posted if epoch == 1]
    assert len(muted) <= 22  # 12 of them until the pause begins, then 2.5 a second
    assert all(is_silence(frame.data) for frame in muted[12:])
    assert max(gaps) <= 0.4 * 48_000  # never so long that somebody takes it for a lost link
    assert gaps[-9:] == [960] * 9


def test_a_pause_is_announced_once_and_to_each_newcomer() -> None:
    microphone = Microphone()
    microphone.mute(True)
    microphone.speak(50)
    before = len(microphone.posted)
    microphone.out.newcomer = True
    microphone.speak(2)
    assert [is_silence(frame.data) for _, frame in microphone.posted[before:]] == [True]
    microphone.speak(4)
    assert len(microphone.posted) == before + 1


def test_a_steady_tone_is_no_pause_and_a_quiet_room_is_one() -> None:
    microphone = Microphone()
    microphone.speak(400)
    assert len(microphone.posted) == 200
    microphone.block = np.random.default_rng(1).normal(0, 8, BLOCK_FRAMES).astype(np.int16)
    microphone.speak(400)
    assert len(microphone.posted) <= 250


def test_of_a_quiet_room_its_noise_is_said_and_hardly_anything_encoded() -> None:
    trace = Trace()
    microphone = Microphone(trace)
    noise = np.random.default_rng(1).normal(0, 40, 4800).astype(np.int16)
    microphone.speak(20)
    for at in range(400):
        microphone.block = np.roll(noise, -at * 997)[:BLOCK_FRAMES]
        microphone.speak(1)
    before, encoded = len(microphone.posted), trace.summaries()["audio-encode"].count
    for at in range(400):
        microphone.block = np.roll(noise, -at * 997)[:BLOCK_FRAMES]
        microphone.speak(1)
    posted = [frame for _, frame in microphone.posted[before:]]
    assert sum(not is_silence(frame.data) for frame in posted) >= 9  # one every 400 ms of 4 s
    assert trace.summaries()["audio-encode"].count - encoded <= 2 * 11


def test_the_first_word_after_a_pause_is_whole() -> None:
    microphone = Microphone()
    word, microphone.block = microphone.block, np.zeros(BLOCK_FRAMES, np.int16)
    microphone.speak(100)
    microphone.block = word
    before = len(microphone.posted)
    microphone.speak(10)
    frames = [frame for _, frame in microphone.posted[before:]]
    assert len(frames) == 5
    assert frames[0].timestamp == round(101.0 * 48_000)
    assert min(_energies(microphone.posted)[before + 1 :]) > -20


def test_packets_of_10_ms_when_asked_for() -> None:
    microphone = Microphone()
    microphone.speak(20)
    microphone.out.frame_frames = 480
    microphone.speak(20)
    stamps = [frame.timestamp for _, frame in microphone.posted]
    assert [after - before for before, after in itertools.pairwise(stamps)] == [960] * 10 + [480] * 19
    assert packet_frames(microphone.posted[-1][1].data) == 480


def test_a_block_captured_before_the_unmute_does_not_pass_after_it() -> None:
    microphone = Microphone()
    microphone.mute(True)
    microphone.speak(2)
    microphone.now_s += BLOCK_S / 2
    microphone.mute(False)
    microphone.now_s -= BLOCK_S / 2
    microphone.speak(1)  # captured half before, half after
    microphone.speak(21)
    energies = _energies(microphone.posted)
    assert microphone.posted[1][1].audio_level == 16  # half of the packet is silence
    assert energies[-1] > -20


def test_nothing_is_encoded_while_nobody_listens_but_the_level_lives() -> None:
    microphone = Microphone()
    microphone.out.wanted = False
    microphone.speak(9)
    assert microphone.posted == []
    assert microphone.out.level > 50
    microphone.out.wanted = True
    microphone.speak(2)
    assert microphone.posted[0][1].captured_s == pytest.approx(100.09)


def test_a_stall_of_the_device_is_a_gap_in_the_timestamps() -> None:
    microphone = Microphone()
    microphone.speak(20)
    microphone.now_s += 3.0
    microphone.speak(20)
    stamps = [frame.timestamp for _, frame in microphone.posted]
    assert stamps[10] - stamps[9] == 960 + 3 * 48_000


def test_late_delivery_is_no_gap_and_a_drifting_card_makes_none() -> None:
    clock = SampleClock()
    jitter = random.Random(3)
    first_s, last = 50.0, None
    for _ in range(100_000):  # 33 min at 200 ppm: 0.4 s of drift
        stamp = clock.stamp(first_s + jitter.random() * 0.05, 960)
        assert last is None or stamp == last + 960
        last = stamp
        first_s += 0.02 * 1.0002


def test_timestamps_wrap_at_32_bits() -> None:
    clock = SampleClock()
    assert clock.stamp((2**32 - 480) / 48_000, 960) == 2**32 - 480
    assert clock.stamp((2**32 + 480) / 48_000, 960) == 480
