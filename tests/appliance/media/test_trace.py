"""Histograms of what each stage takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.trace import WINDOW_S, Histogram, Trace, summarize


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@given(st.lists(st.floats(0.02, 10_000), min_size=1, max_size=300))
def test_quantiles_are_at_most_a_fifth_too_high(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    summary = summarize([histogram, Histogram()])
    assert summary is not None
    assert (summary.count, summary.max_ms) == (len(values), max(values))
    for got, share in ((summary.p50_ms, 0.5), (summary.p95_ms, 0.95)):
        true = float(np.quantile(values, share, method="inverted_cdf"))
        assert true * 0.999 <= got <= true * 2**0.25 * 1.001


@pytest.mark.parametrize("value", [-5.0, 0.0, 1e-9, 1e9])
def test_values_out_of_range_have_a_place(value: float) -> None:
    histogram = Histogram()
    histogram.add(value)
    summary = summarize([histogram])
    assert summary is not None
    assert summary.count == 1


def test_only_the_last_minutes_count() -> None:
    clock = Clock()
    trace = Trace(clock)
    trace.add("network", 0.5)
    clock.now_s += WINDOW_S + 1
    trace.since("network", clock.now_s - 0.01)
    assert trace.summaries()["network"].max_ms == pytest.approx(500)
    clock.now_s += WINDOW_S + 1
    trace.add("network", 0.02)
    summary = trace.summaries()["network"]
    assert summary.count == 2
    assert summary.max_ms == pytest.approx(20)
    clock.now_s += 2 * WINDOW_S
    assert trace.summaries() == {}
    trace.add("network", 0.03)
    assert trace.summaries()["network"].count == 1


def test_stages_without_values_are_left_out() -> None:
    assert Trace().summaries() == {}
