"""The tasks of one owner end with it."""

from __future__ import annotations

import asyncio

from appliance.room.task_set import TaskSet


async def test_all_have_ended_when_cancel_returns_also_who_takes_its_time_and_who_fails() -> None:
    tasks, ended = TaskSet(), []

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("slow")

    async def broken() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("broken")
            raise ZeroDivisionError

    running = [tasks.spawn(slow(), "slow"), tasks.spawn(broken(), "broken")]
    assert [task.get_name() for task in running] == ["slow", "broken"]
    await asyncio.sleep(0)
    await tasks.cancel()
    assert sorted(ended) == ["broken", "slow"]
    await tasks.cancel()
