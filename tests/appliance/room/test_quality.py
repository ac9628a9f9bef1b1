from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.room.events import NetworkQuality, NetworkQualityChanged
from appliance.room.leg import LegStats
from appliance.room.quality import DirectionQuality, NetworkMeter, level_of

INTERVAL_S = 2.0
PACKETS = 1_000  # a leg in one interval


class Wire:
    """A direction with one leg: each `report` moves 1000 packets, of which some get lost, and takes 2 s."""

    def __init__(self) -> None:
        self.direction = DirectionQuality()
        self.now_s = 100.0
        self.lost = self.expected = 0

    def report(self, loss: float = 0.0, rtt_s: float | None = 0.02) -> NetworkQuality:
        self.now_s += INTERVAL_S
        self.expected += PACKETS
        self.lost += round(loss * PACKETS)
        self.direction.report({"a": stats(self.lost, self.expected, self.now_s, rtt_s)}, self.now_s)
        return self.direction.level


def stats(lost: int, expected: int, last_packet_s: float | None, rtt_s: float | None = 0.02) -> LegStats:
    return LegStats(
        packets=expected - lost,
        packets_lost=lost,
        packets_expected=expected,
        bytes=0,
        rtt_s=rtt_s,
        jitter_s=None,
        last_packet_s=last_packet_s,
    )


@pytest.mark.parametrize(
    ("loss", "rtt_s", "expected"),
    [
        (None, None, 0),
        (0.0, None, 1),
        (None, 0.05, 1),
        (0.019, 0.099, 1),
        (0.02, 0.01, 2),
        (0.0, 0.1, 2),
        (0.049, 0.199, 2),
        (0.05, 0.01, 3),
        (0.0, 0.2, 3),
        (0.1, 0.01, 4),
        (0.0, 0.35, 4),
        (0.2, 0.01, 5),
        (0.0, 0.5, 5),
        (0.199, 0.499, 4),
        (1.0, 9.0, 5),
    ],
)
def test_levels_of_appendix_b(loss: float | None, rtt_s: float | None, expected: int) -> None:
    assert level_of(loss, rtt_s) == expected


def test_unknown_before_media() -> None:
    direction = DirectionQuality()
    direction.report({}, 1.0)
    assert direction.level is NetworkQuality.UNKNOWN
    direction.report({"a": stats(0, 0, None, None)}, 3.0)
    assert (direction.level, direction.loss, direction.rtt_s) == (NetworkQuality.UNKNOWN, None, None)


def test_worse_at_once_better_after_two_reports() -> None:
    wire = Wire()
    assert [wire.report() for _ in range(3)] == [1, 1, 1]
    assert wire.report(loss=0.3) == NetworkQuality.BAD  # 15 % over two reports
    assert wire.report(loss=0.3) == NetworkQuality.VERY_BAD
    assert wire.direction.loss == pytest.approx(0.3)
    assert [wire.report() for _ in range(4)] == [5, 4, 1, 1]


def test_round_trip_time_counts_too() -> None:
    wire = Wire()
    wire.report(rtt_s=0.02)
    assert wire.report(rtt_s=0.3) == NetworkQuality.GOOD
    assert wire.report(rtt_s=0.3) == NetworkQuality.POOR
    assert wire.direction.rtt_s == pytest.approx(0.3)


def test_no_flicker_at_a_limit() -> None:
    wire = Wire()
    levels = [wire.report(loss=0.018 if index % 2 else 0.024) for index in range(20)]
    assert sum(a != b for a, b in pairwise(levels)) <= 1


def test_down_after_4_s_without_a_packet_and_back_at_once() -> None:
    wire = Wire()
    wire.report()
    last_s = wire.now_s
    silent = {"a": stats(wire.lost, wire.expected, last_s)}
    wire.direction.report(silent, last_s + 4.0)
    assert wire.direction.level is not NetworkQuality.DOWN
    wire.direction.report(silent, last_s + 4.1)
    assert (wire.direction.level, wire.direction.loss) == (NetworkQuality.DOWN, 1.0)
    wire.now_s += 10
    assert wire.report() == NetworkQuality.EXCELLENT


