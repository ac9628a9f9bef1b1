"""The settings of a running unit: read, changed, saved, put on trial and taken back.

    begin() ---- at each composition: the text that is wanted, or the last good one when that cannot be had
    change() --- checked as a whole, saved, and what can be applied at once is
    keep(), take_back() --- how a trial ends (`config_watch` judges)

Files are read and written in threads, one operation at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import structs

from appliance.config import Config, parse
from appliance.config_edit import SECRETS, Changes, Value, edit, with_secrets_of, without
from appliance.config_files import ConfigFiles, Memory, Notice, digest
from appliance.config_trial import Trial, Visitor, opened, started_too_often
from appliance.errors import ConfigError
from appliance.live import Plan, plan
from appliance.redact import redact

logger = logging.getLogger(__name__)

_REACHED_THROUGH = ("web", "wifi", "network")  # a change here may put the page out of reach


class ConfigStore:
    """`fixed`: keys ("section.key") that this program decides, whatever the file says. `must_exist`: a missing file is
    an error, not an empty one."""

    def __init__(self, file: Path, *, must_exist: bool = False, fixed: Mapping[str, Value] | None = None) -> None:
        self.text = ""
        self.config = Config()  # what is wanted
        self.running = Config()  # what is in effect
        self.check: Callable[[Config], object] = lambda config: None  # raises `ConfigError`; called in a thread
        self.apply: Callable[[Config, Plan], Awaitable[None]] | None = None  # set while a unit runs
        self.changed = asyncio.Event()  # a trial may have begun
        self.fixed = dict(fixed or {})
        self._files = ConfigFiles(file)
        self._must_exist = must_exist
        self._memory = Memory()
        self._good: str | None = None
        self._running_text = ""
        self._lock = asyncio.Lock()

    @property
    def file(self) -> Path:
        return self._files.file

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of this store, there or not."""
        return self._files.all

    @property
    def notice(self) -> Notice | None:
        """What was taken back last, until somebody has read it."""
        return self._memory.notice

    @property
    def trial(self) -> Trial | None:
        """Of the wanted text; None when it is the last good one."""
        return opened(digest(self.text), self._good_digest, self._memory.trial)

    @property
    def is_on_trial(self) -> bool:
        """Whether what is wanted may still be taken back; a first text has none before it."""
        return self.trial is not None and self._good is not None

    @property
    def is_running(self) -> bool:
        """Whether all that is wanted is in effect."""
        return self._running_text == self.text

    @property
    def pending(self) -> tuple[str, ...]:
        """The keys that wait for a restart."""
        return plan(self.running, self.config).restart

    async def begin(self) -> Config:
        """What to compose a unit of. Raises `ConfigError` when neither the wanted nor a good text can be had."""
        async with self._lock:
            await asyncio.to_thread(self._begin)
            self.changed.set()
            return self.config

    async def change(self, changes: Changes, *, visitor: Visitor = "", was_online: bool = False) -> Plan:
        """Set these keys, or give those that are None their default. Raises `ConfigError`, and then nothing changed."""
        for name in changes:
            self._check_free(name)
        return await self._replace(lambda text: edit(text, changes), visitor, was_online)

    async def replace(self, text: str, *, visitor: Visitor = "", was_online: bool = False) -> Plan:
        """Take `text` for the whole file, with the secrets it says nothing about. Raises like `change`."""

        def make(old: str) -> str:
            parse(text, "the imported settings")
            return with_secrets_of(text, old)

        return await self._replace(make, visitor, was_online)

    def export(self) -> str:
        """The file without its secrets, those in comments too. It parses: call it in a thread."""
        lines = without(self.text, SECRETS).splitlines(keepends=True)
        return "".join(redact(line) if line.lstrip().startswith("#") else line for line in lines)

    async def keep(self) -> None:
        """The trial is passed: what runs is the last good text."""
        async with self._lock:
            self._good, self._memory = self.text, Memory(None, self._memory.notice)
            await asyncio.to_thread(self._save_good)
            logger.info("%s: the settings in use are good", self.file)

    async def take_back(self, reason: str) -> bool:
        """The trial is failed: the last good text is wanted from now on. False when there is none to go back to."""
        async with self._lock:
            return self.trial is not None and await asyncio.to_thread(self._take_back, reason)

    async def stopped_cleanly(self) -> None:
        """The end of this start was wished: it counts for nothing."""
        async with self._lock:
            trial = self._memory.trial
            if trial is not None and trial.starts:
                memory = structs.replace(self._memory, trial=structs.replace(trial, starts=trial.starts - 1))
                await asyncio.to_thread(self._remember, memory)

    async def forget_notice(self) -> None:
        async with self._lock:
            if self._memory.notice is not None:
                await asyncio.to_thread(self._remember, Memory(self._memory.trial, None))

    # --- in a thread, or under the lock

    @property
    def _good_digest(self) -> str | None:
        return None if self._good is None else digest(self._good)

    def _parse(self, text: str) -> Config:
        return with_values(parse(text, str(self.file)), self.fixed)

    def _begin(self) -> None:
        self._memory = self._files.read_memory()
        good = self._files.read_good()
        self._good = good if good is not None and self._is_good(good) else None
        try:
            self.text, self.config = "", Config()
            self.text = self._files.read(must_exist=self._must_exist)
            self.config = self._parse(self.text)
        except ConfigError as exc:
            if not self._take_back(str(exc)):
                raise
        if (trial := self.trial) is not None:
            if (reason := started_too_often(trial)) and self._take_back(reason):
                trial = None
            else:
                self._remember(Memory(structs.replace(trial, starts=trial.starts + 1), self._memory.notice))
        self.running, self._running_text = self.config, self.text

    def _is_good(self, text: str) -> bool:
        with suppress(ConfigError):
            parse(text, "")
            return True
        return False

    def _take_back(self, reason: str) -> bool:
        good = self._good
        if good is None:
            return False
        config = self._parse(good)
        made = plan(config, self.config)
        logger.error("%s: these settings are taken back, the last good ones are in use: %s", self.file, reason)
        self._files.set_aside()
        self.text, self.config = good, config
        try:
            self._files.write(good)
        except ConfigError as exc:
            logger.error("the last good settings are in use, but not saved: %s", exc)
        self._remember(Memory(None, Notice(reason, (*made.live, *made.restart), time.time())))
        return True

    def _remember(self, memory: Memory) -> None:
        """What cannot be kept on a disk is at least known until the end of this process."""
        self._memory = memory
        try:
            self._files.write_memory(memory)
        except ConfigError as exc:
            logger.warning("%s", exc)

    def _save_good(self) -> None:
        try:
            self._files.write_good(self._good or "")
        except ConfigError as exc:
            logger.warning("%s", exc)
        self._remember(self._memory)

    def _check_free(self, name: str) -> None:
        if name in self.fixed:
            raise ConfigError(f"{name}: decided by this program", ((name, "decided by this program"),))

    async def _replace(self, make: Callable[[str], str], visitor: Visitor, was_online: bool) -> Plan:
        async with self._lock:
            made = await asyncio.to_thread(self._save, make, visitor, was_online)
            if self.apply is not None and made.parts:
                await self.apply(with_keys(self.running, self.config, made.live), made)
            self.running = with_keys(self.running, self.config, made.live)
            if not made.restart:
                self._running_text = self.text
            self.changed.set()
            return made

    def _save(self, make: Callable[[str], str], visitor: Visitor, was_online: bool) -> Plan:
        text = make(self._files.read())  # not what we remember: its owner may have edited it meanwhile
        config = self._parse(text)
        made = plan(self.running, config)
        if text == self.text:
            return made
        self.check(config)
        is_out_of_reach = any(name.startswith(_REACHED_THROUGH) for name in made.restart)
        visit = "remote" if visitor == "remote" else "any" if visitor else ""
        trial = Trial(digest(text), 0, was_online, visit if is_out_of_reach else "")  # type: ignore[arg-type]
        # First what is known about the new text, then the text: cut between the two, the old one is simply good.
        if self._good is None:  # what runs, and lets itself be changed, is good enough to go back to
            self._files.write_good(self._running_text)
            self._good = self._running_text
        memory = Memory(None if trial.digest == self._good_digest else trial, self._memory.notice)
        self._files.write_memory(memory)
        self._files.write(text)
        self.text, self.config, self._memory = text, config, memory
        return made


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """`config` with these keys ("section.key") at these values."""
    for name, value in values.items():
        section, _, key = name.partition(".")
        table = structs.replace(getattr(config, section), **{key: value})
        config = structs.replace(config, **{section: table})
    return config


def with_keys(config: Config, other: Config, names: tuple[str, ...]) -> Config:
    """`config` with the values that `other` has for these keys."""
    parts = {name: name.split(".") for name in names}
    return with_values(config, {name: getattr(getattr(other, section), key) for name, (section, key) in parts.items()})
