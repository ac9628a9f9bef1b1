from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from appliance.config import parse
from appliance.doctor import devices
from appliance.doctor.finding import Finding
from appliance.doctor.person import Nobody
from appliance.doctor.sound import OFF_PACE, check_sound, chime_samples, heard, judge_chime, judge_recording
from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, HardwareError, OnLost, Samples
from hw.mock import AbsentMicrophone, AbsentSpeaker, MockMicrophone, MockSpeaker
from hw.synthetic import SyntheticMicrophone
from tests.appliance.doctor.people import Somebody
from tests.pulse import SoundCards, pulseaudio


def noise(seconds: float, amplitude: float) -> Samples:
    return np.random.default_rng(1).normal(0, amplitude, round(seconds * SAMPLE_RATE_HZ)).astype(np.int16)


class Room:
    """A speaker whose sound a microphone in the same room hears."""

    def __init__(self, loss: float = 0.1) -> None:
        self.microphone = MockMicrophone()
        self.speaker = MockSpeaker()
        self.microphone.feed(noise(1.3, 20))
        start = self.speaker.start

        def start_in_the_room(source: Callable[[], Samples], on_lost: OnLost) -> None:
            def play() -> Samples:
                samples = source()
                self.microphone.feed((samples * loss + noise(0.01, 20)).astype(np.int16))
                return samples

            start(play, on_lost)

        self.speaker.start = start_in_the_room  # type: ignore[method-assign]


def test_the_microphone_hears_the_chime() -> None:
    threads = threading.active_count()
    room = Room()
    microphone, speaker = check_sound(room.microphone, room.speaker, Nobody())
    assert microphone.status == speaker.status == "ok"
    assert speaker.facts["heard_back"] is True, speaker
    assert threading.active_count() == threads


def test_without_an_echo_the_speaker_is_fine_all_the_same() -> None:
    _, speaker = check_sound(MockMicrophone(SyntheticMicrophone()), MockSpeaker(), Nobody())
    assert (speaker.status, speaker.facts["heard_back"]) == ("ok", False)


def test_person_who_hears_nothing() -> None:
    somebody = Somebody(answer=False)
    [finding] = check_sound(None, MockSpeaker(), somebody)
    assert (finding.status, finding.facts["heard_back"]) == ("failed", None)
    assert "speaker_volume" in finding.remedy
    assert somebody.questions == ["A chime was played. Did you hear it?"]


def test_absent_devices() -> None:
    microphone, speaker = check_sound(AbsentMicrophone("no card"), AbsentSpeaker("no card"), Nobody())
    assert (microphone.status, speaker.status) == ("failed", "failed")
    assert "[audio] driver" in microphone.remedy


def test_a_speaker_that_is_lost_after_the_chime_is_not_fine() -> None:
    class Falling(MockSpeaker):
        def start(self, source: Callable[[], Samples], on_lost: OnLost) -> None:
            left = chime_samples().size // BLOCK_FRAMES + 2

            def play() -> Samples:
                nonlocal left
                left -= 1
                if not left:
                    on_lost(HardwareError("the plug was pulled"))
                return source()

            super().start(play, on_lost)

    [finding] = check_sound(None, Falling(), Nobody())
    assert (finding.status, finding.message) == ("failed", "the plug was pulled")


def test_devices_that_open_and_do_nothing() -> None:
    class Deaf(AbsentMicrophone):
        def start(self, sink: object, on_lost: OnLost) -> None: ...

    class Dumb(AbsentSpeaker):
        def start(self, source: object, on_lost: OnLost) -> None: ...

    microphone, speaker = check_sound(Deaf(), Dumb(), Nobody(), timeout_s=0.1)
    assert "delivers nothing within 0.1 s" in microphone.message
    assert "does not play a chime within" in speaker.message


