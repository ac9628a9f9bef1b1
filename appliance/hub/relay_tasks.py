"""The relay tasks of the rooms (U85 to U88): who may, how many, what became of them, when to try again. Pure.

    add --> trying --pushing--> 505 ----failed----> 506: waits, then tries again, for as long as the task is there
              |                   |                  |
              +-------------------+------------------+-- deleted, its user or the room gone --> 511

While a room has tasks a hidden seat stands beside its members, with a connection number below zero: what a member of
the audience is told is told to it, and the shell (`relay.py`) listens. `on_change` says that there is something new in
`rooms` to be acted on.

Choices of this hub:
- A task belongs to the user who added it and ends when that user is gone from the room, its seat's grace included
  (D57); who may add tasks may change and delete those of others.
- A failure is told once until it pushes again. Hosts are told, the audience is not; the stream key only its own user.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from appliance.errors import (
    CryptError,
    InvalidArgumentError,
    InvalidStateError,
    NotJoinedError,
    ProfileError,
    RateLimitError,
    RoleError,
    RtcError,
    ServiceUnavailableError,
    TaskExistsError,
    TaskLimitError,
    TaskNotFoundError,
)
from appliance.hub.allowances import Allowances
from appliance.hub.feature import Feature
from appliance.hub.relay_layout import canvas_size, check_task
from appliance.hub.relay_target import Targets, parse_target
from appliance.hub.room import Room
from appliance.hub.seat import Output, Seat
from appliance.room.signaling_login import Ok
from appliance.room.signaling_room import LegMessage, SignalTo
from appliance.room.signaling_tasks import (
    MAX_TASKS,
    AddTasks,
    DeleteTasks,
    RtmpTask,
    TaskChanged,
    UpdateTasks,
)

PUSHING, FAILED, ENDED, IMAGE_FAILED = 505, 506, 511, 512  # D11
RETRY_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 15.0)
CHANGES_PER_S, CHANGE_BURST = 2.0, 30  # of one user: a change may cost decoding its images
WhoRelays = Literal["off", "moderators", "hosts"]


@dataclass(slots=True, eq=False)
class TaskState:
    """`form` grows when an update takes another encoder, file or server; `attempt` with each try. `retry_s` None: a try
    is under way, or it pushes.
    """

    task: RtmpTask
    host_user_id: str
    form: int = 1
    attempt: int = 1
    failures: int = 0  # in a row
    retry_s: float | None = None
    is_pushing: bool = False


@dataclass(slots=True, eq=False)
class RoomTasks:
    """`seat`: the hidden one."""

    room: Room
    seat: Seat
    tasks: dict[str, TaskState] = field(default_factory=dict)


class RelayTasks(Feature):
    """`most`: tasks of the whole hub. `record`: recordings can be kept. `make_secret` gives unguessable text."""

    requests = (AddTasks, UpdateTasks, DeleteTasks)

    def __init__(
        self,
        who: WhoRelays,
        targets: Targets,
        *,
        most: int,
        record: bool,
        make_secret: Callable[[], str],
    ) -> None:
        self.rooms: dict[Room, RoomTasks] = {}
        self.on_change: Callable[[], None] | None = None  # None: nobody is there to do it
        self._who = who
        self._targets = targets
        self._most = most
        self._record = record
        self._make_secret = make_secret
        self._numbers = count(-1, -1)
        self._allowances = Allowances(CHANGES_PER_S, CHANGE_BURST)

    # --- from the hosts of a room

    def receive(self, seat: Seat, message: Any, now_s: float) -> list[Output]:
        room = self._permitted(seat)
        if not self._allowances.take(seat.user_id, now_s):
            raise RateLimitError(f"over {CHANGES_PER_S:g} changes of tasks a second")
        match message:
            case AddTasks():
                outputs = self._add(seat, room, message.tasks)
            case UpdateTasks():
                outputs = self._update(room, message.tasks)
            case DeleteTasks():
                outputs = self._delete(room, message.task_ids)
            case _:
                raise AssertionError(f"nobody decides {type(message).__name__}")
        self._changed()
        return [*seat.to(Ok(id=message.id)), *outputs]

    def _permitted(self, seat: Seat) -> Room:
        room = seat.room
        if room is None:
            raise NotJoinedError("join a room first")
        if room.profile != "live":
            raise ProfileError(f"relay tasks are for rooms of the profile live, not {room.profile}")
        if seat.role != "host":
            raise RoleError("the audience has no relay tasks")
        if self._who == "off" or self.on_change is None:
            raise ServiceUnavailableError("this hub relays nothing ([hub] relay)")
        if self._who == "moderators" and not seat.may_moderate:
            raise RoleError("only a moderator of this room may relay it")
        if seat.encryption[0] != "none":
            raise CryptError("this room is encrypted from end to end: the hub has no key, and cannot relay it")
        return room

    def _add(self, seat: Seat, room: Room, tasks: tuple[RtmpTask, ...]) -> list[Output]:
        if len(tasks) != 1:
            raise InvalidArgumentError(f"{len(tasks)} tasks; exactly one can be added in a call")
        (task,) = tasks
        known = self.rooms[room].tasks if room in self.rooms else {}
        if task.task_id in known:
            raise TaskExistsError(f"task {task.task_id!r} is there already")
        if len(known) >= MAX_TASKS:
            raise TaskLimitError(f"this room has {len(known)} tasks and takes no more")
        if sum(len(other.tasks) for other in self.rooms.values()) >= self._most:
            raise TaskLimitError(f"this hub relays {self._most} tasks and takes no more")
        self._check(task)
        if room not in self.rooms:
            self.rooms[room] = RoomTasks(room, self._hidden_seat(room))
        self.rooms[room].tasks[task.task_id] = TaskState(task, seat.user_id)
        return []

    def _update(self, room: Room, tasks: tuple[RtmpTask, ...]) -> list[Output]:
        ids = [task.task_id for task in tasks]
        self._check_ids(room, ids)
        for task in tasks:
            self._check(task)
        for task in tasks:
            state = self.rooms[room].tasks[task.task_id]
            if _form(state.task) != _form(task):
                state.form += 1
                state.attempt += 1
                state.failures, state.retry_s, state.is_pushing = 0, None, False
            state.task = task
        return []

    def _delete(self, room: Room, ids: tuple[str, ...]) -> list[Output]:
        self._check_ids(room, list(ids))
        return [output for task_id in ids for output in self._end(room, task_id, "deleted")]

    def _check_ids(self, room: Room, ids: list[str]) -> None:
        if not ids:
            raise InvalidArgumentError("no task is named")
        known = self.rooms[room].tasks if room in self.rooms else {}
        for task_id in ids:
            if task_id not in known:
                raise TaskNotFoundError(f"there is no task {task_id!r}")
        if len(set(ids)) != len(ids):
            raise InvalidArgumentError("a task is named twice")

    def _check(self, task: RtmpTask) -> None:
        check_task(task)
        if task.record and not self._record:
            raise InvalidStateError("this hub keeps no recordings ([hub] recordings_mb)")
        if task.stream_url:
            self._targets.check(parse_target(task.stream_url))

    # --- from the administrator

    def of(self, room: Room) -> list[TaskState]:
        return list(self.rooms[room].tasks.values()) if room in self.rooms else []

    def end(self, room: Room, task_id: str) -> list[Output]:
        """Raises `TaskNotFoundError`."""
        self._check_ids(room, [task_id])
        outputs = self._end(room, task_id, "ended by the administrator")
        self._changed()
        return outputs

    # --- from the shell

    def pushing(self, state: TaskState, attempt: int, room: Room) -> list[Output]:
        """The server, or the file, takes what is sent."""
        if not self._is_current(state, attempt, room) or state.is_pushing:
            return []
        state.is_pushing, state.failures = True, 0
        return self._tell(room, state, PUSHING, "")

    def failed(self, state: TaskState, attempt: int, room: Room, why: str, now_s: float) -> list[Output]:
        """An attempt came to nothing, or what it had got was lost."""
        if not self._is_current(state, attempt, room) or state.retry_s is not None:
            return []
        is_news = state.is_pushing or state.failures == 0
        state.retry_s = now_s + RETRY_DELAYS_S[min(state.failures, len(RETRY_DELAYS_S) - 1)]
        state.failures += 1
        state.is_pushing = False
        return self._tell(room, state, FAILED, why) if is_news else []

    def note(self, state: TaskState, room: Room, code: int, message: str) -> list[Output]:
        """Something of a task that goes on: 512 of an image, 506 of a recording beside a push."""
        return self._tell(room, state, code, message) if self._is_current(state, state.attempt, room) else []

    def signal(self, room: Room, to: str, leg: LegMessage) -> list[Output]:
        """The hidden member says something to a member."""
        entry = self.rooms.get(room)
        if entry is None:
            return []
        try:
            return room.signal(entry.seat, SignalTo(to=to, leg=leg))
        except RtcError:  # that member is gone, and the roster is about to say so
            return []

    # --- from the room

    def left(self, seat: Seat, room: Room) -> list[Output]:
        entry = self.rooms.get(room)
        if entry is None:
            return []
        own = [task_id for task_id, state in entry.tasks.items() if state.host_user_id == seat.user_id]
        outputs = [output for task_id in own for output in self._end(room, task_id, f"{seat.user_id} left")]
        if own:
            self._changed()
        return outputs

    # --- from the clock

    def next_deadline_s(self) -> float | None:
        retries = (state.retry_s for entry in self.rooms.values() for state in entry.tasks.values())
        return min((retry_s for retry_s in retries if retry_s is not None), default=None)

    def expire(self, now_s: float) -> list[Output]:
        self._allowances.forget(now_s)
        due = [
            state
            for entry in self.rooms.values()
            for state in entry.tasks.values()
            if state.retry_s is not None and state.retry_s <= now_s
        ]
        for state in due:
            state.retry_s = None
            state.attempt += 1
        if due:
            self._changed()
        return []

    # --- inside

    def _is_current(self, state: TaskState, attempt: int, room: Room) -> bool:
        entry = self.rooms.get(room)
        return entry is not None and entry.tasks.get(state.task.task_id) is state and state.attempt == attempt

    def _end(self, room: Room, task_id: str, why: str) -> list[Output]:
        entry = self.rooms[room]
        state = entry.tasks.pop(task_id)
        if not entry.tasks:
            del self.rooms[room]
            room.hidden = None
        return self._tell(room, state, ENDED, why)

    def _hidden_seat(self, room: Room) -> Seat:
        seat = Seat(
            user_id=f"relay-{self._make_secret()[:32]}",
            user_name="",
            session="",
            token_room=room.name,
            token_role="audience",
            connection=next(self._numbers),
            role="audience",
            is_probe=True,
            room=room,
        )
        room.hidden = seat
        return seat

    def _tell(self, room: Room, state: TaskState, code: int, message: str) -> list[Output]:
        task = state.task
        outputs: list[Output] = []
        for seat in room.seats.values():
            if seat.role != "host" or seat.is_probe:
                continue
            url = task.stream_url
            if url and seat.user_id != state.host_user_id:
                url = parse_target(url).shown
            outputs += seat.tell(
                TaskChanged(task_id=task.task_id, url=url, host_user_id=state.host_user_id, code=code, message=message)
            )
        return outputs

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()


def _form(task: RtmpTask) -> tuple[object, ...]:
    """All of it that does not change from one picture to the next."""
    return task.stream_url, task.record, task.audio, task.extra_info, canvas_size(task.layout.canvas)
