"""Who may not come back: bans by room and user id, and sessions that were put out a moment ago. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.errors import BannedError, RtcError, RtcErrorCode

MAX_FAREWELLS = 4096  # sessions that are remembered


@dataclass(frozen=True, slots=True)
class _Farewell:
    until_s: float
    error: RtcError


class Exclusions:
    def __init__(self) -> None:
        self._bans: set[tuple[str, str]] = set()  # (room, user id)
        self._farewells: dict[str, _Farewell] = {}  # by session, oldest first

    def ban(self, room_name: str, user_id: str) -> None:
        self._bans.add((room_name, user_id))

    def unban(self, room_name: str, user_id: str) -> None:
        """Raises PEER_NOT_FOUND."""
        if (room_name, user_id) not in self._bans:
            raise RtcError(f"{user_id!r} is not banned from {room_name!r}", code=RtcErrorCode.PEER_NOT_FOUND)
        self._bans.discard((room_name, user_id))

    def banned(self, room_name: str) -> list[str]:
        return sorted(user_id for room, user_id in self._bans if room == room_name)

    def check_ban(self, room_name: str, user_id: str) -> None:
        """Raises `BannedError`."""
        if (room_name, user_id) in self._bans:
            raise BannedError(f"you are banned from room {room_name!r}")

    def part(self, session: str, error: RtcError, until_s: float, now_s: float) -> None:
        """Until `until_s`, `error` is what `session` is told: its link may never have heard why it ended."""
        while self._farewells:
            oldest = next(iter(self._farewells))
            if self._farewells[oldest].until_s > now_s and len(self._farewells) < MAX_FAREWELLS:
                break
            del self._farewells[oldest]
        self._farewells[session] = _Farewell(until_s, error)

    def check_session(self, session: str, now_s: float) -> None:
        """Raises the error that the session was parted with."""
        farewell = self._farewells.get(session)
        if farewell is not None and farewell.until_s > now_s:
            raise farewell.error
