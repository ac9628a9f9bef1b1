"""Members come and go for years: what the unit holds stays what it was."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import psutil

from appliance import memory
from appliance.media.playout import Playout
from appliance.room.client import RoomClient
from appliance.room.events import StreamSubscribed
from appliance.room.streams import LocalStream
from tests.appliance.room.media import uplink
from tests.integration.programs import POLL_S, Unit, demo

JOINS = 20
WARM_UP = 5  # codecs, caches and arenas are there after the first ones
ALLOWED_BYTES = 12e6  # less than one leg with its codecs: 20 kept legs would be ten times as much


async def visit(unit: Unit, client: RoomClient) -> None:
    """Join, be heard and seen, hear and see, leave."""
    subscribed: set[str] = set()
    both = asyncio.Event()

    def note(event: StreamSubscribed) -> None:
        subscribed.add(event.kind)
        if len(subscribed) == 2:
            both.set()

    client.on(StreamSubscribed, note)
    async with aiohttp.request("GET", f"{unit.url}/hub/token?room=lobby&name=Visitor") as answer:  # as a page does
        token = (await answer.json())["token"]
    await client.join("lobby", token=token)
    await client.publish(LocalStream())
    async with asyncio.timeout(15):
        await both.wait()
    await unit.until(lambda state: any((peer["audio"] or {}).get("level") for peer in state["peers"]))
    await client.leave()
    client.off(StreamSubscribed, note)
    await unit.until(lambda state: not state["peers"])


async def settled(process: psutil.Process, most_bytes: float) -> tuple[float, int, int]:
    """Bytes, threads and descriptors of the unit: as soon as it is so small, or after the reclaim at the latest."""
    deadline_s = time.monotonic() + 3 * memory.SETTLE_S
    while True:
        held = process.memory_info().rss, process.num_threads(), process.num_fds()
        if held[0] <= most_bytes or time.monotonic() > deadline_s:
            return held
        await asyncio.sleep(POLL_S)


async def test_twenty_joins_and_leaves_leave_the_unit_as_it_was(tmp_path: Path) -> None:
    async with demo(tmp_path) as unit, uplink() as sender:
        await unit.connected()
        process = psutil.Process(unit.process.pid)
        playout = Playout()
        playout.start(None)
        client = RoomClient(f"ws://127.0.0.1:{unit.port}", uplink=sender, playout=playout, auto_subscribe=True)
        try:
            for _ in range(WARM_UP):
                await visit(unit, client)
            size, threads, descriptors = await settled(process, 0)
            for _ in range(JOINS):
                await visit(unit, client)
            later = await settled(process, size + ALLOWED_BYTES)
        finally:
            await client.destroy()
            await playout.close()
        assert later[0] <= size + ALLOWED_BYTES
        assert later[1] <= threads
        assert later[2] <= descriptors
