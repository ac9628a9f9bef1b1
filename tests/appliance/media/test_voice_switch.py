"""Half duplex: who has the floor, and that two such units never howl."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.voice_switch import LOSS_DB, STEP_DB, Floor, VoiceSwitch

TALK, QUIET = -25.0, -65.0
NOTHING = -127.0


def feed(switch: VoiceSwitch, heard_dbov: float, far_dbov: float, seconds: float) -> Floor:
    for _ in range(round(seconds * 100)):
        switch.feed(heard_dbov, far_dbov)
    return switch.floor


def test_who_talks_has_the_floor_and_silence_gives_it_back() -> None:
    switch = VoiceSwitch()
    assert feed(switch, QUIET, NOTHING, 2.0) == "idle"
    assert feed(switch, TALK, NOTHING, 0.05) == "near"
    assert (switch.near_db, switch.far_db) == (0.0, -LOSS_DB)
    assert feed(switch, QUIET, NOTHING, 0.3) == "near", "a pause between words"
    assert feed(switch, QUIET, NOTHING, 0.2) == "idle"
    assert feed(switch, QUIET, TALK, 0.05) == "far"
    assert (switch.near_db, switch.far_db) == (-LOSS_DB, 0.0)


def test_near_keeps_the_floor_against_the_far_end() -> None:
    switch = VoiceSwitch()
    feed(switch, QUIET, NOTHING, 1.0)
    feed(switch, TALK, NOTHING, 1.0)
    assert feed(switch, TALK, TALK, 2.0) == "near"
    assert feed(switch, QUIET, TALK, 0.6) == "far"


@pytest.mark.parametrize("coupling_db", [-30.0, -10.0, 0.0, 8.0])
def test_the_own_echo_is_nobody_who_talks(coupling_db: float) -> None:
    switch = VoiceSwitch()
    feed(switch, QUIET, NOTHING, 1.0)
    assert feed(switch, TALK + coupling_db, TALK, 5.0) == "far"
    for block in range(60):  # the room dies away
        assert feed(switch, max(QUIET, TALK + coupling_db - 1.7 * block), NOTHING, 0.01) != "near"
    assert switch.floor == "idle"


def test_who_is_in_the_room_breaks_in() -> None:
    switch = VoiceSwitch()
    feed(switch, QUIET, NOTHING, 1.0)
    feed(switch, TALK - 20, TALK, 5.0)
    assert feed(switch, TALK, TALK, 0.05) == "far", "a knock"
    feed(switch, TALK - 20, TALK, 0.5)
    assert feed(switch, TALK, TALK, 0.12) == "near"


@given(st.lists(st.tuples(st.floats(-127, 0), st.floats(-127, 0)), max_size=300))
def test_both_ways_together_always_lose_as_much(levels: list[tuple[float, float]]) -> None:
    switch = VoiceSwitch()
    ways = [switch.near_db]
    for heard_dbov, far_dbov in levels:
        switch.feed(heard_dbov, far_dbov)
        assert switch.near_db + switch.far_db == pytest.approx(-LOSS_DB)
        assert -LOSS_DB <= switch.near_db <= 0.0
        ways.append(switch.near_db)
    assert all(abs(after - before) <= STEP_DB + 1e-9 for before, after in itertools.pairwise(ways))


@pytest.mark.parametrize(("is_switched", "howls"), [(True, False), (False, True)])
def test_two_loud_speakerphones_do_not_howl(is_switched: bool, howls: bool) -> None:
    """Each gives back 6 dB more than it plays; 80 ms lie between them. Without the switch it does howl."""
    switches = VoiceSwitch(), VoiceSwitch()
    lines = [[QUIET] * 8, [QUIET] * 8]  # what is on its way to each of them
    lines[0][0] = TALK  # a word
    loudest = []
    for _ in range(1000):
        arriving = lines[0].pop(0), lines[1].pop(0)
        for side, switch in enumerate(switches):
            far_db, near_db = (switch.far_db, switch.near_db) if is_switched else (0.0, 0.0)
            heard_dbov = min(0.0, max(QUIET, arriving[side] + far_db + 6.0))
            switch.feed(heard_dbov, arriving[side])
            lines[1 - side].append(max(QUIET, heard_dbov + near_db))
        loudest.append(max(arriving))
    assert (max(loudest[-100:]) > -10) == howls
