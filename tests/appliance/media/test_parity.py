"""Any one of the packets that a parity is for comes back as it was, and nothing comes that was never sent."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.parity import (
    KEPT,
    MAX_COUNT,
    MAX_GROUP,
    MIN_GROUP,
    WAITING,
    ParityError,
    Protection,
    Recovered,
    Recovery,
    groups,
    parity,
)

PAYLOADS = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=12)


@given(PAYLOADS, st.integers(0, 0xFFFF), st.booleans(), st.randoms(use_true_random=False))
def test_the_one_that_is_lost_comes_back_whatever_comes_first(
    payloads: list[bytes], first: int, ends: bool, random: Random
) -> None:
    lost = random.randrange(len(payloads))
    numbers = [(first + at) & 0xFFFF for at in range(len(payloads))]
    arriving: list[int | None] = [at for at in range(len(payloads)) if at != lost] + [None]
    random.shuffle(arriving)
    recovery, recovered = Recovery(), []
    for at in arriving:
        if at is None:
            recovered += recovery.parity(77, parity(first, payloads, ends=ends))
        else:
            recovered += recovery.packet(numbers[at], payloads[at])
    is_last = ends and lost == len(payloads) - 1
    assert recovered == [Recovered(numbers[lost], 77, is_last, payloads[lost])]


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=2, max_size=12), st.data())
def test_of_two_that_are_lost_the_second_comes_back_with_the_first(payloads: list[bytes], data: st.DataObject) -> None:
    one, other = data.draw(
        st.lists(st.integers(0, len(payloads) - 1), min_size=2, max_size=2, unique=True), label="lost"
    )
    recovery = Recovery()
    for at, payload in enumerate(payloads):
        if at not in (one, other):
            assert recovery.packet(at, payload) == []
    assert recovery.parity(0, parity(0, payloads, ends=True)) == []
    assert [packet.payload for packet in recovery.packet(one, payloads[one])] == [payloads[other]]
    assert recovery.packet(other, payloads[other]) == []


@given(
    st.lists(
        st.tuples(st.just("packet"), st.integers(0, 9), st.binary(max_size=9))
        | st.tuples(st.just("parity"), st.just(0), st.binary(max_size=14)),
        max_size=60,
    )
)
def test_whatever_comes_is_taken_or_refused(arriving: list[tuple[str, int, bytes]]) -> None:
    recovery = Recovery()
    for kind, number, data in arriving:
        try:
            recovered = recovery.packet(number, data) if kind == "packet" else recovery.parity(0, data)
        except ParityError:
            continue
        assert all(0 < len(packet.payload) <= 9 for packet in recovered)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes are no parity"),
        (b"\0\0\1\0", "4 bytes are no parity"),
        (b"\0\0\x80\0\1a", "a parity of nothing"),
        (b"\0\0\1\0\2a", "a lost packet of 2 bytes in a parity of 1"),
        (b"\0\0\1\0\0a", "a lost packet of 0 bytes in a parity of 1"),
        (b"\0\0\1\0\1ab", "a lost packet of 1 bytes in a parity of 2"),
    ],
)
def test_what_is_no_parity_is_refused_by_name(data: bytes, words: str) -> None:
    with pytest.raises(ParityError, match=words):
        Recovery().parity(0, data)


def test_a_packet_that_is_longer_than_its_parity_is_not_taken_for_what_was_protected() -> None:
    recovery = Recovery()
    recovery.packet(0, bytes(range(1, 30)))
    with pytest.raises(ParityError, match="longer than the parity"):
        recovery.parity(0, parity(0, [b"a", b"b"], ends=True))


def test_what_is_kept_is_bounded() -> None:
    recovery = Recovery()
    for number in range(10 * KEPT):
        recovery.packet(number, b"x")
        recovery.parity(0, parity(number + 1000, [b"a", b"b"], ends=True))
    assert (len(recovery._packets), len(recovery._waiting)) == (KEPT, WAITING)
    assert recovery.parity(0, parity(10 * KEPT - 1, [b"x", b"lost"], ends=True))[0].payload == b"lost"


@given(st.integers(1, 400), st.integers(1, 60))
def test_groups_cover_a_picture_once_and_are_equally_large(packets: int, size: int) -> None:
    made = groups(packets, size)
    assert [start for start, _ in made] == [0, *(end for _, end in made[:-1])]
    assert made[-1][1] == packets
    lengths = {end - start for start, end in made}
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) <= min(MAX_COUNT, max(1, 2 * size))


def test_the_more_is_lost_the_more_is_protected_and_nothing_without_loss() -> None:
    protection = Protection()
    assert (protection.group, protection.media_share) == (0, 1.0)
    for _ in range(20):
        protection.report(0.004)
    assert protection.group == 0
    for _ in range(20):
        protection.report(0.02)
    assert protection.group == MAX_GROUP
    assert protection.media_share == pytest.approx(MAX_GROUP / (MAX_GROUP + 1))
    for _ in range(20):
        protection.report(0.2)
    assert protection.group == MIN_GROUP
    reports = 0
    while protection.group:
        protection.report(0.0)
        reports += 1
    assert 10 < reports < 60  # a lossy link has quiet seconds, too
