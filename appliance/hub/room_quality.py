"""Everybody's network quality, told to everybody of the room every 2 s (U56, X31, TM06). Pure."""

from __future__ import annotations

from typing import Any

from appliance.errors import NotJoinedError
from appliance.hub.deadlines import Deadlines
from appliance.hub.feature import Feature
from appliance.hub.room import Room
from appliance.hub.seat import Output, Seat
from appliance.room.signaling_room import MemberQuality, ReportQuality, RoomQuality

PERIOD_S = 2.0  # TM06


class RoomQualities(Feature):
    """A room is told at most every `PERIOD_S`, and only after somebody reported."""

    requests = (ReportQuality,)

    def __init__(self) -> None:
        self._reports: dict[Seat, tuple[str, ReportQuality]] = {}  # and of which stay in a room
        self._due = Deadlines[Room]()
        self._told_s: dict[Room, float] = {}  # of the last `PERIOD_S`, oldest first

    def receive(self, seat: Seat, message: Any, now_s: float) -> list[Output]:
        room = seat.room
        if room is None:
            raise NotJoinedError("join a room first")
        self._reports[seat] = seat.session_id, message
        if room not in self._due:
            told_s = self._told_s.get(room, now_s)
            self._due.set(room, told_s + PERIOD_S)
        return []

    def unseated(self, seat: Seat, now_s: float) -> list[Output]:
        self._reports.pop(seat, None)
        return []

    def next_deadline_s(self) -> float | None:
        return self._due.next_s()

    def expire(self, now_s: float) -> list[Output]:
        while self._told_s and (oldest := next(iter(self._told_s.items())))[1] + PERIOD_S <= now_s:
            del self._told_s[oldest[0]]
        outputs: list[Output] = []
        for room in self._due.due(now_s):
            self._told_s.pop(room, None)
            self._told_s[room] = now_s
            outputs += self._tell(room)
        return outputs

    def _tell(self, room: Room) -> list[Output]:
        reports = ((seat, self._reports.get(seat, ("", None))) for seat in room.seats.values() if room.is_visible(seat))
        items = tuple(
            MemberQuality(user_id=seat.user_id, uplink=report.uplink, downlink=report.downlink)
            for seat, (stay, report) in reports
            if report is not None and stay == seat.session_id
        )
        message = RoomQuality(items=items)
        return [output for seat in room.seats.values() for output in seat.to(message)]
