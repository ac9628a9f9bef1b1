"""The pacer keeps the monotonic clock, and says so when its work fails."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from hw import HardwareError
from hw.pacing import Pacer, Tick
from tests.hw.collect import Collector, lost_is_an_error, no_new_threads


def test_steps_are_due_on_the_clock_and_do_not_drift() -> None:
    ticks: Collector[tuple[int, float, float]] = Collector()
    with no_new_threads():
        pacer = Pacer("paced")
        pacer.start(0.005, lambda: lambda step, due_s: ticks((step, due_s, time.monotonic())), lost_is_an_error)
        assert [thread.name for thread in threading.enumerate()].count("paced") == 1
        steps = ticks.wait(60)
        pacer.close()
    for step, due_s, at_s in steps:
        assert due_s == pytest.approx(steps[0][1] + step * 0.005, abs=1e-6)
        assert at_s >= due_s
    assert all(later[0] > earlier[0] for earlier, later in pairwise(steps))


def test_a_short_pause_is_made_up_for_and_a_long_one_skipped() -> None:
    ticks: Collector[int] = Collector()
    pauses = {5: 0.1, 40: 0.5}

    def tick(step: int, _due_s: float) -> None:
        ticks(step)
        time.sleep(pauses.pop(step, 0.0))

    pacer = Pacer("paced")
    pacer.start(0.01, lambda: tick, lost_is_an_error)
    steps = ticks.wait(50)
    pacer.close()
    assert steps[:41] == list(range(41))
    gap = steps[41] - steps[40]
    assert gap >= 45


def test_a_hardware_error_ends_the_thread_and_is_told_once() -> None:
    lost: Collector[HardwareError] = Collector()
    ticks: list[int] = []

    def tick(step: int, _due_s: float) -> None:
        ticks.append(step)
        if step == 3:
            raise HardwareError("gone")

    with no_new_threads():
        pacer = Pacer("paced")
        pacer.start(0.001, lambda: tick, lost)
        assert str(lost.wait(1)[0]) == "gone"
        pacer.close()
    assert ticks == [0, 1, 2, 3]
    assert len(lost.items) == 1


def test_an_error_of_prepare_is_told_too() -> None:
    lost: Collector[HardwareError] = Collector()

    def prepare() -> Tick:
        raise HardwareError("cannot be made")

    pacer = Pacer("paced")
    pacer.start(0.001, prepare, lost)
    pacer.close()
    assert [str(error) for error in lost.items] == ["cannot be made"]


def test_it_can_be_closed_from_its_own_tick_and_started_again() -> None:
    ticks: Collector[int] = Collector()
    pacer = Pacer("paced")

    def tick(step: int, _due_s: float) -> None:
        pacer.close()
        ticks(step)

    with no_new_threads():
        for count in (1, 2):
            pacer.start(0.001, lambda: tick, lost_is_an_error)
            ticks.wait(count)
        pacer.close()
        pacer.close()
    assert ticks.items == [0, 0]
    assert not pacer.is_open


def test_a_second_start_takes_the_place_of_the_first() -> None:
    first: Collector[int] = Collector()
    second: Collector[int] = Collector()
    pacer = Pacer("paced")
    with no_new_threads():
        pacer.start(0.001, lambda: lambda step, _due_s: first(step), lost_is_an_error)
        first.wait(1)
        pacer.start(0.001, lambda: lambda step, _due_s: second(step), lost_is_an_error)
        count = len(first.items)
        second.wait(5)
        pacer.close()
    assert len(first.items) == count
