"""Which room the unit is in: into the wanted one, and back into it whatever happens.

    wanted and out  -> join -> in the room -> ended -> wait (`rejoin`) -> join ...
    join(), leave()    are obeyed at once, from any point of that circle
    visit()            a call's room in place of its own, until end_visit(); not tried again when it fails
    out of any room    it stays logged in, so that it can be rung

The wish to be in the room outlives a restart of `run`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from appliance.composing import until
from appliance.events import Event
from appliance.log_fields import about
from appliance.rejoin import has_failed, rejoin_delay_s, waits_for_network
from appliance.room.client import RoomClient
from appliance.room.entry import Token
from appliance.room.events import ConnectionStateChanged, LoginStateChanged
from appliance.room.ticks import is_set_within
from appliance.session_settings import SessionSettings
from appliance.standby import stand_by
from appliance.staying import stay

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Target:
    """A room to be in."""

    room: str
    token: Token


class Attendance:
    """Used on the event loop. Everything can be asked at any time, also while `run` does not run."""

    def __init__(self, settings: Callable[[], SessionSettings]) -> None:
        """`settings` gives those of now; each join goes by them."""
        self.wanted = settings().auto_join
        self.last_change: ConnectionStateChanged | None = None
        self.changed_s = time.monotonic()  # when the connection state became what it is
        self.retry_at_s: float | None = None  # when the next join is due, while one is waited for
        self.on_visit_over: Callable[[], None] = lambda: None  # not by end_visit
        self._settings = settings
        self._client: RoomClient | None = None
        self._rng = random.Random()
        self._visit: _Target | None = None
        self._at: str | None = None  # the room of the stay that goes on
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._login_changed = asyncio.Event()
        self._waits_for_network = False

    @property
    def room(self) -> str:
        """The room that the unit is in or goes into; out of any its own."""
        target = self._target()
        return target.room if target is not None else self._settings().room

    @property
    def room_now(self) -> str | None:
        """The room that the unit is in, or joins at this moment."""
        return self._at

    # --- what a person wishes

    def join(self) -> None:
        """Into the room, now and for good; the events tell how it goes."""
        self.wanted = True
        self._wake.set()

    async def leave(self) -> None:
        """Out of the room until `join`, a call's room too; returns when out."""
        self.wanted = False
        self._wake.set()
        self._visit_over()
        if self._client is not None:
            await self._client.leave()

    def visit(self, room: str, token: Token = "") -> None:
        """Into a call's room; without a `token` with the unit's own."""
        self._visit = _Target(room, token or self._settings().token)
        self._move()

    def end_visit(self) -> None:
        """To where the unit was before it: into its own room, or out of any."""
        self._visit = None
        self._move()

    # --- what happens

    def network_back(self) -> None:
        """What waits for the network is tried at once."""
        if self._waits_for_network:
            self._wake.set()

    def take(self, event: Event) -> None:
        """An event of the client."""
        if isinstance(event, ConnectionStateChanged):
            self.last_change, self.changed_s = event, time.monotonic()
        elif isinstance(event, LoginStateChanged):
            self._login_changed.set()

    # --- into the room and back

    async def run(self, client: RoomClient) -> None:
        """Until cancelled; `over` says that the client is destroyed."""
        self._client = client
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._stay_in(client), name="session-stay", context=about(room=self._settings().room))
            tasks.create_task(self._move_out(client), name="session-move")

    def over(self) -> None:
        self._at = None
        self._visit_over()
        self._client = None

    async def _stay_in(self, client: RoomClient) -> None:
        failures = 0
        while True:
            self._wake.clear()
            target = self._target()
            if target is None:
                await until(self._wake.wait, self._stand_by(client))
                continue
            self._at = target.room
            ended, was_in = await stay(client, self._settings(), target.room, target.token)
            self._at = None
            now = self._target()
            if now is None or now.room != target.room:
                failures = 0
                continue
            self._visit_over()
            if not self.wanted:
                continue
            failures = failures + 1 if has_failed(ended, was_in=was_in) else 0
            settings = self._settings()
            delay_s = rejoin_delay_s(ended, max(0, failures - 1), auto_join=settings.auto_join, rng=self._rng)
            if delay_s is None:
                logger.warning("out of room %s for good: %s", settings.room, ended)
                self.wanted = False
                continue
            logger.info("back into room %s in %.0f s", settings.room, delay_s)
            if await self._pause(delay_s, for_network=waits_for_network(ended)):
                failures = 0

    async def _move_out(self, client: RoomClient) -> None:
        """Leaves the room that is no longer the wanted one."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            target = self._target()
            if self._at is not None and (target is None or target.room != self._at):
                await client.leave()

    def _target(self) -> _Target | None:
        settings = self._settings()
        own = _Target(settings.room, settings.token) if self.wanted else None
        if self._visit is None or (own is not None and own.room == self._visit.room):
            return own
        return self._visit

    def _move(self) -> None:
        self._wake.set()
        self._moved.set()

    def _visit_over(self) -> None:
        if self._visit is not None:
            self._visit = None
            self.on_visit_over()

    async def _stand_by(self, client: RoomClient) -> None:
        def wait_for_network(waits: bool) -> None:
            self._waits_for_network = waits

        settings = self._settings()
        await stand_by(
            client,
            settings.user_id,
            settings.token,
            settings.user_name,
            login_changed=self._login_changed,
            waits_for_network=wait_for_network,
            rng=self._rng,
        )

    async def _pause(self, delay_s: float, *, for_network: bool) -> bool:
        """Wait before the next try; True when somebody asked for it at once, or the network is back."""
        self.retry_at_s = time.monotonic() + delay_s
        self._waits_for_network = for_network
        try:
            return await is_set_within(self._wake, delay_s)
        finally:
            self.retry_at_s, self._waits_for_network = None, False
