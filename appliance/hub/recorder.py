"""Writes down what the hub's decisions change, and sends what had to wait for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from appliance.hub.changes import Changes
from appliance.hub.seat import Output
from appliance.hub.store import HubStore, StoreError

logger = logging.getLogger(__name__)


class Recorder:
    """`send` gets the outputs of each step whose changes are on the disk, in order. Without a `store`, at once.

    A step that cannot be written is logged and goes on all the same: a full disk must not silence a hub.
    """

    def __init__(self, store: HubStore | None, send: Callable[[list[Output]], None]) -> None:
        self._store = store
        self._send = send
        self._steps: asyncio.Queue[tuple[Changes, list[Output], asyncio.Future[None]]] = asyncio.Queue()
        self._task = asyncio.create_task(self._run(), name="hub-recorder") if store is not None else None

    def record(self, changes: Changes, outputs: list[Output]) -> asyncio.Future[None]:
        """Done when the changes are on the disk and the outputs are sent."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._task is None or not (changes or (outputs and not self._steps.empty())):
            self._send(outputs)
            written.set_result(None)
        else:
            self._steps.put_nowait((changes, outputs, written))
        return written

    async def close(self) -> None:
        """Writes what waits."""
        if self._task is not None:
            await self._steps.join()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        assert self._store is not None
        while True:
            changes, outputs, written = await self._steps.get()
            try:
                if changes:
                    await self._store.write(changes)
            except StoreError as exc:
                logger.error("the hub will forget this at its next start: %s", exc)
            finally:
                self._send(outputs)
                if not written.done():
                    written.set_result(None)
                self._steps.task_done()
