"""Relaying a live room: tasks that compose its members' pictures and sound, pushed over RTMP or recorded (U85 to U87).

Between being a member and `RoomClient`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from appliance.errors import InvalidArgumentError, ProfileError, RoleError
from appliance.room.member_client import MemberClient
from appliance.room.signaling_tasks import MAX_TASKS, AddTasks, DeleteTasks, RtmpTask, UpdateTasks
from appliance.room.stay import Stay


class TasksClient(MemberClient):
    """All three resolve when the hub has agreed; what becomes of a task comes as rtmp_state (U88).

    They raise `NotJoinedError` (IL16), `ProfileError` outside of profile live (IL14), `RoleError` as audience (IL15) or
    where the hub wants a moderator, `InvalidArgumentError`, `ServiceUnavailableError` of a hub that relays nothing.
    """

    async def add_tasks(self, tasks: Sequence[RtmpTask]) -> None:
        """Exactly one a call, three a room. Raises `TaskLimitError` (IL17), `TaskExistsError` (IL18)."""
        stay = self._check_host("add_tasks")
        if len(tasks) != 1:
            raise self._bad(f"{len(tasks)} tasks: exactly one a call", "add_tasks")
        checked = self._checked(tasks, "add_tasks")
        await stay.request("add_tasks", lambda request_id: AddTasks(id=request_id, tasks=checked))

    async def update_tasks(self, tasks: Sequence[RtmpTask]) -> None:
        """Each becomes what is given; one whose users and images alone change goes on without a break, another begins
        anew at its server and in a new file. Raises `TaskNotFoundError` (IL18).
        """
        stay = self._check_host("update_tasks")
        checked = self._checked(tasks, "update_tasks")
        await stay.request("update_tasks", lambda request_id: UpdateTasks(id=request_id, tasks=checked))

    async def delete_tasks(self, task_ids: Sequence[str]) -> None:
        """Raises `TaskNotFoundError` (IL18)."""
        stay = self._check_host("delete_tasks")
        if isinstance(task_ids, str) or not 1 <= len(task_ids) <= MAX_TASKS:
            raise self._bad(f"task ids {task_ids!r}: a list of 1 to {MAX_TASKS}", "delete_tasks")
        ids = tuple(map(str, task_ids))
        await stay.request("delete_tasks", lambda request_id: DeleteTasks(id=request_id, task_ids=ids))

    def _check_host(self, operation: str) -> Stay:
        stay = self._check_connected(operation)
        profile, role, state = stay.seat.profile, stay.seat.role, self._connection.state
        if profile != "live":
            raise ProfileError(f"{operation}() in a room of profile {profile}", operation=operation, state=state)
        if role != "host":
            raise RoleError(f"{operation}() as {role}", operation=operation, state=state)
        return stay

    def _checked(self, tasks: Sequence[RtmpTask], operation: str) -> tuple[RtmpTask, ...]:
        """The bounds of the wire, before it."""
        if not 1 <= len(tasks) <= MAX_TASKS:
            raise self._bad(f"{len(tasks)} tasks: 1 to {MAX_TASKS}", operation)
        try:
            return tuple(msgspec.convert(msgspec.to_builtins(task), RtmpTask) for task in tasks)
        except (msgspec.ValidationError, TypeError) as exc:
            raise self._bad(f"a task is wrong: {exc}", operation) from exc

    def _bad(self, message: str, operation: str) -> InvalidArgumentError:
        return InvalidArgumentError(message, operation=operation, state=self._connection.state)
