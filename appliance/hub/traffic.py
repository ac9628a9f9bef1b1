"""How much each user may say on its connections, one after the other. Pure: monotonic seconds are passed in."""

from __future__ import annotations

from appliance.hub.deadlines import Deadlines
from appliance.hub.settings import HubSettings
from appliance.room.bucket import TokenBucket


class Traffic:
    """Messages and bytes of one user."""

    __slots__ = ("_bytes", "_messages")

    def __init__(self, settings: HubSettings, now_s: float) -> None:
        self._messages = TokenBucket(settings.messages_per_s, settings.message_burst, now_s)
        self._bytes = TokenBucket(settings.bytes_per_s, settings.byte_burst, now_s)

    def take(self, size: int, now_s: float, *, is_answer: bool = False) -> bool:
        """Whether a message of `size` bytes may be said; the bytes of an answer count, the message does not."""
        return (is_answer or self._messages.take(1, now_s)) and self._bytes.take(size, now_s)


class TrafficBook:
    """By user id, from a login until all of it would be there again: who is cut and comes back has gained nothing."""

    def __init__(self, settings: HubSettings) -> None:
        self._settings = settings
        self._refill_s = max(
            settings.message_burst / settings.messages_per_s, settings.byte_burst / settings.bytes_per_s
        )
        self._traffic: dict[str, Traffic] = {}
        self._whole = Deadlines[str]()

    def of(self, user_id: str, now_s: float) -> Traffic:
        """For a login, and again at the end of its connection."""
        for whole in self._whole.due(now_s):
            del self._traffic[whole]
        self._whole.set(user_id, now_s + self._refill_s)
        traffic = self._traffic.get(user_id)
        if traffic is None:
            traffic = self._traffic[user_id] = Traffic(self._settings, now_s)
        return traffic

    def __len__(self) -> int:
        return len(self._traffic)
