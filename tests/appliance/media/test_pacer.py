"""The pacer on a virtual clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.media.pacer import BURST_S, MAX_DELAY_S, MAX_QUEUE_BYTES, PACE, PACKET_OVERHEAD_BYTES, TICK_S, Pacer

TARGET_BPS = 1_500_000
PACKET = 1100
SLACK_S = 1e-6  # of floating point


def sizes(packets: int) -> list[int]:
    return [PACKET] * packets


def drain(pacer: Pacer[int], now_s: float, target_bps: float = TARGET_BPS) -> list[tuple[float, int, int, int]]:
    """(when, frame, start, stop) of all chunks, with `take` at exactly the times it asks for."""
    out = []
    while True:
        out += [(now_s, chunk.frame, chunk.start, chunk.stop) for chunk in pacer.take(now_s, target_bps)]
        next_s = pacer.next_s(now_s)
        if next_s is None:
            return out
        assert next_s >= now_s + TICK_S
        now_s = next_s


def test_a_frame_of_usual_size_is_admitted_at_once_every_time() -> None:
    pacer: Pacer[int] = Pacer()
    for number in range(100):
        assert pacer.admit(6, 6 * PACKET, 10 + number / 30, TARGET_BPS)


def test_a_key_frame_is_spread_at_the_pace() -> None:
    pacer: Pacer[int] = Pacer()
    assert not pacer.admit(40, 40 * PACKET, 10.0, TARGET_BPS)
    assert pacer.put(1, sizes(40), 10.0)
    out = drain(pacer, 10.0)
    at_once = out[0][3]
    assert 9 <= at_once <= 14
    took_s = out[-1][0] - 10.0
    expected_s = 40 * (PACKET + PACKET_OVERHEAD_BYTES) * 8 / (PACE * TARGET_BPS) - BURST_S
    assert abs(took_s - expected_s) < 2 * TICK_S
    assert max(stop - start for _, _, start, stop in out[1:]) <= 4


def test_frames_after_a_key_frame_wait_for_it() -> None:
    pacer: Pacer[int] = Pacer()
    pacer.put(1, sizes(40), 10.0)
    pacer.take(10.0, TARGET_BPS)
    assert not pacer.admit(1, PACKET, 10.001, TARGET_BPS)
    pacer.put(2, sizes(1), 10.001)
    assert [frame for _, frame, _, _ in drain(pacer, 10.001)][-1] == 2


def test_what_is_put_while_it_holds_waits_and_leaves_at_the_pace_then() -> None:
    pacer: Pacer[int] = Pacer()
    pacer.hold(10.3)
    assert not pacer.admit(1, PACKET, 10.0, TARGET_BPS)
    pacer.put(1, sizes(40), 10.0)
    pacer.charge(PACKET, 10.1, TARGET_BPS)
    assert pacer.take(10.2, TARGET_BPS) == []
    out = drain(pacer, 10.2)
    assert 10.3 <= out[0][0] < 10.3 + 2 * TICK_S
    assert 10.38 < out[-1][0] <= 10.3 + MAX_DELAY_S + TICK_S
    assert pacer.admit(1, PACKET, 11.0, TARGET_BPS)


def test_a_frame_beyond_the_bound_is_refused_and_one_alone_is_not() -> None:
    pacer: Pacer[int] = Pacer()
    assert pacer.put(1, sizes(1000), 10.0)
    assert not pacer.put(2, sizes(1), 10.0)
    assert pacer.queued_bytes > MAX_QUEUE_BYTES
    assert pacer.flush() == 1
    assert pacer.put(3, sizes(1), 10.0)
    assert [chunk.frame for chunk in pacer.take(10.0, TARGET_BPS)] == [3]


def test_what_was_flushed_never_comes() -> None:
    pacer: Pacer[int] = Pacer()
    pacer.put(1, sizes(60), 10.0)
    pacer.take(10.0, TARGET_BPS)
    pacer.flush()
    assert (pacer.take(11.0, TARGET_BPS), pacer.next_s(11.0), pacer.queued_bytes) == ([], None, 0)


def test_retransmissions_are_paid_for_but_never_for_long() -> None:
    pacer: Pacer[int] = Pacer()
    pacer.charge(100_000, 10.0, TARGET_BPS)
    assert not pacer.admit(6, 6 * PACKET, 10.0, TARGET_BPS)
    assert pacer.admit(6, 6 * PACKET, 10.0 + MAX_DELAY_S, TARGET_BPS)


@given(
    frames=st.lists(
        st.tuples(st.floats(0, 0.1), st.lists(st.integers(1, 1200), min_size=1, max_size=60)), min_size=1, max_size=25
    ),
    target_bps=st.integers(50_000, 5_000_000),
)
def test_order_is_kept_nothing_is_lost_and_the_wait_is_bounded(
    frames: list[tuple[float, list[int]]], target_bps: int
) -> None:
    pacer: Pacer[int] = Pacer()
    now_s, due_s = 5.0, None
    put_s: list[float] = []
    sent: list[tuple[int, int]] = []

    def take(at_s: float) -> None:
        for chunk in pacer.take(at_s, target_bps):
            for index in range(chunk.start, chunk.stop):
                sent.append((chunk.frame, index))
                assert at_s - put_s[chunk.frame] <= MAX_DELAY_S + TICK_S + SLACK_S

    for number, (pause_s, packets) in enumerate(frames):
        now_s += pause_s
        while due_s is not None and due_s <= now_s:
            take(due_s)
            due_s = pacer.next_s(due_s)
        put_s.append(now_s)
        if pacer.admit(len(packets), sum(packets), now_s, target_bps):
            sent += [(number, index) for index in range(len(packets))]
            continue
        assert pacer.put(number, packets, now_s)
        if due_s is None:
            take(now_s)
            due_s = pacer.next_s(now_s)
    while due_s is not None:
        take(due_s)
        due_s = pacer.next_s(due_s)
    assert sent == [(number, index) for number, (_, packets) in enumerate(frames) for index in range(len(packets))]
    assert pacer.queued_bytes == 0
