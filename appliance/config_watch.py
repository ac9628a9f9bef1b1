"""Looks at the running unit while its settings are on trial, and ends the trial (`config_trial`)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from appliance.config_store import ConfigStore
from appliance.config_trial import Facts, Visitor, Watch, judge
from appliance.online import is_online
from appliance.supervisor import Health

logger = logging.getLogger(__name__)

LOOK_S = 1.0


def is_well(health: Health) -> bool:
    """Stricter than `is_healthy`, which feeds the watchdog: what is restarted again and again is not well."""
    if isinstance(health, str):
        return health.partition(":")[0] not in ("failed", "restarting", "crashed")
    return all(is_well(child) for child in health.values())


class ConfigWatch:
    """`health` and `online` say how the unit is; `restart` composes it anew."""

    def __init__(
        self,
        store: ConfigStore,
        health: Callable[[], Health],
        restart: Callable[[], None],
        *,
        online: Callable[[], bool] = is_online,
        look_s: float = LOOK_S,
    ) -> None:
        self._store = store
        self._health = health
        self._restart = restart
        self._online = online
        self._look_s = look_s
        self._visitor: Visitor = ""

    def visited(self, visitor: Visitor) -> None:
        """Somebody used the page or the API, from this machine or from another one."""
        if self._visitor != "remote":
            self._visitor = visitor

    async def run(self) -> None:
        """Until cancelled; idle while nothing is on trial."""
        while True:
            self._store.changed.clear()
            if self._store.trial is not None and self._store.is_running:
                await self._try()
            else:
                await self._store.changed.wait()

    async def _try(self) -> None:
        watch = Watch(time.monotonic())
        while not self._store.changed.is_set():
            trial = self._store.trial
            if trial is None:
                return
            facts = Facts(healthy=is_well(self._health()), online=self._online(), visitor=self._visitor)
            watch, verdict = judge(trial, watch, facts, time.monotonic())
            if verdict.what == "keep":
                await self._store.keep()
                return
            if verdict.what == "take-back":
                if await self._store.take_back(verdict.reason):
                    self._restart()
                    await asyncio.Event().wait()  # the composition ends
                logger.warning("there are no good settings to go back to, though %s", verdict.reason)
                watch = Watch(time.monotonic())
            await asyncio.sleep(self._look_s)
