"""Who may not come back: bans by room and user id, and sessions that were put out a moment ago. Pure.

No ban makes room for another one: who has many user ids banned must not open a door for somebody else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from appliance.errors import BannedError, InvalidStateError, RtcError, RtcErrorCode
from appliance.hub.changes import BanLifted, BanSet, Change
from appliance.hub.deadlines import Deadlines

_Ban = tuple[str, str]  # room, user id
MAX_BANS_OF_ROOM = 256
MAX_BANS = 16_384  # of all rooms, for bans outlive their room
MAX_FAREWELLS = 4096  # sessions that are remembered


@dataclass(frozen=True, slots=True)
class _Farewell:
    until_s: float
    error: RtcError


class Exclusions:
    def __init__(self, record: Callable[[Change], None], wall_s: Callable[[], float]) -> None:
        """`record` keeps a change over restarts; `wall_s` gives seconds since 1970."""
        self._record = record
        self._wall_s = wall_s
        self._bans: dict[_Ban, float | None] = {}  # monotonic end, None: for good
        self._of_room: Counter[str] = Counter()
        self._ends = Deadlines[_Ban]()
        self._farewells: dict[str, _Farewell] = {}  # by session, oldest first

    def ban(self, room_name: str, user_id: str, now_s: float, for_s: float | None = None) -> None:
        """For so long, or for good; the last word counts. Raises `InvalidStateError` when there are too many."""
        if (room_name, user_id) not in self._bans:
            self.expire(now_s)
            if self._of_room[room_name] >= MAX_BANS_OF_ROOM:
                raise InvalidStateError(f"room {room_name!r} has {MAX_BANS_OF_ROOM} bans and takes no more: lift one")
            if len(self._bans) >= MAX_BANS:
                raise InvalidStateError(f"this hub has {MAX_BANS} bans and takes no more: lift one")
        self._set((room_name, user_id), None if for_s is None else now_s + for_s)
        self._record(BanSet(room_name, user_id, None if for_s is None else self._wall_s() + for_s))

    def restore(self, ban: BanSet, now_s: float) -> None:
        until_s = None if ban.until is None else now_s + ban.until - self._wall_s()
        self._set((ban.room, ban.user_id), until_s)

    def _set(self, ban: _Ban, until_s: float | None) -> None:
        self._of_room[ban[0]] += ban not in self._bans
        self._bans[ban] = until_s
        self._ends.drop(ban)
        if until_s is not None:
            self._ends.set(ban, until_s)

    def unban(self, room_name: str, user_id: str) -> None:
        """Raises PEER_NOT_FOUND."""
        if (room_name, user_id) not in self._bans:
            raise RtcError(f"{user_id!r} is not banned from {room_name!r}", code=RtcErrorCode.PEER_NOT_FOUND)
        self._ends.drop((room_name, user_id))
        self._lift((room_name, user_id))

    def next_deadline_s(self) -> float | None:
        return self._ends.next_s()

    def expire(self, now_s: float) -> None:
        """Forget the bans that are over."""
        for ban in self._ends.due(now_s):
            self._lift(ban)

    def _lift(self, ban: _Ban) -> None:
        del self._bans[ban]
        self._of_room[ban[0]] -= 1
        if not self._of_room[ban[0]]:
            del self._of_room[ban[0]]
        self._record(BanLifted(*ban))

    def banned(self, room_name: str, now_s: float) -> list[str]:
        return sorted(
            user_id for room, user_id in self._bans if room == room_name and self._holds(room, user_id, now_s)
        )

    def check_ban(self, room_name: str, user_id: str, now_s: float) -> None:
        """Raises `BannedError`."""
        if self._holds(room_name, user_id, now_s):
            raise BannedError(f"you are banned from room {room_name!r}")

    def _holds(self, room_name: str, user_id: str, now_s: float) -> bool:
        if (room_name, user_id) not in self._bans:
            return False
        until_s = self._bans[room_name, user_id]
        return until_s is None or until_s > now_s

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
