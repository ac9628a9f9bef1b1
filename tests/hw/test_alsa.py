"""The real pyalsaaudio on a real PulseAudio with null sinks. Nothing here is slower than the sound itself."""

from __future__ import annotations

import itertools
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hw import (
    BLOCK_FRAMES,
    SAMPLE_RATE_HZ,
    AudioBlock,
    HardwareError,
    Labeled,
    Measured,
    Microphone,
    MuteSwitch,
    Samples,
    Speaker,
)
from hw import alsa_duplex as duplex_module
from hw.alsa import CapturePcm, PlaybackPcm, granted_problem
from hw.alsa_cards import SoundCard
from hw.alsa_duplex import AlsaDuplex, AlsaMicrophone
from tests.hw.collect import TIMEOUT_S, Collector, lost_is_an_error, no_new_threads
from tests.pulse import SoundCards, loudest_hz, pulseaudio, purity_db

logger = logging.getLogger(__name__)

SECOND = SAMPLE_RATE_HZ
TONE_HZ = 3000.0  # high: a lost sample shows
PURE_DB = 30.0  # a lost block is 20; what comes through whole is 50 to 80, less while the drift is being found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundCards]:
    with pulseaudio(tmp_path_factory.mktemp("pulse")) as server:
        yield server


@pytest.fixture
def card(server: SoundCards, monkeypatch: pytest.MonkeyPatch) -> SoundCards:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def duplex() -> Iterator[AlsaDuplex]:
    with no_new_threads():
        duplex = AlsaDuplex("card", "card")
        yield duplex
        duplex.microphone.close()
        duplex.speaker.close()


class Tone:
    """A speaker's source; `stall_s` holds up the block after the next one once."""

    def __init__(self, frequency_hz: float = TONE_HZ) -> None:
        self.blocks = 0
        self.stall_s = 0.0
        self._step = 2 * np.pi * frequency_hz / SAMPLE_RATE_HZ
        self._played = threading.Condition()

    def __call__(self) -> Samples:
        stall_s, self.stall_s = self.stall_s, 0.0
        time.sleep(stall_s)
        turns = self._step * np.arange(self.blocks * BLOCK_FRAMES, (self.blocks + 1) * BLOCK_FRAMES)
        with self._played:
            self.blocks += 1
            self._played.notify_all()
        samples: Samples = (8000 * np.sin(turns)).astype(np.int16)
        return samples

    def wait(self, more: int) -> None:
        with self._played:
            goal = self.blocks + more
            assert self._played.wait_for(lambda: self.blocks >= goal, TIMEOUT_S), f"{self.blocks} of {goal} pulled"


def silence() -> Samples:
    return np.zeros(BLOCK_FRAMES, np.int16)


def until_loud(blocks: Collector[AudioBlock], count: int) -> list[AudioBlock]:
    """The `count` blocks from the first that is not silent."""
    at = 0
    deadline_s = time.monotonic() + TIMEOUT_S
    while not np.abs(blocks.wait(at + 1)[at].samples.astype(np.int32)).max() > 1000:
        at += 1
        assert time.monotonic() < deadline_s, "nothing was heard"
    return blocks.wait(at + count)[at:]


def next_heard(blocks: Collector[AudioBlock], seconds: float) -> Samples:
    at, count = len(blocks.items), round(100 * seconds)
    return np.concatenate([block.samples for block in blocks.wait(at + count)[at:]])


def best_purity_db(record: Callable[[float], Samples], frequency_hz: float) -> float:
    """Of the next seconds the best: a loaded machine may hold up whoever plays or records, it makes no tone purer."""
    best = -100.0
    for _ in range(10):
        best = max(best, purity_db(record(0.5), frequency_hz))
        if best > PURE_DB:
            break
    return best