def test_a_receiver_that_reports_seldom_is_believed_until_it_says_something_else() -> None:
    direction, levels = DirectionQuality(), []
    for tick in range(12):  # a report every third time, with 8 % loss; from the seventh on none at all
        told = min(tick // 3, 2)
        direction.report({"a": stats(20 * told, 250 * told, 10.0 + 2 * tick)}, 10.0 + 2 * tick)
        levels.append(direction.level)
    assert levels == [1, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3]
    assert direction.loss == pytest.approx(0.08)
    direction.report({"a": stats(40, 500, 34.0)}, 34.0)
    assert direction.loss is None, "too long ago"


def test_legs_are_pooled_and_a_dead_one_does_not_count() -> None:
    direction = DirectionQuality()
    direction.report({"a": stats(0, 1_000, 9.9, 0.05), "b": stats(60, 1_000, 9.9, 0.15)}, 10.0)
    assert direction.loss == pytest.approx(0.03)
    assert direction.rtt_s == pytest.approx(0.1)
    assert direction.level == 2
    direction.report({"a": stats(0, 2_000, 19.9, 0.05), "b": stats(60, 1_000, 9.9, 0.15)}, 20.0)
    direction.report({"a": stats(0, 3_000, 21.9, 0.05), "b": stats(60, 1_000, 9.9, 0.15)}, 22.0)
    assert direction.loss == 0.0
    assert direction.rtt_s == pytest.approx(0.05)
    direction.report({"a": stats(0, 4_000, 23.9, 0.05), "b": stats(60, 1_000, 9.9, 0.15)}, 24.0)
    assert direction.level == 1


def test_a_new_leg_counts_from_its_beginning_and_a_loss_may_be_taken_back() -> None:
    direction = DirectionQuality()
    direction.report({"a": stats(100, 1_000, 9.9)}, 10.0)
    direction.report({"b": stats(0, 1_000, 11.9)}, 12.0)
    assert direction.loss == pytest.approx(0.05)
    direction.report({"b": stats(-5, 2_000, 13.9)}, 14.0)
    assert direction.loss == 0.0


def test_one_lost_of_the_few_packets_of_a_pause_is_no_bad_network() -> None:
    direction = DirectionQuality()
    levels = []
    for number in range(1, 31):
        lost = 2 if number > 20 else number > 10
        direction.report({"a": stats(lost, 5 * number, 2.0 * number - 0.1)}, 2.0 * number)
        levels.append(direction.level)
    assert max(levels) == NetworkQuality.GOOD
    assert levels[9] == NetworkQuality.EXCELLENT


def test_the_event_carries_both_directions() -> None:
    meter = NetworkMeter()
    first = meter.report({"up": stats(10, 100, 1.9, 0.25)}, {}, 2.0)
    assert first == NetworkQualityChanged(
        uplink=NetworkQuality.BAD,
        downlink=NetworkQuality.UNKNOWN,
        uplink_rtt_ms=250.0,
        uplink_loss=0.1,
        changed=True,
    )
    second = meter.report({"up": stats(20, 200, 3.9, 0.25)}, {}, 4.0)
    assert (second.uplink, second.changed) == (NetworkQuality.BAD, False)
    third = meter.report({"up": stats(20, 200, 3.9, 0.25)}, {}, 8.0)
    assert (third.uplink, third.downlink, third.changed) == (NetworkQuality.DOWN, NetworkQuality.UNKNOWN, True)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("ab"),
            st.builds(
                stats,
                st.integers(-10, 5_000),
                st.integers(0, 5_000),
                st.none() | st.floats(0, 50),
                st.none() | st.floats(0, 5),
            ),
        ),
        max_size=12,
    )
)
def test_any_counters_give_a_level_and_a_loss_in_range(reports: list[dict[str, LegStats]]) -> None:
    direction = DirectionQuality()
    for index, legs in enumerate(reports):
        direction.report(legs, index * INTERVAL_S)
        assert direction.level in NetworkQuality
        assert direction.loss is None or 0.0 <= direction.loss <= 1.0


def test_a_leg_that_rests_is_not_down() -> None:
    direction, now_s = DirectionQuality(), 100.0
    levels = []
    for _ in range(5):
        now_s += INTERVAL_S
        direction.report({"a": stats(0, 1000, 101.0)}, now_s, {"a"})
    levels.append(direction.level)
    direction.report({"a": stats(0, 1000, 101.0)}, now_s)
    levels.append(direction.level)
    direction.report({"a": stats(0, 1000, 101.0), "b": stats(0, 1000, now_s)}, now_s, {"a"})
    levels.append(direction.level)
    assert levels == [NetworkQuality.UNKNOWN, NetworkQuality.DOWN, NetworkQuality.EXCELLENT]
