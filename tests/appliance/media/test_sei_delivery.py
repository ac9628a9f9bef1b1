"""SEI messages with their pictures, and once."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.sei import SeiError, SeiPayload
from appliance.media.sei_delivery import (
    HOLD_S,
    MAX_WAITING,
    SAME_S,
    SeiAtPictures,
    SeiOnce,
    encode_timed,
    parse_timed,
)

A, B = SeiPayload(243, b"a"), SeiPayload(243, b"b")


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 255), st.binary(min_size=1, max_size=1100))
def test_a_timed_message_reads_back(timestamp: int, payload_type: int, data: bytes) -> None:
    payload = SeiPayload(payload_type, data)
    assert parse_timed(encode_timed(timestamp, payload)) == (timestamp, payload)


@given(st.one_of(st.binary(max_size=3000), st.text(max_size=20)))
def test_what_a_stranger_sends_on_the_channel_is_refused_or_bounded(message: object) -> None:
    with contextlib.suppress(SeiError):
        timestamp, payload = parse_timed(message)
        assert 0 <= timestamp < 1 << 32
        assert 0 < len(payload.data) <= 2048


@pytest.mark.parametrize("message", ["text", b"", b"12345", bytes(2049)])
def test_no_message(message: object) -> None:
    with pytest.raises(SeiError):
        parse_timed(message)


@pytest.mark.parametrize("start", [0, (1 << 32) - 2000])
def test_a_message_comes_with_its_picture_or_after_it(start: int) -> None:
    def at(offset: int) -> int:
        return (start + offset) & 0xFFFFFFFF

    held = SeiAtPictures()
    assert held.add(at(3000), A, 1.0) == []
    assert held.picture(at(0)) == []
    assert held.picture(at(3000)) == [A]
    assert held.add(at(3000), B, 1.1) == [B]  # the picture was faster
    assert held.due_s is None


def test_a_message_whose_picture_is_lost_comes_with_the_next_or_after_a_while() -> None:
    held = SeiAtPictures()
    held.add(3000, A, 1.0)
    assert held.picture(6000) == [A]
    held.add(9000, B, 2.0)
    assert held.due_s == 2.0 + HOLD_S
    assert held.tick(2.0 + HOLD_S - 0.01) == []
    assert held.tick(2.0 + HOLD_S) == [B]


@given(st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.booleans()), max_size=300))
def test_nothing_is_lost_or_made_up_and_little_is_held(steps: list[tuple[int, bool]]) -> None:
    held, out, sent = SeiAtPictures(), 0, 0
    for number, (timestamp, is_picture) in enumerate(steps):
        if is_picture:
            out += len(held.picture(timestamp))
        else:
            out += len(held.add(timestamp, A, float(number)))
            sent += 1
        assert sent - out <= MAX_WAITING
    assert out + len(held.tick(float("inf"))) == sent


def test_two_legs_bring_a_message_once_and_one_leg_twice_is_two_messages() -> None:
    once = SeiOnce()
    assert once.is_new("old", A, 0.0)
    assert not once.is_new("new", A, 0.1)
    assert once.is_new("new", A, 0.2)
    assert not once.is_new("old", A, 0.3)
    assert once.is_new("old", B, 0.4)
    assert not once.is_new("new", B, 0.4)
    assert once.is_new("new", A, 0.5)
    assert once.is_new("third", A, 0.6 + SAME_S)