def test_what_is_said_comes_out_of_the_microphone(card: SoundCards, duplex: AlsaDuplex) -> None:
    microphone, blocks = duplex.microphone, Collector[AudioBlock]()
    assert isinstance(microphone, Microphone)
    with card.humming(1000):
        microphone.start(blocks, lost_is_an_error)
        loud = until_loud(blocks, 150)[50:]
        assert best_purity_db(lambda seconds: next_heard(blocks, seconds), 1000) > PURE_DB
    assert {(block.samples.shape, block.samples.dtype) for block in loud} == {((BLOCK_FRAMES,), np.dtype(np.int16))}
    sound = np.concatenate([block.samples for block in loud])
    assert loudest_hz(sound) == pytest.approx(1000, abs=2)
    times = [block.captured_s for block in loud]
    assert times == sorted(times)
    assert times[-1] - times[0] == pytest.approx(0.99, abs=0.1)
    assert times[-1] <= time.monotonic()


def test_what_is_played_comes_out_of_the_speaker(card: SoundCards, duplex: AlsaDuplex) -> None:
    assert isinstance(duplex.speaker, Speaker)
    tone = Tone()
    duplex.speaker.start(tone, lost_is_an_error)
    tone.wait(20)
    with card.recorder() as record:
        assert loudest_hz(record(0.5)) == pytest.approx(TONE_HZ, abs=4)
        assert best_purity_db(record, TONE_HZ) > PURE_DB


def test_both_in_one_thread_in_lock_step(card: SoundCards, duplex: AlsaDuplex) -> None:
    steps = Collector[str]()
    tone, threads = Tone(), set()

    def sink(_block: AudioBlock) -> None:
        threads.add(threading.current_thread())
        steps("heard")

    def source() -> Samples:
        threads.add(threading.current_thread())
        steps("played")
        return tone()

    duplex.microphone.start(sink, lost_is_an_error)
    duplex.speaker.start(source, lost_is_an_error)
    with card.recorder() as record:
        tone.wait(100)
        steps.items.clear()
        taken = steps.wait(400)
        assert best_purity_db(record, TONE_HZ) > PURE_DB
    in_step = sum(pair == ("heard", "played") for pair in itertools.pairwise(taken))
    assert in_step > 150  # of 200: where the machine was late, the speaker's queue is kept from running dry or over
    assert [thread.name for thread in threads] == ["alsa"]
    assert card.microphone.pactl("list", "short", "source-outputs")
    started_s = time.monotonic()
    duplex.speaker.close()
    duplex.microphone.close()
    assert time.monotonic() - started_s < 1
    assert not card.microphone.pactl("list", "short", "source-outputs")
    assert not card.speaker.pactl("list", "short", "sink-inputs")
    assert not any(thread.is_alive() for thread in threads)


