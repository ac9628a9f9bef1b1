from __future__ import annotations

import asyncio

from appliance.log_fields import about, fields


async def test_fields_go_with_tasks_and_their_tasks() -> None:
    seen: list[dict[str, str]] = []

    async def leg() -> None:
        seen.append(dict(fields()))

    async def stay() -> None:
        await asyncio.create_task(leg(), name="leg", context=about(peer="anna"))
        await leg()

    await asyncio.create_task(stay(), name="stay", context=about(room="lobby"))
    await leg()
    assert seen == [{"room": "lobby", "peer": "anna"}, {"room": "lobby"}, {}]