@pytest.mark.parametrize(
    ("samples", "status", "remedy"),
    [
        (np.zeros(SAMPLE_RATE_HZ, np.int16), "warning", "muted"),
        (np.ones(SAMPLE_RATE_HZ, np.int16), "warning", "turn it up"),
        (noise(1, 300), "ok", ""),
        (np.full(SAMPLE_RATE_HZ, -32_768, np.int16), "warning", "turn it down"),
    ],
)
def test_what_is_recorded(samples: Samples, status: str, remedy: str) -> None:
    finding = judge_recording("card", samples)
    assert (finding.status, remedy in finding.remedy) == (status, True), finding


def test_pace_of_the_speaker() -> None:
    assert judge_chime("card", 1.05, None, None).status == "ok"
    assert judge_chime("card", 2.0, None, True).status == "warning"
    assert judge_chime("card", 0.5, None, True).status == "warning"


def test_chime_among_other_sounds() -> None:
    tune, hum = chime_samples(), noise(3, 200)
    assert tune.size % BLOCK_FRAMES == 0
    late = np.concatenate([np.zeros(20_011, np.int16), tune // 20])
    after = (hum[: late.size] + late).astype(np.int16)
    assert heard(hum, after)
    assert not heard(hum, noise(3, 200))
    assert not heard(tune, tune)  # somebody else plays just this
    first_note = late[: 20_011 + round(0.28 * SAMPLE_RATE_HZ)]
    assert not heard(hum, (hum[: first_note.size] + first_note).astype(np.int16))
    assert not heard(hum, np.zeros(0, np.int16))


def test_a_sound_that_is_torn_is_no_chime() -> None:
    """As that of a loaded machine: a gap clicks, and a click has every tone."""
    whole = (8000 * np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ)).astype(np.int16)
    torn = whole.copy()
    for gap in range(6):
        torn[2_003 + 7_001 * gap :][:1_013] = 0
    assert not heard(whole, torn)
    chimed = torn.copy()
    chimed += chime_samples()[: torn.size] // 4
    assert heard(whole, chimed)


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundCards]:
    with pulseaudio(tmp_path) as cards:
        for name, value in cards.environment.items():
            monkeypatch.setenv(name, value)
        yield cards


def findings(device: str) -> list[Finding]:
    config = parse(
        f'[audio]\ndriver = "alsa"\ndevice = "{device}"\n[video]\ndriver = "none"\n[gpio]\ndriver = "none"\n',
        "unit.toml",
    )
    return [finding for finding in devices.check(config, Nobody()) if finding.status != "skipped"]


def test_sound_cards(cards: SoundCards) -> None:
    over = threading.Event()
    played: list[Samples] = []

    def listen() -> None:
        with cards.recorder() as record:
            while not over.is_set():
                played.append(record(0.25))

    listener = threading.Thread(target=listen)
    with cards.humming(1000):
        listener.start()
        microphone, speaker = findings("card")
        over.set()
        listener.join()
    assert (microphone.check, microphone.status) == ("microphone", "ok"), microphone
    assert microphone.facts["level_dbov"] == pytest.approx(-15.3, abs=1.5)  # 8000 of 32768, a sine
    late = abs(float(str(speaker.facts["pace"])) - 1) > OFF_PACE  # as a loaded machine is
    assert (speaker.status, speaker.facts["heard_back"]) == ("warning" if late else "ok", False), speaker
    assert speaker.check == "speaker"
    assert heard(np.zeros(SAMPLE_RATE_HZ, np.int16), np.concatenate(played)), "the chime came out of the speaker"


def test_muted_and_absent_sound_cards(cards: SoundCards) -> None:
    muted, _ = findings("card")
    assert (muted.status, "muted" in muted.remedy) == ("warning", True)
    microphone, speaker = findings("absent")
    assert (microphone.status, speaker.status) == ("failed", "failed")
    assert "plug it in" in microphone.message


def test_sound_cards_in_one_room(cards: SoundCards) -> None:
    """What the speaker plays is carried to the microphone, as air does."""
    stop = threading.Event()

    def air() -> None:
        with cards.recorder() as record, cards.voice() as say:
            while not stop.is_set():
                say(record(0.02) // 8)

    carrier = threading.Thread(target=air)
    carrier.start()
    try:
        _, speaker = findings("card")
    finally:
        stop.set()
        carrier.join()
    assert speaker.facts["heard_back"] is True, speaker
