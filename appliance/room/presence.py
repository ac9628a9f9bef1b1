"""Who of the others is online, as the hub says (U81, U82)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from appliance.errors import InvalidArgumentError
from appliance.events import Event
from appliance.room.events import PeersOnlineChanged
from appliance.room.login import Login
from appliance.room.signaling_login import (
    MAX_PRESENCE_IDS,
    Ok,
    PresenceChanged,
    PresenceState,
    SubscribePresence,
    UnsubscribePresence,
    check_user_id,
)


class Presence:
    """The subscriptions of one login; a hub that has forgotten them hears them again (OR09)."""

    def __init__(self, login: Login, emit: Callable[[Event], None]) -> None:
        self._login = login
        self._emit = emit
        self._statuses: dict[str, PresenceState | None] = {}  # by user id; None: not told yet
        login.line.on_push(PresenceChanged, self._take)
        login.line.on_seated(self._seated)
        login.status.on_logout(self._statuses.clear)

    async def subscribe(self, user_ids: Iterable[str | int]) -> None:
        wanted = _checked(user_ids, "subscribe_peers_online")
        total = len(self._statuses.keys() | set(wanted))
        if total > MAX_PRESENCE_IDS:
            raise InvalidArgumentError(
                f"{total} ids: at most {MAX_PRESENCE_IDS} can be subscribed", operation="subscribe_peers_online"
            )
        new = [user_id for user_id in wanted if user_id not in self._statuses]
        self._statuses.update(dict.fromkeys(new))
        try:
            await self._ask(wanted)
        except BaseException:
            for user_id in new:
                self._statuses.pop(user_id, None)
            raise

    async def unsubscribe(self, user_ids: Iterable[str | int]) -> None:
        wished = _listed(user_ids, "unsubscribe_peers_online")
        unwanted = [user_id for user_id in wished if user_id in self._statuses]
        if unwanted:
            await self._login.line.request(
                "unsubscribe_peers_online",
                lambda request_id: UnsubscribePresence(id=request_id, user_ids=tuple(unwanted)),
                Ok,
            )
        for user_id in unwanted:
            self._statuses.pop(user_id, None)

    async def _ask(self, user_ids: Iterable[str]) -> None:
        await self._login.line.request(
            "subscribe_peers_online",
            lambda request_id: SubscribePresence(id=request_id, user_ids=tuple(user_ids)),
            Ok,
        )

    def _seated(self, resumed: bool) -> None:
        if self._statuses and not resumed:
            self._login.spawn(self._ask(list(self._statuses)), "room-presence")

    def _take(self, message: PresenceChanged) -> None:
        """Of what the hub repeats, only what is new."""
        changed = {
            user_id: state
            for user_id, state in message.statuses.items()
            if user_id in self._statuses and self._statuses[user_id] != state
        }
        self._statuses.update(changed)
        if changed:
            self._emit(PeersOnlineChanged(statuses=changed))


def _listed(user_ids: Iterable[str | int], operation: str) -> list[str]:
    if isinstance(user_ids, str):
        raise InvalidArgumentError(f"{user_ids!r} is one id; a list of them is wanted", operation=operation)
    return list(dict.fromkeys(str(user_id) for user_id in user_ids))


def _checked(user_ids: Iterable[str | int], operation: str) -> list[str]:
    wanted = _listed(user_ids, operation)
    if not wanted:
        raise InvalidArgumentError("no user id at all", operation=operation)
    for user_id in wanted:
        check_user_id(user_id, operation)
    return wanted