def test_periods_and_latency(card: SoundCards, duplex: AlsaDuplex) -> None:
    """Measured: from said to the microphone's sink, from the speaker's source to heard, and what the ends say of it."""
    arrivals = Collector[tuple[float, AudioBlock]]()
    tone = Tone()
    beep_at, beeped_s = -1, 0.0

    def beeps() -> Samples:
        nonlocal beeped_s
        block = tone()
        if tone.blocks != beep_at:
            return silence()
        beeped_s = time.monotonic()
        return block

    duplex.microphone.start(lambda block: arrivals((time.monotonic(), block)), lost_is_an_error)
    duplex.speaker.start(beeps, lost_is_an_error)
    arrivals.wait(20)
    steps_s = np.diff([at_s for at_s, _ in arrivals.wait(220)[20:]])
    assert np.median(steps_s) == pytest.approx(0.01, abs=0.002)
    said_ms = []
    with card.voice() as say:
        say(np.zeros(SECOND // 5, np.int16))
        for _ in range(3):
            arrivals.wait(len(arrivals.items) + 40)
            before, said_s = len(arrivals.items), time.monotonic()
            say(np.full(SECOND // 50, 12_000, np.int16))
            while not np.abs(arrivals.wait(before + 1)[before][1].samples).max() > 6000:
                before += 1
            said_ms.append(1e3 * (arrivals.items[before][0] - said_s))
    played_ms = []
    with card.recorder() as record:
        record(0.2)
        for _ in range(3):
            beep_at = tone.blocks + 20
            while not np.abs(record(0.005)).max() > 6000:
                assert tone.blocks < beep_at + 200
            played_ms.append(1e3 * (time.monotonic() - beeped_s))
    ends = {"microphone": duplex.microphone.stats, "speaker": duplex.speaker.stats}
    logger.info("period p50, p99: %s ms", np.round(np.percentile(steps_s, [50, 99]) * 1e3, 2))
    logger.info("from said to sink: %s ms", np.round(said_ms, 1))
    logger.info("from source to heard: %s ms", np.round(played_ms, 1))
    logger.info("%s", ends)
    assert min(said_ms) < 150  # PulseAudio's own buffers included; queues that grow would be a second
    assert min(played_ms) < 150
    for end in ends.values():
        assert end is not None
        assert 0 < end.period_frames <= 2 * BLOCK_FRAMES
        assert end.buffer_frames >= 4 * BLOCK_FRAMES
        assert 0 < end.latency_ms <= 60
        assert end.xruns >= 0
    duplex.speaker.close()
    assert duplex.speaker.stats is None
    assert duplex.speaker.xruns == ends["speaker"].xruns  # type: ignore[union-attr]


def test_an_xrun_is_counted_and_healed(card: SoundCards, duplex: AlsaDuplex) -> None:
    tone, blocks = Tone(), Collector[AudioBlock]()
    with card.humming(1000):
        duplex.microphone.start(blocks, lost_is_an_error)
        duplex.speaker.start(tone, lost_is_an_error)
        until_loud(blocks, 50)
        tone.wait(50)
        before = duplex.speaker.xruns
        tone.stall_s = 0.3
        tone.wait(100)
        assert duplex.speaker.xruns > before
        with card.recorder() as record:
            assert best_purity_db(record, TONE_HZ) > PURE_DB
        assert best_purity_db(lambda seconds: next_heard(blocks, seconds), 1000) > PURE_DB


def test_a_speaker_unplugged_and_back(card: SoundCards, duplex: AlsaDuplex) -> None:
    tone, blocks, lost = Tone(), Collector[AudioBlock](), Collector[HardwareError]()
    duplex.microphone.start(blocks, lost_is_an_error)
    duplex.speaker.start(tone, lost)
    blocks.wait(20)
    tone.wait(20)
    card.speaker.unplug()
    try:
        [error] = lost.wait(1)
        assert "speaker card: " in str(error)
        blocks.wait(len(blocks.items) + 50)  # the microphone goes on
        duplex.speaker.close()
        with pytest.raises(HardwareError, match="speaker card: "):
            duplex.speaker.start(tone, lost)
    finally:
        card.speaker.plug()
    duplex.speaker.start(tone, lost_is_an_error)
    with card.recorder() as record:
        assert best_purity_db(record, TONE_HZ) > PURE_DB
    assert len(lost.items) == 1


def test_a_microphone_unplugged_and_back(card: SoundCards, duplex: AlsaDuplex) -> None:
    tone, blocks, lost = Tone(), Collector[AudioBlock](), Collector[HardwareError]()
    duplex.microphone.start(blocks, lost)
    duplex.speaker.start(tone, lost_is_an_error)
    blocks.wait(20)
    card.microphone.unplug()
    try:
        [error] = lost.wait(1)
        assert "microphone card: " in str(error)
        tone.wait(50)  # the speaker goes on at its own pace
        duplex.microphone.close()
    finally:
        card.microphone.plug()
    with card.humming(1000):
        duplex.microphone.start(blocks, lost_is_an_error)
        blocks.items.clear()
        assert loudest_hz(np.concatenate([b.samples for b in until_loud(blocks, 100)])) == pytest.approx(1000, abs=4)


def test_one_card_is_played_sample_for_sample(
    card: SoundCards, duplex: AlsaDuplex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two ends of one card nothing is stretched; behind a sound server both may be anywhere, and it is."""
    noise = np.random.default_rng(1).integers(-9000, 9000, SECOND, np.int16).reshape(-1, BLOCK_FRAMES)
    at = 0

    def source() -> Samples:
        nonlocal at
        at += 1
        block: Samples = noise[at % len(noise)]
        return block

    def exact(record: Callable[[float], Samples]) -> bool:
        for _ in range(8):
            heard = record(0.5).tobytes()
            if any(block.tobytes() in heard for block in noise):
                return True
        return False

    class OneCapture(CapturePcm):
        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.card = 0

    class OnePlayback(PlaybackPcm):
        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.card = 0

    blocks = Collector[AudioBlock]()
    with card.recorder() as record:
        duplex.microphone.start(blocks, lost_is_an_error)
        blocks.wait(20)
        duplex.speaker.start(source, lost_is_an_error)
        record(0.5)
        assert not exact(record)
        duplex.speaker.close()
        duplex.microphone.close()
        monkeypatch.setattr(duplex_module, "CapturePcm", OneCapture)
        monkeypatch.setattr(duplex_module, "PlaybackPcm", OnePlayback)
        duplex.microphone.start(blocks, lost_is_an_error)
        duplex.speaker.start(source, lost_is_an_error)
        assert exact(record)


def test_mixer_volume_and_mute_switch(card: SoundCards) -> None:
    duplex = AlsaDuplex("ear", "mouth", microphone_volume=40, speaker_volume=70)
    blocks = Collector[AudioBlock]()
    assert isinstance(duplex.microphone, MuteSwitch)
    try:
        duplex.microphone.start(blocks, lost_is_an_error)
        duplex.speaker.start(silence, lost_is_an_error)
        assert " 40% " in card.microphone.pactl("get-source-volume", "end.monitor")
        assert " 70% " in card.speaker.pactl("get-sink-volume", "end")
        for muted, words in ((True, "Mute: yes"), (False, "Mute: no")):
            duplex.microphone.set_muted(muted)
            deadline_s = time.monotonic() + TIMEOUT_S
            while card.microphone.pactl("get-source-mute", "end.monitor") != words:
                assert time.monotonic() < deadline_s, f"never {words}"
    finally:
        duplex.microphone.close()
        duplex.speaker.close()
        card.microphone.pactl("set-source-volume", "end.monitor", "100%")
        card.speaker.pactl("set-sink-volume", "end", "100%")


def test_another_microphone_takes_over(card: SoundCards, duplex: AlsaDuplex) -> None:
    tone, first, second = Tone(), Collector[AudioBlock](), Collector[AudioBlock]()
    duplex.microphone.start(first, lost_is_an_error)
    duplex.speaker.start(tone, lost_is_an_error)
    first.wait(20)
    other = AlsaMicrophone(duplex, "ear", None)
    other.set_muted(True)
    with card.humming(1000):
        other.start(second, lost_is_an_error)
        until_loud(second, 20)  # also where the switch is shut: the gate mutes, and PulseAudio's monitor has none
        count = len(first.items)
        duplex.microphone.close()  # is closed already
        second.wait(len(second.items) + 20)
    assert len(first.items) == count
    assert duplex.microphone.stats is None
    assert other.stats is not None
    other.close()
    tone.wait(50)


def test_a_card_found_has_its_id_and_label(
    card: SoundCards, duplex: AlsaDuplex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As udev tells of it, so that both mean the same device."""

    class OneCapture(CapturePcm):
        def __init__(self, name: str) -> None:
            assert name == "plughw:CARD=Jabra,DEV=0"
            super().__init__("card")

    cards = (SoundCard(0, "vc4hdmi", False, (), (0,)), SoundCard(2, "Jabra", True, (0, 1), (0,), "Jabra SPEAK"))
    monkeypatch.setattr(duplex_module, "sound_cards", lambda: cards)
    monkeypatch.setattr(duplex_module, "CapturePcm", OneCapture)
    usb, blocks = AlsaMicrophone(duplex, "usb", None), Collector[AudioBlock]()
    assert isinstance(usb, Labeled)
    assert isinstance(usb, Measured)
    usb.start(blocks, lost_is_an_error)
    assert (usb.device_id, usb.label) == ("plughw:CARD=Jabra,DEV=0", "Jabra SPEAK")
    usb.close()
    assert [end.device_id for end in duplex.other_microphones()] == [
        "plughw:CARD=Jabra,DEV=0",
        "plughw:CARD=Jabra,DEV=1",
    ]
    assert [end.device_id for end in duplex.other_speakers()] == [
        "plughw:CARD=Jabra,DEV=0",
        "plughw:CARD=vc4hdmi,DEV=0",
    ]


@pytest.mark.parametrize("who", ["sink", "source"])
def test_a_fault_in_the_thread_loses_both_ends_and_they_open_again(
    card: SoundCards, duplex: AlsaDuplex, who: str
) -> None:
    blocks, tone, lost = Collector[AudioBlock](), Tone(), Collector[HardwareError]()
    faults = itertools.count()

    def fault() -> None:
        if next(faults) == 20:
            raise ZeroDivisionError("a fault of ours")

    def sink(block: AudioBlock) -> None:
        if who == "sink":
            fault()
        blocks(block)

    def source() -> Samples:
        if who == "source":
            fault()
        return tone()

    duplex.microphone.start(sink, lost)
    duplex.speaker.start(source, lost)
    assert [str(error) for error in lost.wait(2)] == ["sound cards: ZeroDivisionError: a fault of ours"] * 2
    duplex.microphone.close()
    duplex.speaker.close()
    duplex.microphone.start(sink, lost_is_an_error)
    duplex.speaker.start(source, lost_is_an_error)
    blocks.wait(len(blocks.items) + 20)
    tone.wait(20)


def test_a_card_that_is_not_there(card: SoundCards) -> None:
    duplex = AlsaDuplex("plughw:CARD=Absent", "nothing")
    with no_new_threads():
        with pytest.raises(HardwareError, match=r"microphone plughw:CARD=Absent: No such .*; plug it in"):
            duplex.microphone.start(lambda _: None, lost_is_an_error)
        with pytest.raises(HardwareError, match=r"speaker nothing: No such .*; plug it in, or choose one that"):
            duplex.speaker.start(silence, lost_is_an_error)
        duplex.microphone.close()
        duplex.speaker.close()


def test_no_usb_card(card: SoundCards) -> None:
    if any(Path("/proc/asound").glob("card*/usbid")):
        pytest.skip("there is a USB sound card")
    with pytest.raises(HardwareError, match="no USB sound card with a microphone"):
        AlsaDuplex("usb", "usb").microphone.start(lambda _: None, lost_is_an_error)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alsaaudio", None)
    with pytest.raises(HardwareError, match=r"need pyalsaaudio: apt-get install .*libasound2-dev, then pip install"):
        AlsaDuplex().speaker.start(silence, lost_is_an_error)


def test_with_an_old_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alsaaudio", SimpleNamespace(PCM=object))
    with pytest.raises(HardwareError, match=r"too old, 0\.11 is needed: apt-get install"):
        AlsaDuplex().microphone.start(lambda _: None, lost_is_an_error)


GOOD = {"rate": 48_000, "channels": 1, "format_name": "S16_LE", "period_size": 480, "buffer_size": 1920}


@pytest.mark.parametrize(
    ("granted", "words"),
    [
        ({}, ""),
        ({"period_size": 512, "buffer_size": 2048}, ""),
        ({"rate": 44_100}, "grants 44100 Hz"),
        ({"channels": 2}, "2 channels"),
        ({"format_name": "S32_LE"}, "S32_LE"),
        ({"period_size": 1024, "buffer_size": 4096}, "periods of 1024 frames"),
        ({"buffer_size": 960}, "a buffer of 960 frames"),
    ],
)
def test_what_is_granted(granted: dict[str, object], words: str) -> None:
    problem = granted_problem(GOOD | granted)
    assert words in problem
    assert bool(problem) == bool(words)
