"""The reference of the echo canceller: in step with what is played, whatever threads do; and the speaker's gain."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.far_end import MOST_BLOCKS, FarEnd
from hw import BLOCK_FRAMES, Samples
from hw.mock import MockSpeaker
from tests.appliance.media.echo_scene import Card


def numbered(number: int) -> Samples:
    return np.full(BLOCK_FRAMES, number, np.int16)


def playing() -> FarEnd:
    far_end = FarEnd()
    far_end.restart(MockSpeaker())
    return far_end


def test_each_block_is_the_reference_in_the_turn_after_it_was_played() -> None:
    far_end = playing()
    taken = []
    for number in range(1, 6):
        taken.append(int(far_end.take()[0]))
        far_end.play(numbered(number))
    assert taken == [0, 1, 2, 3, 4]
    assert far_end.jumps == 1


@given(st.lists(st.booleans(), max_size=200))
def test_the_reference_is_never_older_than_what_may_wait_and_never_repeats(plays: list[bool]) -> None:
    far_end, played, last = playing(), 0, 0
    for is_play in plays:
        if is_play:
            played += 1
            far_end.play(numbered(played))
            continue
        got = int(far_end.take()[0])
        assert got == 0 or last < got <= played
        if got:
            assert played - got < MOST_BLOCKS
            last = got


def test_without_a_speaker_there_is_no_reference() -> None:
    far_end = playing()
    far_end.play(numbered(7))
    far_end.restart(None)
    far_end.play(numbered(8))
    assert not far_end.is_heard
    assert far_end.take()[0] == 0


def test_an_xrun_of_the_speaker_is_a_jump() -> None:
    far_end, card = FarEnd(), Card()
    card.xruns = 3  # of the time before it was opened
    far_end.restart(card)
    far_end.take()
    jumps = far_end.jumps
    far_end.take()
    assert far_end.jumps == jumps
    card.xruns += 1
    for number in range(1, 4):
        far_end.play(numbered(number))
    assert far_end.take()[0] == 3, "what waits is older than what is heard"
    assert far_end.jumps == jumps + 1


def test_the_gain_is_reached_without_a_step_and_the_reference_has_it() -> None:
    far_end = playing()
    far_end.gain = 0.5
    first, second = far_end.play(numbered(1000)), far_end.play(numbered(1000))
    assert (first[0], first[-1], second[0], second[-1]) == (1000, 500, 500, 500)
    assert np.abs(np.diff(first)).max() <= 2
    assert far_end.take() is first


def test_nobody_takes_and_the_speaker_is_as_loud_as_ever() -> None:
    far_end = playing()
    far_end.gain = 0.0
    for _ in range(10):
        played = far_end.play(numbered(1000))
    assert played[-1] == 1000
