from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from appliance.media.playout import Playout, PullClock, RemoteAudio
from hw import HardwareError, Samples
from hw.mock import AbsentSpeaker, MockSpeaker
from tests.appliance.media.sound import arrivals, encode, tone, voice

LOW, HIGH = encode(tone(400, 2.0)), encode(tone(1000, 2.0))


class Hand:
    """A speaker whose periods are pulled by hand."""

    device_id = "hand"

    def __init__(self) -> None:
        self.pull: Callable[[], Samples] = lambda: np.zeros(480, np.int16)
        self.lose: Callable[[HardwareError], None] = lambda error: None
        self.closed = False

    def start(self, source: Callable[[], Samples], on_lost: Callable[[HardwareError], None]) -> None:
        self.pull, self.lose = source, on_lost

    def close(self) -> None:
        self.closed = True


@pytest.fixture
async def playout() -> AsyncIterator[Playout]:
    playout = Playout()
    yield playout
    await playout.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name in ("playout-paced", "mock-speaker")]


async def talk(speaker: MockSpeaker, peers: dict[RemoteAudio, list[bytes]], start: int, stop: int) -> None:
    """Each peer sends its packets from `start` to `stop`, one each 20 ms of the speaker's time."""
    for index in range(start, stop):
        for audio, payloads in peers.items():
            audio.push(index, index * 960, payloads[index], time.monotonic())
        assert await asyncio.to_thread(speaker.wait_blocks, 2, 2.0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a level has no event
            await asyncio.sleep(0.01)


def strength(samples: Samples, frequency_hz: int) -> float:
    """Amplitude 0..1 of one frequency in the best 40 ms: a busy machine may make the network of a test late."""
    windows = samples[: samples.size // 1_920 * 1_920].reshape(-1, 1_920) / 32_768
    t = np.arange(1_920) / 48_000
    return float(2 * np.abs(np.mean(windows * np.exp(-2j * np.pi * frequency_hz * t), axis=1)).max())


async def test_two_peers_are_heard_together_and_one_after_the_other_left(playout: Playout) -> None:
    speaker = MockSpeaker()
    playout.start(speaker)
    bob, eve = playout.add("bob"), playout.add("eve")
    await talk(speaker, {bob: LOW, eve: HIGH}, 0, 30)
    both = speaker.samples()[-19_200:]
    assert strength(both, 400) == pytest.approx(0.3, rel=0.25)
    assert strength(both, 1000) == pytest.approx(0.3, rel=0.25)
    assert bob.level > 50
    assert bob.stats().packets == 30
    eve.close()
    speaker.clear()
    await talk(speaker, {bob: LOW}, 30, 60)
    alone = speaker.samples()[-9_600:]
    assert strength(alone, 400) > 0.2
    assert strength(alone, 1000) < 0.02


async def test_the_volume_of_a_user_holds_for_streams_to_come_too(playout: Playout) -> None:
    hand = Hand()
    playout.start(hand)
    playout.set_volume("bob", 25)
    bob, eve = playout.add("bob"), playout.add("eve")
    assert (bob.gain, eve.gain) == (0.25, 1.0)
    playout.set_volume("bob", 0)
    now_s = time.monotonic()
    for index in range(20):
        bob.push(index, index * 960, LOW[index], now_s + index * 0.02)
    assert not any(hand.pull().any() for _ in range(20))
    assert bob.level > 50
    with pytest.raises(ValueError, match="0 to 100"):
        playout.set_volume("bob", 101)


async def test_levels_live_without_a_speaker(playout: Playout) -> None:
    playout.start(None)
    bob = playout.add("bob")
    for index in range(10):
        bob.push(index, index * 960, LOW[index], time.monotonic())
    await until(lambda: bob.level > 50)
    await until(lambda: bob.level == 0)


async def test_a_lost_speaker_is_told_on_the_loop_and_levels_go_on(
    playout: Playout, caplog: pytest.LogCaptureFixture
) -> None:
    speaker = MockSpeaker()
    loop_thread = threading.get_ident()
    lost: list[tuple[str, int]] = []
    playout.on_device_lost = lambda error: lost.append((str(error), threading.get_ident()))
    playout.start(speaker)
    bob = playout.add("bob")
    await asyncio.to_thread(speaker.unplug)
    await until(lambda: bool(lost))
    assert lost == [("mock-speaker was unplugged; plug it in again", loop_thread)]
    assert not caplog.records, "who opens it again and again says so once"
    for index in range(10):
        bob.push(index, index * 960, LOW[index], time.monotonic())
    await until(lambda: bob.level > 50)
    speaker.plug_in()
    playout.start(speaker)
    await talk(speaker, {playout.add("eve"): HIGH}, 0, 15)
    assert strength(speaker.samples()[-4_800:], 1000) > 0.2


async def test_a_speaker_that_was_replaced_may_get_lost(playout: Playout) -> None:
    first, second = Hand(), Hand()
    lost: list[HardwareError] = []
    playout.on_device_lost = lost.append
    playout.start(first)
    playout.start(second)
    assert first.closed
    await asyncio.to_thread(first.lose, HardwareError("gone"))
    await asyncio.to_thread(second.lose, HardwareError("gone too"))
    await until(lambda: bool(lost))
    assert [str(error) for error in lost] == ["gone too"]


async def test_an_absent_speaker_raises_and_levels_go_on(playout: Playout) -> None:
    bob = playout.add("bob")
    with pytest.raises(HardwareError):
        playout.start(AbsentSpeaker())
    for index in range(10):
        bob.push(index, index * 960, LOW[index], time.monotonic())
    await until(lambda: bob.level > 50)


async def test_a_closed_peer_fades_within_a_block_and_is_gone() -> None:
    playout, hand = Playout(), Hand()
    playout.start(hand)
    bob = playout.add("bob")
    now_s = time.monotonic()
    for index in range(20):
        bob.push(index, index * 960, LOW[index], now_s + index * 0.02)
    heard = [hand.pull() for _ in range(20)]
    assert np.abs(heard[-1]).max() > 5_000
    bob.close()
    fading = hand.pull()
    assert np.abs(fading[:100]).max() > 3_000
    assert np.abs(fading[-10:]).max() < 1_000
    assert bob.faded_out
    assert not hand.pull().any()
    gone = weakref.ref(bob)
    del bob
    gc.collect()
    assert gone() is None
    await playout.close()
    assert hand.closed


async def test_peers_come_and_go_while_it_plays(playout: Playout) -> None:
    speaker = MockSpeaker()
    playout.start(speaker)
    for number in range(100):
        audio = playout.add(f"peer{number}")
        audio.push(number, number * 960, LOW[number], time.monotonic())
        if number % 10 == 0:
            assert await asyncio.to_thread(speaker.wait_blocks, 1, 2.0)
        audio.close()
    assert await asyncio.to_thread(speaker.wait_blocks, 3, 2.0)
    assert not speaker.samples()[-480:].any()


async def test_close_is_final_for_the_streams_and_twice_is_fine() -> None:
    playout, speaker = Playout(), MockSpeaker()
    playout.start(speaker)
    bob = playout.add("bob")
    await playout.close()
    await playout.close()
    assert bob.closed
    blocks = speaker.blocks
    assert not await asyncio.to_thread(speaker.wait_blocks, 1, 0.05)
    assert speaker.blocks == blocks


def test_an_uneven_playback_thread_is_guarded_against_and_forgotten() -> None:
    rng = random.Random(5)
    audio, clock = RemoteAudio("bob"), PullClock()
    packets = arrivals(encode(voice(10.0)) * 4)
    now_s = 0.0
    for block in range(4_000):
        uneven_s = 0.05 if block < 2_000 else 0.002
        now_s = max(now_s, block * 0.01 + rng.random() * uneven_s)
        while packets and packets[0][0] <= now_s:
            arrival_s, sequence_number, timestamp, payload = packets.pop(0)
            audio.push(sequence_number, timestamp, payload, arrival_s)
        audio.render(clock.tick(now_s))
    stats = audio.stats()
    assert 1 <= stats.underruns <= 15  # without the guard: over 80
    assert stats.target_ms <= 20
    assert stats.delay_ms <= 30


def test_pull_clock_smooths_a_late_pull_and_its_burst() -> None:
    clock = PullClock()
    times = [clock.tick(10 + index * 0.01) for index in range(50)]
    late = [clock.tick(10.6) for _ in range(11)]  # 100 ms late, then the missed ones at once
    after = [clock.tick(10.61 + index * 0.01) for index in range(50)]
    steps = np.diff([*times, *late, *after])
    assert steps.min() > 0.0075
    assert steps.max() < 0.0125
    assert after[-1] == pytest.approx(10.61 + 49 * 0.01, abs=0.005)


def test_pull_clock_starts_anew_after_a_long_pause() -> None:
    clock = PullClock()
    clock.tick(10.0)
    assert clock.tick(12.0) == 12.0


def test_pull_clock_follows_a_device_that_runs_fast() -> None:
    clock = PullClock()
    assert [clock.tick(index * 0.00999) for index in range(3_000)][-1] == pytest.approx(2_999 * 0.00999, abs=0.001)


async def test_own_sounds_are_played_once_or_again_and_again() -> None:
    playout, hand = Playout(), Hand()
    playout.start(hand)
    try:
        sound = np.full(960, 0.25, np.float32)
        playout.play(sound)
        assert [bool(hand.pull().any()) for _ in range(4)] == [True, True, False, False]
        playout.play(sound, repeat=True)
        assert all(hand.pull().any() for _ in range(7))
        playout.hush()
        assert not hand.pull().any()
        playout.play(sound, repeat=True)
        playout.play(sound)  # takes its place
        assert [bool(hand.pull().any()) for _ in range(3)] == [True, True, False]
    finally:
        await playout.close()
