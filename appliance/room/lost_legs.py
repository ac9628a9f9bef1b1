"""What was counted last of legs that were lost, by their receiver. Pure: monotonic seconds are passed in."""

from __future__ import annotations

from appliance.room.backend import LegReport

LIFE_S = 60.0  # a receiver that is still there has asked again by then; a hidden one is never seen to leave


class LostLegs:
    """The last of each receiver, until it asks again, leaves, or `LIFE_S` are over."""

    def __init__(self) -> None:
        self._lost: dict[str, tuple[LegReport, float]] = {}  # and when, oldest first

    def add(self, report: LegReport, now_s: float) -> None:
        self.drop(report.user_id)
        self._lost[report.user_id] = report, now_s

    def drop(self, user_id: str) -> None:
        """Nothing when it has lost none."""
        self._lost.pop(user_id, None)

    def reports(self, now_s: float) -> list[LegReport]:
        for user_id in [user_id for user_id, (_, lost_s) in self._lost.items() if lost_s + LIFE_S <= now_s]:
            del self._lost[user_id]
        return [report for report, _ in self._lost.values()]
