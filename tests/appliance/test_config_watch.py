"""The watch over a unit whose settings are on trial, on its real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from appliance import config_watch
from appliance.config_store import ConfigStore
from appliance.config_watch import ConfigWatch, is_well
from appliance.supervisor import Health
from tests.appliance.unit import until


class Clock:
    """Time as the watch sees it."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(config_watch, "time", clock)
    return clock


class Unit:
    def __init__(self, store: ConfigStore) -> None:
        self.store = store
        self.health: Health = {"web": "ok", "session": "offline: connecting"}
        self.online = True
        self.restarts = 0
        self.looks = 0
        self.watch = ConfigWatch(store, self._look, self.restart, online=lambda: self.online, look_s=0.001)

    def _look(self) -> Health:
        self.looks += 1
        return self.health

    async def looked(self) -> None:
        """The watch has judged what is there now."""
        looks = self.looks
        await until(lambda: self.looks > looks + 1)

    def restart(self) -> None:
        self.restarts += 1


@asynccontextmanager
async def watched(file: Path, **change: Any) -> AsyncIterator[Unit]:
    """A unit that runs with a changed configuration after a restart."""
    file.write_text('[device]\nname = "Door"\n')
    first = ConfigStore(file)
    await first.begin()
    await first.keep()
    await first.change({"device.name": "Gate", "web.port": 1}, **change)
    store = ConfigStore(file)
    await store.begin()
    unit = Unit(store)
    task = asyncio.create_task(unit.watch.run(), name="watch under test")
    try:
        await unit.looked()
        yield unit
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_settings_with_which_all_is_well_are_kept(tmp_path: Path, clock: Clock) -> None:
    async with watched(tmp_path / "c.toml") as unit:
        clock.now_s += 11
        await until(lambda: unit.store.trial is None)
        assert (unit.store.config.device.name, unit.restarts) == ("Gate", 0)


async def test_a_child_that_restarts_again_and_again_is_not_well(tmp_path: Path, clock: Clock) -> None:
    async with watched(tmp_path / "c.toml") as unit:
        unit.health = {"web": "ok", "session": "restarting: it crashed"}
        await unit.looked()
        clock.now_s += 89
        await unit.looked()
        assert unit.store.trial is not None
        clock.now_s += 2
        await until(lambda: unit.restarts)
        assert unit.store.config.device.name == "Door"
        assert unit.store.notice is not None
        assert "not well" in unit.store.notice.reason


async def test_first_settings_are_watched_until_they_are_good(tmp_path: Path, clock: Clock) -> None:
    store = ConfigStore(tmp_path / "c.toml")
    await store.begin()
    unit = Unit(store)
    unit.health = "failed: no port"
    task = asyncio.create_task(unit.watch.run(), name="watch under test")
    for _ in range(3):
        await unit.looked()
        clock.now_s += 95
    unit.health = "ok"
    await unit.looked()
    clock.now_s += 11
    await until(lambda: store.trial is None)
    assert unit.restarts == 0
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_network_that_does_not_come_back_takes_them_back(tmp_path: Path, clock: Clock) -> None:
    async with watched(tmp_path / "c.toml", was_online=True) as unit:
        unit.online = False
        await unit.looked()
        clock.now_s += 95
        await until(lambda: unit.restarts == 1)
        assert unit.store.notice is not None
        assert "network" in unit.store.notice.reason


async def test_somebody_from_elsewhere_has_to_reach_the_page_again(tmp_path: Path, clock: Clock) -> None:
    async with watched(tmp_path / "c.toml", visitor="remote") as unit:
        clock.now_s += 100
        unit.watch.visited("local")
        await unit.looked()
        assert unit.store.trial is not None
        unit.watch.visited("remote")
        unit.watch.visited("local")
        await until(lambda: unit.store.trial is None)
        assert unit.restarts == 0


async def test_a_change_that_waits_for_a_restart_is_not_judged(tmp_path: Path, clock: Clock) -> None:
    async with watched(tmp_path / "c.toml") as unit:
        clock.now_s += 11
        await until(lambda: unit.store.trial is None)
        looks = unit.looks
        await unit.store.change({"web.port": 2})
        clock.now_s += 1000
        assert unit.store.trial is not None
        await unit.store.change({"web.port": 1})  # back to what runs: nothing to try
        await until(lambda: unit.store.trial is None)
        assert (unit.looks, unit.restarts) == (looks, 0)


@pytest.mark.parametrize(
    ("health", "well"),
    [
        ("ok", True),
        ({"a": "offline: connecting", "b": {"c": "degraded: no camera", "d": "ended"}}, True),
        ({"a": "ok", "b": {"c": "restarting: x"}}, False),
        ("failed: dark", False),
        ("crashed: x", False),
    ],
)
def test_what_counts_as_well(health: Health, well: bool) -> None:
    assert is_well(health) is well
