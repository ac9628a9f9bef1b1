"""The relay's shell: makes what runs in the rooms what `RelayTasks` says should, and reports what became of it.

The media behind it is imported with the first task: a hub that relays nothing needs none of it.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.hub.recordings import Recordings
from appliance.hub.relay_target import Targets
from appliance.hub.relay_tasks import FAILED, IMAGE_FAILED, RelayTasks, RoomTasks, TaskState
from appliance.hub.room import Room
from appliance.hub.seat import Output
from appliance.room.signaling import HubMessage
from appliance.room.signaling_room import IceServer, LegMessage

if TYPE_CHECKING:
    from appliance.hub.relay_room import RoomRelay
    from appliance.hub.relay_run import TaskRun

logger = logging.getLogger(__name__)

PRUNE_S = 3600.0  # between looks for recordings that have become too old


class Relay:
    """`perform` runs a decision at the time it is given and sends what it causes; `prepare` makes this process ready
    for media, in a thread, before the first.
    """

    def __init__(
        self,
        tasks: RelayTasks,
        perform: Callable[[Callable[[float], list[Output]]], Any],
        targets: Targets,
        *,
        ice_servers: Callable[[str], Sequence[IceServer]],
        recordings: Recordings | None,
        images: Path | None,
        prepare: Callable[[], None],
    ) -> None:
        self._tasks = tasks
        self._perform = perform
        self._targets = targets
        self._ice_servers = ice_servers
        self._recordings = recordings
        self._images = images
        self._prepare = prepare
        self._rooms: dict[RoomTasks, RoomRelay] = {}
        self._states: dict[TaskRun, tuple[TaskState, int]] = {}  # and of which form
        self._by_number: dict[int, RoomRelay] = {}
        self._media: Any = None  # the module relay_room, and TaskRun beside it
        self._runs: Any = None
        self._wake = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._tasks.on_change = self._wake.set
        self._follower = asyncio.create_task(self._follow(), name="relay")

    async def close(self) -> None:
        self._tasks.on_change = None
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
        rooms, self._rooms = self._rooms, {}
        self._by_number.clear()
        await asyncio.gather(*(room.close() for room in rooms.values()), return_exceptions=True)

    def deliver(self, number: int, message: HubMessage) -> None:
        """What a hidden member is told."""
        if (room := self._by_number.get(number)) is not None:
            room.deliver(message)

    # --- inside

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PRUNE_S):
                    await self._wake.wait()
            is_woken = self._wake.is_set()
            self._wake.clear()
            try:
                if is_woken:
                    await self._reconcile()
                elif self._recordings is not None:
                    await asyncio.to_thread(self._recordings.prune)
            except OSError as exc:
                logger.warning("relay: recordings: %s", exc)
            except Exception:
                logger.exception("relay: the tasks cannot be followed")

    async def _reconcile(self) -> None:
        if self._tasks.rooms and self._media is None:
            await asyncio.to_thread(self._load)
        for entry in [entry for entry in self._rooms if self._tasks.rooms.get(entry.room) is not entry]:
            room = self._rooms.pop(entry)
            self._by_number.pop(entry.seat.connection or 0, None)
            await room.close()
        for entry in list(self._tasks.rooms.values()):
            if entry not in self._rooms:
                room = self._rooms[entry] = self._media.RoomRelay(
                    entry.room.name,
                    entry.room.members_for(entry.seat),
                    partial(self._signal, entry.room),
                    self._ice_servers(entry.seat.user_id),
                )
                self._by_number[entry.seat.connection or 0] = room
            await self._reconcile_room(entry, self._rooms[entry])

    def _load(self) -> None:
        """Takes a second of a small machine."""
        self._runs = importlib.import_module("appliance.hub.relay_run")
        media = importlib.import_module("appliance.hub.relay_room")
        self._prepare()
        self._media = media

    async def _reconcile_room(self, entry: RoomTasks, room: RoomRelay) -> None:
        for task_id, run in list(room.runs.items()):
            state, form = self._states[run]
            if entry.tasks.get(task_id) is not state or state.form != form:
                del room.runs[task_id]
                del self._states[run]
                await run.close()
        for task_id, state in list(entry.tasks.items()):
            if task_id not in room.runs:
                room.runs[task_id] = self._new_run(entry.room, state, room)
                self._states[room.runs[task_id]] = (state, state.form)
            run = room.runs[task_id]
            if run.task is not state.task:
                run.set_task(state.task)
            if run.attempt != state.attempt and state.retry_s is None:
                run.try_again(state.attempt)
        room.settle()

    def _new_run(self, room: Room, state: TaskState, media: RoomRelay) -> TaskRun:
        def report(attempt: int, why: str | None) -> None:
            if why is None:
                self._perform(lambda _now_s: self._tasks.pushing(state, attempt, room))
            else:
                self._perform(lambda now_s: self._tasks.failed(state, attempt, room, why, now_s))

        def note(is_image: bool, why: str) -> None:
            self._perform(lambda _now_s: self._tasks.note(state, room, IMAGE_FAILED if is_image else FAILED, why))

        run: TaskRun = self._runs.TaskRun(
            room.name,
            state.task,
            media.sound,
            media.pictures,
            targets=self._targets,
            recordings=self._recordings,
            images=self._images,
            report=report,
            note=note,
        )
        return run

    def _signal(self, room: Room, to: str, leg: LegMessage) -> None:
        self._perform(lambda _now_s: self._tasks.signal(room, to, leg))
