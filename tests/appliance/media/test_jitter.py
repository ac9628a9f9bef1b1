from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.media.jitter import (
    CLOCK_HZ,
    MAX_DELAY_S,
    MAX_TARGET_S,
    MIN_TARGET_S,
    JitterBuffer,
    Lost,
    Packet,
)

PULL_S = 0.010
FRAMES = 960
PACKET_S = FRAMES / CLOCK_HZ
HELD_AT_MOST = 160


class Listener:
    """Pulls 10 ms each 10 ms, as the playback thread does, and notes what it gets."""

    def __init__(self) -> None:
        self.buffer = JitterBuffer()
        self.played: list[Packet] = []
        self.lost: list[Lost] = []
        self.waits_s: list[float] = []  # when there was nothing, after the first packet
        self.stays_s: list[float] = []  # from a packet's arrival to its playing
        self._pending = 0

    def pull(self, now_s: float) -> None:
        while self._pending < PULL_S * CLOCK_HZ:
            play_s = now_s + self._pending / CLOCK_HZ
            match self.buffer.pop(play_s, self._pending / CLOCK_HZ):
                case Packet() as packet:
                    self.played.append(packet)
                    self.stays_s.append(play_s - packet.arrival_s)
                    self._pending += packet.frames
                case Lost() as lost:
                    self.lost.append(lost)
                    self._pending += lost.play_frames
                case None:
                    if self.played:
                        self.waits_s.append(now_s)
                    self._pending += -(-(480 - self._pending) // 120) * 120
        self._pending -= 480

    def listen(self, packets: Iterable[Packet], phase_s: float = 0.004, tail_s: float = 0.0) -> Listener:
        """Takes the packets as they arrive; pulls until the last one has come and for `tail_s` more."""
        queue = sorted(packets, key=lambda packet: packet.arrival_s)
        now_s, end_s = queue[0].arrival_s + phase_s, queue[-1].arrival_s + tail_s
        while queue or now_s <= end_s:
            while queue and queue[0].arrival_s <= now_s:
                self.buffer.push(queue.pop(0))
            self.pull(now_s)
            now_s += PULL_S
        return self

    @property
    def held(self) -> int:
        buffer = self.buffer
        return buffer.received - len(self.played) - buffer.late - buffer.duplicates - buffer.discarded


def stream(
    delays_s: Sequence[float | None], start_s: float = 100.0, first: int = 65_500, first_ts: int = 2**32 - 5_000
) -> list[Packet]:
    """One packet each 20 ms, delayed by so much; None: lost. Sequence numbers and timestamps wrap soon."""
    return [
        Packet(
            (first + index) % 2**16,
            (first_ts + index * FRAMES) % 2**32,
            FRAMES,
            index.to_bytes(4, "big"),
            start_s + index * PACKET_S + delay_s,
        )
        for index, delay_s in enumerate(delays_s)
        if delay_s is not None
    ]


def indexes(packets: Iterable[Packet]) -> list[int]:
    return [int.from_bytes(packet.payload, "big") for packet in packets]


def jittery(count: int, jitter_s: float, loss: float = 0.0, seed: int = 1) -> list[float | None]:
    rng = random.Random(seed)
    return [None if rng.random() < loss else rng.random() * jitter_s for _ in range(count)]


def test_clean_stream_plays_whole_in_order_and_within_20_ms() -> None:
    listener = Listener().listen(stream(jittery(500, 0.002)), tail_s=0.1)
    assert indexes(listener.played) == list(range(500))
    assert not listener.lost
    assert max(listener.stays_s) <= 0.021
    assert listener.buffer.target_s <= 0.013


def test_reordered_and_double_packets_are_put_right() -> None:
    packets = stream([0.03 if index % 7 == 3 else 0.0 for index in range(300)])
    doubled = [*packets, *(p for p in packets[50:300:10])]
    listener = Listener().listen(doubled, tail_s=0.2)
    learning = 60
    assert indexes(listener.played) == sorted(set(indexes(listener.played)))
    assert [index for index in indexes(listener.played) if index > learning] == list(range(learning + 1, 300))
    assert listener.buffer.duplicates + listener.buffer.late >= 25


def test_a_double_while_its_packet_waits_is_a_duplicate() -> None:
    buffer = JitterBuffer()
    packet = stream([0.0])[0]
    buffer.push(packet)
    buffer.push(packet)
    assert buffer.duplicates == 1
    assert buffer.pop(101.0) == packet
    assert buffer.pop(101.02) is None


def test_losses_are_named_with_the_next_payload_and_add_no_delay() -> None:
    for loss in (0.02, 0.05):
        delays_s = jittery(1000, 0.002, loss)
        packets = stream(delays_s)
        listener = Listener().listen(packets, tail_s=0.1)
        gone = [index for index, delay_s in enumerate(delays_s) if delay_s is None and index > 0]
        gone = [index for index in gone if index < indexes(packets)[-1]]
        assert listener.buffer.lost == len(gone)
        assert indexes(listener.played) == indexes(packets)
        assert listener.buffer.late == 0
        assert max(listener.stays_s[5:]) <= 0.03
        with_fec = [lost for lost in listener.lost if lost.fec is not None]
        assert len(with_fec) >= 0.8 * len([index for index in gone if index + 1 not in gone])
        for lost in with_fec:
            assert lost.fec is not None
            assert int.from_bytes(lost.fec, "big") - 1 in gone
            assert lost.frames == FRAMES


def test_target_grows_with_jitter_and_shrinks_again() -> None:
    quiet, rough = jittery(300, 0.002), jittery(400, 0.060, seed=2)
    listener = Listener()
    packets = stream([*quiet, *rough, *quiet])
    listener.listen(packets[:300])
    assert listener.buffer.target_s <= 0.013
    listener.listen(packets[300:700])
    assert 0.05 <= listener.buffer.target_s <= 0.085
    assert not [wait_s for wait_s in listener.waits_s if wait_s > packets[400].arrival_s]
    listener.listen(packets[700:])
    assert listener.buffer.target_s <= 0.020
    assert listener.buffer.excess_s(packets[-1].arrival_s + 0.02) >= 0.02  # for the caller to take out


def test_one_stall_does_not_raise_the_target_three_do() -> None:
    def stalled(starts: Sequence[int]) -> float:
        delays_s = [0.0] * 200
        for start in starts:
            for index in range(start, start + 10):
                delays_s[index] = (start + 10 - index) * PACKET_S
        listener = Listener().listen(stream(delays_s), tail_s=0.3)
        assert listener.buffer.lost == 0
        return listener.buffer.target_s

    assert stalled([100]) <= 0.020
    assert stalled([30, 80, 130]) >= 0.150


def test_late_by_a_long_stall_catches_up_to_the_bound() -> None:
    delays_s = [0.0] * 500
    for index in range(100, 150):
        delays_s[index] = (150 - index) * PACKET_S
    packets = stream(delays_s)
    listener = Listener().listen(packets)
    assert listener.buffer.discarded >= 30
    after = [stay_s for packet, stay_s in zip(listener.played, listener.stays_s, strict=True) if packet.arrival_s > 103]
    assert max(after) <= MAX_DELAY_S
    assert listener.held <= HELD_AT_MOST


def test_packets_that_nobody_plays_are_bounded() -> None:
    listener = Listener()
    for packet in stream([0.0] * 1000):
        listener.buffer.push(packet)
        assert listener.held <= HELD_AT_MOST
    assert listener.buffer.discarded == 1000 - HELD_AT_MOST


def test_a_pause_without_loss_starts_afresh_at_the_target() -> None:
    packets = stream([0.0] * 50)
    paused = [
        Packet(
            (p.sequence_number + 50) % 2**16,
            (p.timestamp + 98_000) % 2**32,
            FRAMES,
            b"",
            p.arrival_s + 98_000 / CLOCK_HZ,
        )
        for p in packets
    ]
    listener = Listener().listen([*packets, *paused], tail_s=0.1)
    assert len(listener.played) == 100
    assert not listener.lost
    assert listener.buffer.underruns == 0
    assert max(listener.stays_s[50:]) <= 0.021


def test_another_stream_takes_over_with_its_second_packet() -> None:
    old = stream([0.0] * 50)
    new = stream([0.0] * 50, start_s=old[-1].arrival_s + 0.02, first=7_000, first_ts=123)
    stray = Packet(30_000, 5, FRAMES, b"stray", old[20].arrival_s + 0.001)
    listener = Listener().listen([*old, stray, *new], tail_s=0.1)
    assert b"stray" not in [packet.payload for packet in listener.played]
    assert [p for p in listener.played if p in new] == new
    assert len([p for p in listener.played if p in old]) >= 48


def test_a_sender_that_begins_anew_a_little_earlier_is_heard_again() -> None:
    old = stream([0.0] * 200, first=500, first_ts=10_000)
    new = stream([0.0] * 100, start_s=old[-1].arrival_s + 0.02, first=640, first_ts=150_000)
    listener = Listener().listen([*old, *new], tail_s=0.1)
    assert len([p for p in listener.played if p in new]) >= 70
    assert listener.played[-1] == new[-1]


@settings(max_examples=150, deadline=None)
@given(
    delays_ms=st.lists(st.one_of(st.none(), st.integers(0, 5), st.integers(0, 400)), min_size=1, max_size=120),
    doubles=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 300)), max_size=4),
    phase_ms=st.integers(0, 9),
)
def test_any_arrival_keeps_order_and_bounds(
    delays_ms: list[int | None], doubles: list[tuple[int, int]], phase_ms: int
) -> None:
    packets = stream([None if delay_ms is None else delay_ms / 1000 for delay_ms in delays_ms])
    if not packets:
        return
    for place, later_ms in doubles:
        p = packets[place % len(packets)]
        packets.append(Packet(p.sequence_number, p.timestamp, p.frames, p.payload, p.arrival_s + later_ms / 1000))
    listener = Listener().listen(packets, phase_ms / 1000, tail_s=1.0)
    played = indexes(listener.played)
    assert played == sorted(set(played))
    assert listener.held == 0  # whatever came was played or counted
    assert max(listener.stays_s, default=0.0) <= MAX_DELAY_S + PACKET_S
    assert MIN_TARGET_S <= listener.buffer.target_s <= MAX_TARGET_S
    assert sum(lost.play_frames for lost in listener.lost) <= len(delays_ms) * FRAMES


@settings(max_examples=150, deadline=None)
@given(
    packets=st.lists(
        st.tuples(
            st.one_of(st.integers(0, 50), st.integers(0, 2**16 - 1)),
            st.one_of(st.integers(0, 50_000), st.integers(0, 2**32 - 1)),
            st.integers(1, 48).map(lambda steps: steps * 120),
            st.integers(0, 100),
        ),
        max_size=400,
    )
)
def test_garbage_keeps_the_bounds(packets: list[tuple[int, int, int, int]]) -> None:
    listener = Listener()
    now_s = 5.0
    for sequence_number, timestamp, frames, after_ms in packets:
        now_s += after_ms / 1000
        listener.buffer.push(Packet(sequence_number, timestamp, frames, b"", now_s))
        if after_ms > 5:
            before = len(listener.lost) + len(listener.played)
            listener.pull(now_s)
            assert len(listener.lost) + len(listener.played) - before <= 5
        assert MIN_TARGET_S <= listener.buffer.target_s <= MAX_TARGET_S
        assert listener.buffer.buffered_s >= 0.0
    assert all(0 <= lost.play_frames <= lost.frames <= 5_760 for lost in listener.lost)
