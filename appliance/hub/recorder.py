"""Writes down what the hub's decisions change, and sends what had to wait for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.hub.changes import Changes
from appliance.hub.seat import Output
from appliance.hub.store import HubStore, StoreError

logger = logging.getLogger(__name__)

MAX_TOGETHER = 256  # steps in one transaction: a card takes some 20 ms for each
MAX_WAITING = 4096  # steps: of a disk that hangs


@dataclass(slots=True)
class _Step:
    changes: Changes
    outputs: list[Output]
    written: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Recorder:
    """`send` gets the outputs of each step whose changes are on the disk, in order. Without a `store`, at once.

    A step that cannot be written is logged and goes on all the same: a disk that is full or hangs must not silence a
    hub. Only what is given up because the disk hangs may overtake what is being written.
    """

    def __init__(self, store: HubStore | None, send: Callable[[list[Output]], None]) -> None:
        self._store = store
        self._send = send
        self._steps: asyncio.Queue[_Step] = asyncio.Queue()
        self._waiting = 0  # steps in the queue and those that are being written
        self._task = asyncio.create_task(self._run(), name="hub-recorder") if store is not None else None

    def record(self, changes: Changes, outputs: list[Output]) -> asyncio.Future[None]:
        """Done when the changes are on the disk and the outputs are sent."""
        step = _Step(changes, outputs)
        if self._task is None or not (changes or (outputs and self._waiting)):
            self._end(step)
            return step.written
        if self._steps.qsize() >= MAX_WAITING:
            logger.error("the disk hangs: the hub will forget %d steps at its next start", MAX_WAITING)
            for late in self._take(MAX_WAITING):
                self._finish(late)
        self._waiting += 1
        self._steps.put_nowait(step)
        return step.written

    async def close(self) -> None:
        """Writes what waits."""
        if self._task is not None:
            await self._steps.join()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            steps = [await self._steps.get(), *self._take(MAX_TOGETHER - 1)]
            try:
                if not await self._write(steps) and len(steps) > 1:
                    for step in steps:
                        await self._write([step])
            finally:
                for step in steps:
                    self._finish(step)

    def _take(self, most: int) -> list[_Step]:
        return [self._steps.get_nowait() for _ in range(min(most, self._steps.qsize()))]

    async def _write(self, steps: list[_Step]) -> bool:
        assert self._store is not None
        try:
            await self._store.write([change for step in steps for change in step.changes])
        except StoreError as exc:
            if len(steps) == 1:
                logger.error("the hub will forget this at its next start: %s", exc)
            return False
        return True

    def _finish(self, step: _Step) -> None:
        self._waiting -= 1
        self._end(step)
        self._steps.task_done()

    def _end(self, step: _Step) -> None:
        self._send(step.outputs)
        if not step.written.done():
            step.written.set_result(None)
