"""Two units on one cable hear of each other by mDNS, follow a new address, and lose one that is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.netns import cable
from tests.integration.programs import Unit, appliance

PORT = 8080  # of each: it has a network of its own
FOUND_S = 20.0  # probing takes a second, looking at the own addresses five


def config(name: str, more: str = "") -> str:
    return f"""
[device]
name = "{name}"
[web]
port = {PORT}
tls = "off"
[gpio]
driver = "none"
[audio]
driver = "none"
[video]
driver = "none"
{more}
"""


async def until_found(unit: Unit, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    deadline_s = time.monotonic() + FOUND_S
    while True:
        hubs: list[dict[str, Any]] = (await unit.get("/api/hubs"))["hubs"]
        if condition(hubs):
            return hubs
        assert time.monotonic() < deadline_s, f"never so: {hubs}\n{unit.log.read_text()[-3000:]}"
        await asyncio.sleep(0.2)


async def test_hubs_on_the_network(tmp_path: Path) -> None:
    async with (
        cable() as (left, right),
        appliance(tmp_path / "porch", config("Porch"), PORT, where=left) as porch,
    ):
        async with appliance(tmp_path / "yard", config("Yard", '[room]\nroom = "yard"\n'), PORT, where=right) as yard:
            await until_found(yard, lambda hubs: [hub["name"] for hub in hubs] == ["Porch"])
            [found] = await until_found(porch, bool)
            address = f"ws://{right.address}:{PORT}/hub/ws"
            assert found == {"name": "Yard", "url": address, "room": "yard", "fingerprint": ""}
            await yard.until(lambda state: state["health"]["mdns"] == "ok")

            right.move_to("10.77.0.99")
            await until_found(porch, lambda hubs: [hub["url"] for hub in hubs] == [f"ws://10.77.0.99:{PORT}/hub/ws"])
            assert await yard.stop() < 3.0
        await until_found(porch, lambda hubs: hubs == [])
        await porch.stop()
