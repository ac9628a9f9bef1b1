"""Transport-wide feedback: what is built can be read, what is broken is refused, and nothing is told twice."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.feedback import PacketFate
from appliance.media.transport_cc import HISTORY, ArrivalLog, SentPackets, Statuses, build, parse

STEPS = st.none() | st.integers(0, 255) | st.integers(-(1 << 15), (1 << 15) - 1)
MS = 0.001


@given(
    base=st.integers(0, 0xFFFF),
    reference=st.integers(0, 0xFFFFFF),
    steps=st.lists(STEPS | st.just(None) | st.just(4), min_size=1, max_size=300),
    number=st.integers(0, 255),
)
def test_what_is_built_can_be_read(base: int, reference: int, steps: list[int | None], number: int) -> None:
    ticks: list[int | None] = []
    now = 0
    for step in steps:
        now += step or 0
        ticks.append(None if step is None else now)
    statuses = Statuses(base, reference, tuple(ticks))
    fci = build(statuses, number)
    assert len(fci) % 4 == 0
    assert fci[7] == number
    assert parse(fci) == statuses


def test_runs_are_short() -> None:
    assert len(build(Statuses(1, 2, (None,) * 300), 0)) == 12
    assert len(build(Statuses(1, 2, (*range(0, 70, 10),)), 0)) == 20


def test_every_kind_of_chunk_is_read() -> None:
    head = bytes.fromhex("0005 0018 000002 07")
    run, one_bits, two_bits = 0x2002, 0x8000 | 0b10000000000001, 0xC000 | 0b01_00_10_01_00_00_01  # small, -, large, ...
    chunks = b"".join(chunk.to_bytes(2, "big") for chunk in (run, one_bits, two_bits, 0x0001))
    deltas = bytes.fromhex("04 08  01 02  0c ff00 10 20")
    first = (4, 12, 13, *[None] * 12, 15)
    assert parse(head + chunks + deltas) == Statuses(5, 2, (*first, 27, None, -229, -213, None, None, -181, None))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(fci: bytes) -> None:
    sent = SentPackets()
    for number in range(40):
        sent.sent(100, number * MS)
    report = sent.told(fci, 1.0)
    if report is not None:
        assert all(fate.size_bytes == 100 for fate in report.packets)
    try:
        statuses = parse(fci)
    except ValueError:
        assert sent.refused == 1
    else:
        assert 0 < len(statuses.ticks) <= HISTORY
        assert sent.refused == 0


@pytest.mark.parametrize(
    ("fci", "why"),
    [
        (b"", "header"),
        (bytes.fromhex("0000000000000000"), "about 0 packets"),
        (bytes.fromhex("0000ffff00000000"), "about 65535 packets"),
        (bytes.fromhex("0000000900000000"), "status chunks"),
        (bytes.fromhex("000000020000000020020000")[:11], "arrival times"),
        (bytes.fromhex("00000002000000006002"), "reserved"),
        (bytes.fromhex("0000000200000000f000"), "reserved"),
    ],
)
def test_what_is_wrong_is_said(fci: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(fci)


def send(sent: SentPackets, count: int, at_s: float = 0.0) -> list[int]:
    return [sent.sent(100 + index, at_s + index * MS) for index in range(count)]


def test_fates_have_the_time_of_sending_of_arrival_and_the_size() -> None:
    sent, log = SentPackets(), ArrivalLog()
    numbers = send(sent, 4)
    for number in (numbers[0], numbers[1], numbers[3]):
        log.arrived(number, 50.0 + number * 2 * MS)
    (fci,) = log.feedback(50.1)
    report = sent.told(fci, 0.2)
    assert report is not None
    assert report.at_s == 0.2
    assert [(fate.sent_s, fate.size_bytes) for fate in report.packets] == [
        (index * MS, 100 + index) for index in range(4)
    ]
    assert report.packets[2].arrived_s is None
    arrived = [fate.arrived_s for fate in report.packets if fate.arrived_s is not None]
    assert arrived == pytest.approx([50.0, 50.002, 50.006], abs=MS / 4)
    assert log.feedback(50.2) == []
    assert sent.told(fci, 0.3) is None


def test_what_was_lost_and_came_late_is_told_again() -> None:
    sent, log = SentPackets(), ArrivalLog()
    first, late, last = send(sent, 3)
    log.arrived(first, 10.0)
    log.arrived(last, 10.01)
    assert [fate.arrived_s is None for fate in told(sent, log)] == [False, True, False]
    log.arrived(late, 10.1)
    assert [fate.arrived_s for fate in told(sent, log)] == [pytest.approx(10.1, abs=MS)]


def told(sent: SentPackets, log: ArrivalLog) -> list[PacketFate]:
    fates: list[PacketFate] = []
    for fci in log.feedback(10.2):
        report = sent.told(fci, 1.0)
        fates += report.packets if report is not None else ()
    return fates


def test_losses_between_two_feedbacks_are_told_by_the_second() -> None:
    sent, log = SentPackets(), ArrivalLog()
    numbers = send(sent, 6)
    log.arrived(numbers[0], 10.0)
    assert len(told(sent, log)) == 1
    log.arrived(numbers[5], 10.1)
    assert [fate.arrived_s is None for fate in told(sent, log)] == [True] * 4 + [False]


def test_numbers_wrap_and_the_receivers_clock_goes_on() -> None:
    sent, log = SentPackets(), ArrivalLog()
    at_s = (1 << 24) * 0.064 - 100  # its reference time wraps too
    newest_s = 0.0
    for turn in range(200):
        for number in send(sent, 700, turn * 1.0):
            log.arrived(number, at_s + turn)
        fates = told_at(sent, log, at_s + turn)
        assert len(fates) == 700
        arrived_s = [fate.arrived_s or 0.0 for fate in fates]
        assert newest_s == 0.0 or abs(min(arrived_s) - newest_s - 1) < 0.01
        newest_s = max(arrived_s)


def told_at(sent: SentPackets, log: ArrivalLog, at_s: float) -> list[PacketFate]:
    reports = [sent.told(fci, 1.0) for fci in log.feedback(at_s)]
    return [fate for report in reports if report is not None for fate in report.packets]


@given(st.integers(0, 1 << 32), st.floats(0, 0.5), st.integers(1, 400), st.floats(0, 20))
def test_every_packet_has_one_fate_and_the_right_one(seed: int, loss: float, count: int, pause_s: float) -> None:
    """Loss, reordering and pauses; a last packet that arrives makes all before it known."""
    rng = random.Random(seed)
    sent, log = SentPackets(), ArrivalLog()
    numbers = send(sent, count)
    arriving = [number for number in numbers[1:-1] if rng.random() >= loss]
    for _ in range(count // 10):
        at = rng.randrange(count)
        if at + 1 < len(arriving):
            arriving[at], arriving[at + 1] = arriving[at + 1], arriving[at]
    now_s = 7.0
    fates: list[PacketFate] = []
    for number in [numbers[0], *arriving, numbers[-1]]:
        now_s += pause_s if rng.random() < 0.02 else rng.random() * 0.02
        log.arrived(number, now_s)
        if rng.random() < 0.1:
            fates += told_at(sent, log, now_s)
    fates += told_at(sent, log, now_s)
    came = {fate.size_bytes - 100 for fate in fates if fate.arrived_s is not None}
    assert came == {numbers[0], *arriving, numbers[-1]}
    assert len([fate for fate in fates if fate.arrived_s is not None]) == len(came)
    lost = [fate.size_bytes - 100 for fate in fates if fate.arrived_s is None]
    assert len(lost) == len(set(lost))
    assert set(lost) | came == set(numbers)


def test_numbers_far_apart_make_no_flood() -> None:
    log = ArrivalLog()
    log.arrived(0, 1.0)
    log.arrived(0x7FFF, 1.0)
    assert len(log.feedback(1.0)) <= 1 + HISTORY // 2 // 400
