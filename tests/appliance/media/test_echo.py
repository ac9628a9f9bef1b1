"""Targets of echo cancellation in simulated rooms, with controls that must miss them; and the near end's modes."""

from __future__ import annotations

import random
import sys
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.media import webrtc_audio
from appliance.media.echo import Duplex, NearEnd, NearEndSettings
from appliance.media.far_end import FarEnd
from appliance.media.trace import Trace
from hw import BLOCK_FRAMES, SAMPLE_RATE_HZ, AudioBlock, Samples
from hw.level import dbov
from tests.appliance.media.acoustics import Room, Wave, speech
from tests.appliance.media.echo_scene import CANCELS, Card, Heard, estoi, scene

ALL = NearEndSettings(echo_cancellation=True, noise_suppression=1, gain_control=True)
SILENT = NearEndSettings()


def seconds(name: str, count: float, *, from_s: float = 0.0) -> Wave:
    """Talk from `from_s` on; silence before it."""
    wave = np.resize(speech(name), round(count * SAMPLE_RATE_HZ)).copy()
    wave[: round(from_s * SAMPLE_RATE_HZ)] = 0.0
    return wave


# --- echo


@pytest.mark.parametrize(("name", "delay_ms"), [("far1", 40), ("far2", 115), ("far1", 200)])
def test_30_db_of_echo_are_taken_away_whatever_the_delay(name: str, delay_ms: float) -> None:
    heard = scene(seconds(name, 6), None, Room(delay_ms=delay_ms))
    assert heard.erle_db(2, 6) >= 30
    estimate_db = heard.near_end.stats().erle_db
    assert estimate_db is not None
    assert 20 < estimate_db < 60, "what the unit tells of itself is near the truth"


def test_30_db_of_echo_in_any_room() -> None:
    seed = random.randrange(10**6)
    draw = random.Random(seed)
    room = Room(delay_ms=draw.uniform(40, 200), seed=seed, echo_db=draw.uniform(-6, 4), noise_dbov=-66)
    assert scene(seconds(draw.choice(("far1", "far2")), 6), None, room).erle_db(2.5, 6) >= 30, f"seed {seed}"


def test_25_db_with_two_clocks() -> None:
    assert scene(seconds("far1", 7), None, Room(delay_ms=90, drift_ppm=50)).erle_db(2, 7) >= 25


@lru_cache
def _after_xrun(*, told: bool) -> float:
    room = Room(delay_ms=170, xruns={400: 60.0})
    heard = scene(seconds("far1", 6), None, room, xruns_told=told)
    assert heard.near_end.stats().resets == (2 if told else 1)
    return heard.erle_db(4.5, 5.5)


def test_20_db_half_a_second_after_an_xrun() -> None:
    assert _after_xrun(told=True) >= 20


def test_control_an_xrun_that_nobody_tells_leaves_echo() -> None:
    assert _after_xrun(told=False) < 20


def test_control_without_a_canceller_the_echo_stays() -> None:
    bypass = NearEndSettings(noise_suppression=1)
    assert scene(seconds("far1", 6), None, Room(delay_ms=40), settings=bypass).erle_db(2, 6) < 3


def test_control_a_reference_that_comes_after_its_echo_is_no_use() -> None:
    def late(played: list[Samples], turn: int) -> Samples:
        return played[max(0, turn - 2)]

    assert scene(seconds("far1", 6), None, Room(delay_ms=5), reference=late).erle_db(2, 6) < 15


def test_control_another_reference_is_no_use() -> None:
    other = (seconds("far2", 6) * 32_768).astype(np.int16).reshape(-1, BLOCK_FRAMES)
    room = Room(delay_ms=40)
    assert scene(seconds("far1", 6), None, room, reference=lambda _played, turn: other[turn]).erle_db(2, 6) < 10


class SwitchedOff(Room):
    """The card's own switch is off for three seconds."""

    turns = 0

    def turn(self, played: Samples, near: Wave | None = None) -> Samples:
        heard = super().turn(played, near)
        self.turns += 1
        return np.zeros_like(heard) if 300 <= self.turns < 600 else heard


def test_what_is_known_of_the_room_is_there_when_the_microphone_is_switched_on_again() -> None:
    assert scene(seconds("far1", 8), None, SwitchedOff(delay_ms=80)).erle_db(6.02, 6.5) >= 30


# --- talk


@lru_cache
def _double_talk(far: str, near: str) -> Heard:
    return scene(seconds(far, 7), seconds(near, 7, from_s=3), Room(delay_ms=80))


