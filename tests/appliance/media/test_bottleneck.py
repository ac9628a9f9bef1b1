"""The rate of a link out of how long each packet was served, on a virtual clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.bottleneck import MIN_SERVED, Arrival, served_bps
from tests.appliance.media.link import Link

DELAY_S = 0.02
CLOCK_S = 100.0  # the receiver's is ahead
PICTURE = [1200, 1200, 1200, 400]


def through(rate_bps: float, pictures: int, fps: int, *, stall_s: float = 0.0) -> list[Arrival]:
    """Pictures of four packets each, sent at once; before the third the receiver has no time for `stall_s`."""
    link, arrivals, last_s = Link(lambda at_s: rate_bps, delay_s=DELAY_S, queue_s=9.0), [], 0.0
    for number in range(pictures):
        for size in PICTURE:
            sent_s = number / fps
            arrived_s = link.arrival_s(sent_s, size)
            assert arrived_s is not None
            last_s = max(last_s, arrived_s + (stall_s if number == 2 else 0.0))
            arrivals.append(Arrival(last_s + CLOCK_S, 8 * size, sent_s))
    return arrivals


@pytest.mark.parametrize("rate_bps", [3e5, 1e6, 2e6])
@pytest.mark.parametrize("fps", [5, 15, 30])
def test_it_is_found_also_where_the_link_rests_between_pictures(rate_bps: float, fps: int) -> None:
    found = served_bps(through(rate_bps, 6, fps), DELAY_S + CLOCK_S)
    assert found == pytest.approx(rate_bps, rel=0.05)


def test_what_arrived_in_the_same_time_says_less() -> None:
    arrivals = through(2e6, 6, 15)
    arriving_bps = sum(packet.bits for packet in arrivals[1:]) / (arrivals[-1].arrived_s - arrivals[0].arrived_s)
    assert arriving_bps < 0.5 * 2e6


def test_a_moment_without_time_for_us_is_no_slow_link() -> None:
    found = served_bps(through(2e6, 6, 15, stall_s=0.3), DELAY_S + CLOCK_S)
    assert found is not None
    assert found >= 0.95 * 2e6


def test_of_few_packets_nothing_is_said() -> None:
    arrivals = through(2e6, 6, 15)
    assert served_bps(arrivals[:MIN_SERVED], CLOCK_S) is None
    assert served_bps([], CLOCK_S) is None


ARRIVALS = st.lists(st.builds(Arrival, st.floats(-1e6, 1e6), st.integers(0, 12_000), st.floats(-1e6, 1e6)), max_size=40)


@given(ARRIVALS, st.floats(-1e6, 1e6) | st.just(float("inf")))
def test_it_is_a_rate_whatever_comes(arrivals: list[Arrival], base_s: float) -> None:
    found = served_bps(arrivals, base_s)
    assert found is None or 0 <= found < float("inf")
