"""The trend of the delay: a queue that grows, one that shrinks, and links that only jitter."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from appliance.media.delay_trend import DelayTrend, Usage
from appliance.media.feedback import PacketFate

CLOCK_S = -5000.0  # the receiver's is another


def packets(delay_s: Callable[[float], float], seconds: float, from_s: float = 0.0) -> Iterator[PacketFate]:
    for number in range(round(seconds * 30)):
        for part in range(3):
            sent_s = from_s + number / 30 + part * 0.001
            yield PacketFate(sent_s, round((sent_s + delay_s(sent_s)) / 0.00025) * 0.00025 + CLOCK_S, 1000)


@pytest.mark.parametrize(("slope", "usage"), [(0.0, "normal"), (0.15, "over"), (-0.15, "under")])
def test_a_delay_that_grows_is_overuse_and_one_that_falls_underuse(slope: float, usage: Usage) -> None:
    trend = DelayTrend()
    trend.add(packets(lambda at_s: 0.3 + slope * at_s, 1.5))
    assert trend.usage == usage


def test_a_growing_queue_is_seen_within_half_a_second() -> None:
    trend = DelayTrend()
    trend.add(packets(lambda at_s: 0.02, 5.0))
    trend.add(packets(lambda at_s: 0.02 + 0.3 * (at_s - 5.0), 0.5, 5.0))
    assert trend.usage == "over"
    assert trend.queue_s == pytest.approx(0.145, abs=0.01)


@pytest.mark.parametrize("jitter_s", [0.002, 0.01, 0.03])
def test_jitter_is_no_overuse(jitter_s: float) -> None:
    trend, rng, over = DelayTrend(), random.Random(1), 0
    for packet in packets(lambda at_s: 0.02 + rng.random() * jitter_s, 30.0):
        trend.add([packet])
        over += trend.usage == "over"
    assert over < 30 * 90 / 50


def test_the_queue_is_told_against_the_least_delay_of_the_last_seconds() -> None:
    trend = DelayTrend()
    trend.add(packets(lambda at_s: 0.02, 1.0))
    trend.add(packets(lambda at_s: 0.12, 5.0, 1.0))
    assert trend.queue_s == pytest.approx(0.1, abs=0.001)
    trend.add(packets(lambda at_s: 0.12, 25.0, 6.0))  # another way: longer, and for good
    assert trend.queue_s == pytest.approx(0.0, abs=0.001)


def test_lost_packets_a_pause_and_packets_told_late_do_no_harm() -> None:
    trend = DelayTrend()
    trend.add(packets(lambda at_s: 0.02 + 0.2 * at_s, 1.5))
    usages = [trend.usage]
    trend.add([PacketFate(1.6, None, 1000)])
    trend.add(packets(lambda at_s: 0.02, 0.1, 60.0))
    usages.append(trend.usage)
    trend.add([PacketFate(2.0, 2.02 + CLOCK_S, 1000), PacketFate(60.0, 59.0 + CLOCK_S, 1000)])
    assert [*usages, trend.usage] == ["over", "normal", "normal"]