@pytest.mark.parametrize(("far", "near"), [("far1", "near1"), ("far2", "near2")])
def test_both_are_heard_when_both_talk(far: str, near: str) -> None:
    heard = _double_talk(far, near)
    assert heard.near_gain_db(3, 6.9) >= -6
    assert estoi(*heard.near_and_out(3, 6.9)) >= 0.42
    assert heard.double[330:].mean() > 0.7
    assert heard.double[100:300].mean() < 0.1
    assert heard.gain.min() == pytest.approx(0.5, abs=0.01)


def test_near_talk_alone_stays_as_it_is() -> None:
    heard = scene(seconds("far1", 6) * 0, seconds("near1", 6), Room(delay_ms=80))
    assert heard.near_gain_db(1, 5.9) >= -2
    assert estoi(*heard.near_and_out(1, 5.9)) >= 0.95
    assert not heard.double.any()


def test_a_noisy_room_is_quieter_and_its_talk_as_plain() -> None:
    """In place of PESQ, whose code has a licence of its own: the noise in pauses, the talk's level, and ESTOI."""
    noise_dbov = -42.0
    room = Room(delay_ms=80, noise_dbov=noise_dbov)
    heard = scene(seconds("far1", 6) * 0, seconds("near2", 6, from_s=2), room)
    near, out = heard.near_and_out(2.5, 5.9)
    raw = heard.microphone[round(2.5 * SAMPLE_RATE_HZ) :][: near.size]
    assert dbov((heard.out[SAMPLE_RATE_HZ : 2 * SAMPLE_RATE_HZ]).astype(np.float32)) < noise_dbov - 10
    assert heard.near_gain_db(2.5, 5.9) >= -2
    assert estoi(near, out) >= estoi(near, raw) - 0.05


def test_quiet_talk_is_brought_up_and_loud_talk_is_not_clipped() -> None:
    def level(db: float) -> float:
        talk = seconds("near1", 8) * 10 ** (db / 20)
        out = scene(talk * 0, talk, Room(delay_ms=80), settings=ALL).out[-3 * SAMPLE_RATE_HZ :]
        assert np.abs(out).max() < 0.99
        return float(10 * np.log10((out**2).mean()))

    quiet, loud = level(-15), level(6)
    assert 0 < loud - quiet < 14, "of 21 dB"


# --- what it works with


def block(samples: Samples | None = None, at_s: float = 1.0) -> AudioBlock:
    return AudioBlock(np.zeros(BLOCK_FRAMES, np.int16) if samples is None else samples, at_s)


def near_end(wanted: NearEndSettings, *, speaker: bool = True) -> tuple[NearEnd, FarEnd]:
    far_end = FarEnd()
    far_end.restart(Card() if speaker else None)
    return NearEnd(wanted, far_end, Trace()), far_end


LOUD = (8_000 * np.sin(2 * np.pi * 400 * np.arange(BLOCK_FRAMES) / SAMPLE_RATE_HZ)).astype(np.int16)


def test_what_comes_out_is_as_old_as_it_is() -> None:
    near, _ = near_end(CANCELS)
    assert near.process(block(at_s=5.0)).captured_s == pytest.approx(5.0 - 0.0159, abs=1e-4)
    near, _ = near_end(CANCELS, speaker=False)
    assert near.process(block(at_s=5.0)).captured_s == pytest.approx(5.0 - 0.007, abs=1e-4)
    near, _ = near_end(SILENT)
    assert near.process(block(LOUD, 5.0)) == AudioBlock(LOUD, 5.0)


def test_the_time_it_holds_back_is_traced() -> None:
    trace = Trace()
    NearEnd(CANCELS, FarEnd(), trace).process(block())
    assert trace.summaries()["audio-cancel"].p50_ms > 6.9


def test_without_a_speaker_noise_is_suppressed_and_no_echo_looked_for() -> None:
    near, far = near_end(CANCELS, speaker=False)
    rng = np.random.default_rng(1)
    for number in range(300):
        out = near.process(block((rng.standard_normal(BLOCK_FRAMES) * 300).astype(np.int16), 1 + number * 0.01))
    assert dbov(out.samples) < dbov((rng.standard_normal(BLOCK_FRAMES) * 300).astype(np.int16)) - 8
    assert (near.stats().echo, near.stats().duplex, far.gain) == ("no-speaker", "full", 1.0)


def test_settings_change_between_two_blocks() -> None:
    near, _ = near_end(SILENT)
    assert near.process(block(LOUD)).samples is LOUD
    near.change(ALL)
    near.process(block(LOUD, 1.01))
    assert near.stats().echo == "cancelled"
    assert near.stats().gain_db is not None
    near.change(NearEndSettings(noise_suppression=3))
    near.process(block(LOUD, 1.02))
    assert (near.stats().echo, near.stats().gain_db) == ("off", None)
    near.change(SILENT)
    assert near.process(block(LOUD, 1.03)).samples is LOUD


