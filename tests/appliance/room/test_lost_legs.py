from __future__ import annotations

from appliance.room.backend import LegReport
from appliance.room.leg import LegStats
from appliance.room.lost_legs import LIFE_S, LostLegs


def report(user: str, leg_id: str = "1") -> LegReport:
    return LegReport(leg_id, "up", LegStats(), user)


def test_a_lost_leg_counts_for_a_while_and_the_last_of_each_receiver() -> None:
    lost = LostLegs()
    lost.add(report("a"), 0.0)
    lost.add(report("b"), 1.0)
    lost.add(report("a", "2"), 30.0)
    assert lost.reports(LIFE_S) == [report("b"), report("a", "2")]
    assert lost.reports(LIFE_S + 1.0) == [report("a", "2")]
    lost.drop("a")
    lost.drop("nobody")
    assert lost.reports(LIFE_S + 1.0) == []


def test_receivers_that_are_never_seen_to_leave_do_not_pile_up() -> None:
    lost = LostLegs()
    for number in range(1000):
        lost.add(report(f"guest-{number}"), float(number))
        assert len(lost.reports(float(number))) <= LIFE_S
