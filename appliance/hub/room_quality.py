"""Everybody's network quality, told to everybody of the room every 2 s (U56, X31, TM06). Pure."""

from __future__ import annotations

from typing import Any

from appliance.errors import NotJoinedError
from appliance.hub.feature import Feature
from appliance.hub.room import Room
from appliance.hub.seat import Output, Seat
from appliance.room.signaling_room import MemberQuality, ReportQuality, RoomQuality

PERIOD_S = 2.0  # TM06


class RoomQualities(Feature):
    """A room is told at most every `PERIOD_S`, and only after somebody reported."""

    requests = (ReportQuality,)

    def __init__(self) -> None:
        self._reports: dict[Seat, ReportQuality] = {}
        self._due_s: dict[Room, float] = {}
        self._told_s: dict[Room, float] = {}

    def receive(self, seat: Seat, message: Any, now_s: float) -> list[Output]:
        room = seat.room
        if room is None:
            raise NotJoinedError("join a room first")
        self._reports[seat] = message
        self._due_s.setdefault(room, max(now_s, self._told_s.get(room, now_s) + PERIOD_S))
        return []

    def unseated(self, seat: Seat, now_s: float) -> list[Output]:
        self._reports.pop(seat, None)
        return []

    def next_deadline_s(self) -> float | None:
        return min(self._due_s.values(), default=None)

    def expire(self, now_s: float) -> list[Output]:
        outputs: list[Output] = []
        for room, due_s in list(self._due_s.items()):
            if due_s <= now_s:
                del self._due_s[room]
                self._told_s[room] = now_s
                outputs += self._tell(room)
        self._told_s = {room: told_s for room, told_s in self._told_s.items() if told_s + PERIOD_S > now_s}
        return outputs

    def _tell(self, room: Room) -> list[Output]:
        items = tuple(
            MemberQuality(user_id=seat.user_id, uplink=report.uplink, downlink=report.downlink)
            for seat in room.seats.values()
            if room.is_visible(seat) and (report := self._reports.get(seat)) is not None
        )
        message = RoomQuality(items=items)
        return [output for seat in room.seats.values() for output in seat.to(message)]
