"""A hub in a process of its own, as `room-appliance hub` runs one: `python -m tests.bench.hub_process SETTINGS`.

SETTINGS are fields of HubSettings as a JSON object. Its port goes to stdout; it ends with its stdin.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import psutil
from aiohttp import web

from appliance.connections import Places, allow_files
from appliance.hub.server import Hub
from appliance.hub.settings import HubSettings
from appliance.hub.tokens import TokenSigner
from appliance.process import run
from appliance.serving import Listener

START_S = 20.0


class HubProcess:
    """What it costs, by the kernel's books."""

    def __init__(self, pid: int, port: int) -> None:
        self.port = port
        self._process = psutil.Process(pid)

    def cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def memory_bytes(self) -> int:
        """Its own pages: shared libraries are not in it."""
        return int(self._process.memory_full_info().uss)


@asynccontextmanager
async def hub_process(**settings: Any) -> AsyncIterator[HubProcess]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.hub_process",
        json.dumps(settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            port = int(await process.stdout.readline())
        yield HubProcess(process.pid, port)
    finally:
        process.stdin.close()
        with suppress(ProcessLookupError):
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _serve(settings: HubSettings) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait_for_end, name="stdin", daemon=True).start()
    hub = Hub(settings, TokenSigner(b"a secret of this measurement, 32 b"))
    application = web.Application()
    application.add_routes(hub.routes())
    allow_files(2 * settings.max_connections)
    places = Places(settings.max_connections, settings.max_connections_per_address)
    listener = Listener("127.0.0.1", 0)
    await hub.start()
    serving = asyncio.create_task(listener.serve(application, None, places=places), name="serve")
    try:
        await listener.serving.wait()
        print(listener.port, flush=True)
        await ended.wait()
    finally:
        await hub.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()


if __name__ == "__main__":
    fields = json.loads(sys.argv[1])
    run(lambda: _serve(HubSettings(**fields)))
