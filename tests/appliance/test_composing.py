"""Composing again and again: restarts, failures, and an end that leaves nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from appliance import composing
from appliance.composing import Restart, keep_composed, until, words
from appliance.config import Config
from appliance.config_store import ConfigStore
from appliance.errors import ConfigError
from tests.appliance.unit import until as eventually


@pytest.fixture
def store(tmp_path: Path) -> ConfigStore:
    file = tmp_path / "c.toml"
    file.write_text('[device]\nname = "Door"\n')
    return ConfigStore(file)


class Units:
    """What was composed, and whether the one before had ended by then."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.running = 0

    async def compose(self, config: Config) -> None:
        assert self.running == 0
        self.running += 1
        self.names.append(config.device.name)
        try:
            if config.device.name == "Broken":
                raise ExceptionGroup("deep", [ConfigError("cannot be had")])
            await asyncio.Event().wait()
        finally:
            self.running -= 1


async def test_a_restart_takes_over_what_was_changed(store: ConfigStore) -> None:
    units, restart = Units(), Restart()
    task = asyncio.create_task(keep_composed(store, units.compose, restart))
    await eventually(lambda: units.running)
    await store.change({"device.name": "Gate", "web.port": 1})
    restart.ask()
    await eventually(lambda: units.names == ["Door", "Gate"])
    done: list[int] = []

    async def between() -> None:
        done.append(units.running)

    restart.before = between
    restart.ask()
    await eventually(lambda: len(units.names) == 3)
    assert done == [0]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert units.running == 0


async def test_settings_with_which_it_fails_are_taken_back_at_once(store: ConfigStore) -> None:
    units, restart = Units(), Restart()
    task = asyncio.create_task(keep_composed(store, units.compose, restart))
    await eventually(lambda: units.running)
    await store.change({"device.name": "Broken", "web.port": 1})
    restart.ask()
    await eventually(lambda: units.names == ["Door", "Broken", "Door"])
    assert store.notice is not None
    assert "cannot be had" in store.notice.reason
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_failure_that_no_settings_are_to_blame_for_ends_it(store: ConfigStore) -> None:
    async def fail(_config: Config) -> None:
        raise OSError("no more")

    await store.begin()
    await store.keep()
    with pytest.raises(OSError, match="no more"):
        await keep_composed(store, fail, Restart())


async def test_until_ends_the_work_and_passes_errors_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composing, "ASK_DELAY_S", 0)
    told, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            told.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    await until(told.wait, work())
    assert ended.is_set()

    async def fail() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await until(asyncio.Event().wait, fail())


def test_words_of_what_lies_below_groups() -> None:
    assert words(ExceptionGroup("g", [ValueError("a\nb"), ExceptionGroup("h", [KeyError()])])) == "a b; KeyError"
