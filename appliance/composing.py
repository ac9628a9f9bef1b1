"""Composing the unit anew within the process: for settings that need it, and for those that are taken back.

begin -> compose --- restart asked ------------> begin ...
                \\--- it failed: take back -----> begin ...
                 \\-- nothing to go back to: the error ends the process
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from appliance.config import Config
from appliance.config_store import ConfigStore

logger = logging.getLogger(__name__)

ASK_DELAY_S = 0.05

Compose = Callable[[Config], Coroutine[Any, Any, None]]


class Restart:
    """The wish for a new composition; `before` is done in between, while nothing of the unit runs."""

    def __init__(self) -> None:
        self.before: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """A moment from now: the answer that promised it is on its way by then."""
        asyncio.get_running_loop().call_later(ASK_DELAY_S, self._asked.set)

    async def wait(self) -> None:
        await self._asked.wait()

    async def between(self) -> None:
        self._asked.clear()
        before, self.before = self.before, None
        if before is not None:
            await before()


async def keep_composed(store: ConfigStore, compose: Compose, restart: Restart) -> None:
    """Until cancelled. `compose` is the unit with one configuration, until cancelled, and leaves nothing open.

    Raises `ConfigError` when no configuration can be had, and what `compose` raises when there is no better one.
    """
    while True:
        await restart.between()
        config = await store.begin()
        try:
            await until(restart.wait, compose(config))
        except asyncio.CancelledError:
            await store.stopped_cleanly()
            raise
        except Exception as exc:
            if not await store.take_back(f"the unit ended with them: {words(exc)}"):
                raise
            logger.debug("the unit failed", exc_info=exc)
        else:
            await store.stopped_cleanly()
            logger.info("composing the unit anew")


async def until(wait: Callable[[], Coroutine[Any, Any, Any]], work: Coroutine[Any, Any, None]) -> None:
    """`work` until `wait()` returns; it is cancelled then and has ended when this returns. Raises what it raises."""
    working = asyncio.create_task(work, name="until-told")
    waiting = asyncio.create_task(wait(), name="until-told-wait")
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        working.cancel()
        await asyncio.wait({working, waiting})
    if not working.cancelled():
        working.result()


def words(error: BaseException) -> str:
    """One line of what lies under the groups."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(words, error.exceptions))
    return " ".join(str(error).split()) or type(error).__name__