def test_a_gap_and_another_device_begin_anew() -> None:
    near, far = near_end(CANCELS)
    card = Card()
    for number in range(10):
        near.process(block(at_s=1 + number * 0.01))
    assert near.stats().resets == 1
    near.process(block(at_s=1.5))
    assert near.stats().resets == 2
    near.restart(None)
    near.process(block(at_s=1.51))
    far.restart(card)
    near.process(block(at_s=1.52))
    near.process(block(at_s=1.53))
    assert near.stats().resets == 4
    card.xruns += 1
    near.process(block(at_s=1.54))
    near.process(block(at_s=1.55))
    assert near.stats().resets == 5


def test_a_microphone_that_counts_its_xruns_begins_anew() -> None:
    near, _ = near_end(CANCELS)
    microphone = Card()
    near.restart(microphone)
    near.process(block(at_s=1.0))
    microphone.xruns += 1
    near.process(block(at_s=1.01))
    near.process(block(at_s=1.02))
    assert near.stats().resets == 2


steps = st.one_of(
    st.builds(NearEndSettings, st.sampled_from(["full", "half", "push-to-talk"]), st.booleans(), st.integers(0, 3)),
    st.sampled_from(["hear", "play", "mute", "unmute", "speaker", "no speaker", "microphone", "xrun", "switched off"]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(steps, max_size=60))
def test_whatever_happens_a_block_in_is_a_block_out(happens: list[NearEndSettings | str]) -> None:
    near, far = near_end(ALL)
    card, heard, now_s = Card(), LOUD, 1.0
    for step in happens:
        match step:
            case NearEndSettings():
                near.change(step)
            case "play":
                assert far.play(LOUD).shape == (BLOCK_FRAMES,)
            case "mute" | "unmute":
                near.is_open = step == "unmute"
            case "speaker" | "no speaker":
                far.restart(card if step == "speaker" else None)
            case "microphone":
                near.restart(None)
            case "xrun":
                card.xruns += 1
            case "switched off":
                heard = np.zeros_like(LOUD)
        now_s += 0.01
        out = near.process(block(heard, now_s))
        assert out.samples.shape == (BLOCK_FRAMES,)
        assert out.samples.dtype == np.int16
        assert now_s - 0.02 < out.captured_s <= now_s
        assert 0.0 <= far.gain <= 1.0


@pytest.mark.parametrize(("wanted", "got"), [("full", "half"), ("half", "half"), ("push-to-talk", "push-to-talk")])
def test_without_the_library_one_end_talks_at_a_time(
    wanted: Duplex, got: Duplex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    near, far = near_end(NearEndSettings(wanted, echo_cancellation=True, noise_suppression=1, gain_control=True))
    near.is_open = False
    for number in range(20):
        far.play(LOUD)
        out = near.process(block(LOUD, 1 + number * 0.01))
    stats = near.stats()
    assert (stats.duplex, stats.echo) == (got, "failed")
    assert "pip install pywebrtc-audio" in stats.error
    assert dbov(out.samples) < dbov(LOUD) - 30 if got == "half" else out.samples is LOUD


def test_a_library_that_fails_in_the_call_ends_in_half_duplex(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def process(self, near: Samples, far: Samples) -> Samples:
            raise RuntimeError("no")

        def reset(self) -> None: ...

    monkeypatch.setattr(webrtc_audio, "echo_canceller", Broken)
    near, _ = near_end(CANCELS)
    assert near.process(block(LOUD)).samples.shape == (BLOCK_FRAMES,)
    assert (near.stats().duplex, near.stats().error) == ("half", "RuntimeError: no")


def test_the_speaker_is_silent_while_push_to_talk_is_held() -> None:
    near, far = near_end(NearEndSettings("push-to-talk"))
    levels = []
    for number in range(9):
        near.is_open = 3 <= number < 6
        near.process(block(LOUD, 1 + number * 0.01))
        levels.append(dbov(far.play(LOUD)))
    assert levels[0] > -20
    assert levels[4] == levels[5] == -127
    assert levels[7] > -20


def test_half_duplex_by_choice_shuts_the_microphone_while_the_far_end_talks() -> None:
    half = NearEndSettings("half", echo_cancellation=True, noise_suppression=1)
    heard = scene(seconds("far1", 5), seconds("near1", 5, from_s=3), Room(delay_ms=80), settings=half)
    assert heard.erle_db(1, 3) > 40
    assert heard.gain[50:250].min() == 1.0
    assert heard.gain[300:].min() < 0.02, "who is in the room may break in"
