"""Who counts as somebody."""

from __future__ import annotations

from provisioning.visits import ARRIVED_S, USED_S, Visits


def test_nobody() -> None:
    assert not Visits().is_busy(0)


def test_who_came_has_time_to_open_the_page() -> None:
    visits = Visits()
    visits.saw(1, 10)
    assert visits.is_busy(10 + ARRIVED_S - 1)
    assert not visits.is_busy(10 + ARRIVED_S)


def test_who_uses_the_page_has_more() -> None:
    visits = Visits()
    visits.saw(1, 0)
    visits.touched(100)
    assert visits.is_busy(100 + USED_S - 1)
    assert not visits.is_busy(100 + USED_S)


def test_who_left_is_gone_at_once() -> None:
    visits = Visits()
    visits.saw(2, 0)
    visits.touched(0)
    visits.saw(0, 1)
    assert not visits.is_busy(1)


def test_a_phone_that_merely_stays_is_nobody_and_a_second_one_is_somebody() -> None:
    visits = Visits()
    for now_s in range(0, 1000, 10):
        visits.saw(1, now_s)
    assert not visits.is_busy(1000)
    visits.saw(2, 1000)
    assert visits.is_busy(1001)


def test_where_nobody_can_tell_the_page_does() -> None:
    visits = Visits()
    visits.saw(None, 0)
    assert not visits.is_busy(0)
    visits.touched(5)
    assert visits.is_busy(10)
