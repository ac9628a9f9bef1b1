"""The detector of double talk, the floor of a room and the canceller's estimate of itself, on levels alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.double_talk import DUCKED_DB, DoubleTalk
from appliance.media.erle import ErleMeter
from appliance.media.noise_floor import HIGHEST_DBOV, LOWEST_DBOV, NoiseFloor

FAR, ECHO, REMNANT, NEAR, NOISE, NOTHING = -25.0, -25.0, -60.0, -32.0, -66.0, -127.0


def feed(talk: DoubleTalk, far: float, heard: float, left: float, voice: float, seconds: float) -> None:
    for _ in range(round(seconds * 100)):
        talk.feed(far, heard, left, voice)


def test_both_talk_and_the_speaker_is_ducked_until_one_stops() -> None:
    talk = DoubleTalk()
    feed(talk, FAR, ECHO, REMNANT, 0.1, 2.0)
    assert not talk.is_double
    assert talk.far_active
    feed(talk, FAR, -22.0, NEAR, 0.9, 0.2)
    assert talk.is_double
    assert talk.gain_db == DUCKED_DB
    feed(talk, FAR, ECHO, REMNANT, 0.1, 0.3)
    assert talk.is_double, "a pause between words"
    feed(talk, FAR, ECHO, REMNANT, 0.1, 0.2)
    assert not talk.is_double
    assert DUCKED_DB < talk.gain_db < 0.0, "back without a step"
    feed(talk, FAR, ECHO, REMNANT, 0.1, 0.3)
    assert talk.gain_db == 0.0


def test_near_talk_alone_ducks_nothing() -> None:
    talk = DoubleTalk()
    feed(talk, NOTHING, NOISE, NOISE, 0.0, 1.0)
    feed(talk, NOTHING, NEAR, NEAR, 1.0, 2.0)
    assert (talk.is_double, talk.far_active, talk.gain_db) == (False, False, 0.0)


@pytest.mark.parametrize(
    ("left", "voice"), [(NEAR, 0.2), (ECHO - 25, 0.9), (NOISE + 6, 0.9)], ids=["a door", "a remnant", "too quiet"]
)
def test_what_is_no_near_talk(left: float, voice: float) -> None:
    talk = DoubleTalk()
    feed(talk, NOTHING, NOISE, NOISE, 0.0, 1.0)
    feed(talk, FAR, ECHO, left, voice, 2.0)
    assert not talk.is_double


@given(st.lists(st.floats(-127, 0), max_size=300))
def test_the_floor_is_within_its_bounds_and_rises_slowly(levels: list[float]) -> None:
    floor = NoiseFloor()
    for level in levels:
        before = floor.dbov
        after = floor.feed(level)
        assert LOWEST_DBOV <= after <= HIGHEST_DBOV
        assert after - before <= 0.021


def test_the_floor_finds_the_pauses() -> None:
    floor = NoiseFloor()
    for number in range(1000):
        floor.feed(-50.0 if number % 100 < 20 else -20.0)
    assert floor.dbov == pytest.approx(-50, abs=2.5)


def test_erle_says_nothing_before_there_was_enough_echo_and_forgets() -> None:
    meter = ErleMeter()
    for _ in range(99):
        meter.feed(0.1, 0.00001)
    assert meter.erle_db is None
    meter.feed(0.1, 0.00001)
    assert meter.erle_db == pytest.approx(40.0, abs=0.1)
    for _ in range(2000):
        meter.feed(0.1, 0.001)
    assert meter.erle_db == pytest.approx(20.0, abs=0.5), "it forgets"
