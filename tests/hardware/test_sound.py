"""Microphone and speaker of the unit: what they grant, how late they are, and what happens when they are pulled out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from appliance.chime import chime
from appliance.config import Config
from appliance.drivers import hardware
from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AudioBlock, DeviceChange, HardwareError, MuteSwitch, Samples
from hw.alsa_duplex import AlsaMicrophone, AlsaSpeaker
from hw.level import dbov
from hw.udev import UdevMonitor
from tests.hardware.conftest import Person
from tests.hw.collect import Collector, lost_is_an_error

pytestmark = [pytest.mark.hardware, pytest.mark.timeout(240)]

BLOCK_S = BLOCK_FRAMES / SAMPLE_RATE_HZ
PLUG_S = 60.0  # a person needs this long at most
Ends = tuple[AlsaMicrophone, AlsaSpeaker]


class Source:
    """Silence, and what is asked to be played."""

    def __init__(self) -> None:
        self.started_s = 0.0  # when the first block of it was taken
        self._left: list[Samples] = []

    def play(self, sound: Samples) -> None:
        padded = np.append(sound, np.zeros(-sound.size % BLOCK_FRAMES, np.int16))
        self.started_s = 0.0
        self._left = list(padded.reshape(-1, BLOCK_FRAMES))

    def __call__(self) -> Samples:
        left = self._left
        if not left:
            return np.zeros(BLOCK_FRAMES, np.int16)
        self.started_s = self.started_s or time.monotonic()
        return left.pop(0)


@pytest.fixture
def ends(config: Config) -> Iterator[Ends]:
    drivers = hardware(config).drivers
    microphone, speaker = (make() if make is not None else None for make in (drivers.microphone, drivers.speaker))
    if not isinstance(microphone, AlsaMicrophone) or not isinstance(speaker, AlsaSpeaker):
        pytest.skip(f'no sound card is configured: [audio] driver = "{config.audio.driver}"')
    try:
        microphone.start(lambda _block: None, lost_is_an_error)
        speaker.start(Source(), lost_is_an_error)
    except HardwareError as exc:
        pytest.skip(f"no sound card: {exc}")
    finally:
        microphone.close()
        speaker.close()
    yield microphone, speaker
    speaker.close()
    microphone.close()


def test_half_a_minute_without_a_gap(ends: Ends, person: Person) -> None:
    microphone, speaker = ends
    times = Collector[float]()
    microphone.start(lambda _block: times(time.monotonic()), lost_is_an_error)
    speaker.start(Source(), lost_is_an_error)
    time.sleep(1)  # the first blocks of a card may come together
    before = len(times.items)
    person.told("half a minute of silence is played and recorded")
    time.sleep(30)
    steps_ms = 1e3 * np.diff(times.items[before:])
    person.told(f"microphone {microphone.label or microphone.device_id}: {microphone.stats}")
    person.told(f"speaker {speaker.label or speaker.device_id}: {speaker.stats}")
    median_ms, late_ms = np.percentile(steps_ms, [50, 99])
    person.told(f"blocks came every {median_ms:.1f} ms, 99 % within {late_ms:.1f}, the worst {steps_ms.max():.1f}")
    assert len(steps_ms) == pytest.approx(3000, rel=0.01)
    assert (microphone.xruns, speaker.xruns) == (0, 0)


def test_the_chime_is_heard(ends: Ends, person: Person) -> None:
    _, speaker = ends
    source = Source()
    speaker.start(source, lost_is_an_error)
    for _ in range(2):
        source.play((chime() * 32_767).astype(np.int16))
        time.sleep(2)
    assert person.says_yes("a chime was played twice; was it clear, without crackling?")


def test_a_voice_is_recorded_and_played(ends: Ends, person: Person) -> None:
    microphone, speaker = ends
    blocks, source = Collector[AudioBlock](), Source()
    speaker.start(source, lost_is_an_error)
    person.told("say something for four seconds, NOW")
    microphone.start(blocks, lost_is_an_error)
    recorded = np.concatenate([block.samples for block in blocks.wait(400)])
    loudest_dbov = max(dbov(block.samples) for block in blocks.items)
    person.told(f"the loudest was {loudest_dbov:.0f} dBov")
    assert loudest_dbov > -60, "silence: is the right microphone configured, and its capture volume up?"
    source.play(recorded)
    time.sleep(4.5)
    assert person.says_yes("was that what you said, at its right pitch?")


def test_the_way_from_speaker_to_microphone(ends: Ends, person: Person) -> None:
    """Both buffers, both cards and the air between them."""
    microphone, speaker = ends
    blocks, source = Collector[AudioBlock](), Source()
    microphone.start(blocks, lost_is_an_error)
    speaker.start(source, lost_is_an_error)
    person.told("three clicks, in a quiet room")
    took_ms = []
    for _ in range(3):
        time.sleep(1)
        noise = max(int(np.abs(block.samples.astype(np.int32)).max()) for block in blocks.items[-50:])
        count = len(blocks.items)
        source.play(np.tile(np.array([20_000, -20_000], np.int16), BLOCK_FRAMES // 2))
        deadline_s = time.monotonic() + 1
        while time.monotonic() < deadline_s:
            block = blocks.wait(count + 1)[count]
            count += 1
            if np.abs(block.samples.astype(np.int32)).max() > 4 * noise:
                took_ms.append(1e3 * (block.captured_s - source.started_s))
                break
    if not took_ms:
        pytest.skip("the microphone does not hear the speaker")
    person.told(f"from the speaker's source to the microphone's sink: {', '.join(f'{ms:.0f}' for ms in took_ms)} ms")
    assert min(took_ms) < 120


def test_the_mute_switch_of_the_card(ends: Ends, person: Person) -> None:
    microphone, _ = ends
    assert isinstance(microphone, MuteSwitch)
    blocks = Collector[AudioBlock]()
    microphone.start(blocks, lost_is_an_error)
    levels = {}
    person.told("make some noise for three seconds, NOW")
    for muted in (False, True, False):
        microphone.set_muted(muted)
        time.sleep(0.3)
        at = len(blocks.items)
        levels[muted] = max(dbov(block.samples) for block in blocks.wait(at + 70)[at:])
    person.told(f"heard at most {levels[False]:.0f} dBov, and {levels[True]:.0f} with the switch off")
    if levels[True] > levels[False] - 20:
        pytest.skip("this card has no capture switch; the mute gate mutes without it")


def test_pulled_out_and_put_back(ends: Ends, person: Person) -> None:
    microphone, _ = ends
    if not person.is_there:
        pytest.skip("nobody to pull it out")
    if not person.says_yes("is the microphone a USB device that you can pull out now?"):
        pytest.skip("it cannot be pulled out")
    changes, gone = Collector[DeviceChange](), threading.Event()
    monitor = UdevMonitor()
    monitor.start(changes)
    try:
        microphone.start(lambda _block: None, lambda _error: gone.set())
        person.told(f"pull out {microphone.label or microphone.device_id}, within {PLUG_S:.0f} s")
        assert gone.wait(PLUG_S), "the microphone was not lost"
        microphone.close()
        assert until(lambda: told(changes, "REMOVE", microphone.device_id)), changes.items
        person.told(f"put it back, within {PLUG_S:.0f} s")
        assert until(lambda: told(changes, "ADD", microphone.device_id)), changes.items
        blocks = Collector[AudioBlock]()
        microphone.start(blocks, lost_is_an_error)
        blocks.wait(50)
        person.told(", ".join(f"{change.state} {change.kind} {change.label}" for change in changes.items))
    finally:
        monitor.close()


def told(changes: Collector[DeviceChange], state: str, device_id: str) -> bool:
    return any((change.state, change.device_id) == (state, device_id) for change in list(changes.items))


def until(condition: Callable[[], bool], timeout_s: float = PLUG_S) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.1)
    return True
