"""How loud each user is played, as the person at the unit wants it."""

from __future__ import annotations

FULL_VOLUME = 100
MAX_USERS = 256  # that are not at full volume; guests have a new id each time


class Volumes:
    """0, silent, to 100, as it comes. Those that were set longest ago are at 100 again when there are too many."""

    def __init__(self) -> None:
        self._volumes: dict[str, int] = {}  # of the users that are not at 100, the latest last

    def set(self, user_id: str, volume: int) -> None:
        """Raises ValueError."""
        if not 0 <= volume <= FULL_VOLUME:
            raise ValueError(f"a volume of {volume}: 0 to {FULL_VOLUME}")
        self._volumes.pop(user_id, None)
        if volume != FULL_VOLUME:
            self._volumes[user_id] = volume
        if len(self._volumes) > MAX_USERS:
            del self._volumes[next(iter(self._volumes))]

    def of(self, user_id: str) -> int:
        return self._volumes.get(user_id, FULL_VOLUME)
