"""The processes of `roles.py`, and calls between them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from tests.wire import Wire

Contender = Literal["ours", "stock", "chromium", "gstreamer"]
SETTLE_S = 4.0  # bit rates have ramped up and buffers have settled


class Process:
    """A role in a process of its own; one request at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"op": op, **arguments}).encode() + b"\n")
        await self._process.stdin.drain()
        async with asyncio.timeout(90):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the bench process ended at {op!r}")
        reply: dict[str, Any] = json.loads(line)
        return reply


@asynccontextmanager
async def role(contender: str, name: str) -> AsyncIterator[Process]:
    # From bytecode, as pip leaves each program: else ours, in its source tree, compiles itself anew at each start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.roles",
        contender,
        name,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        limit=1 << 24,
    )
    try:
        yield Process(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def connect(sender: Process, receiver: Process, *, wire: Wire | None = None, fixed_rate: bool = False) -> None:
    """Over `wire` where there is one. `fixed_rate`: without send times and transport-wide feedback the receiver
    estimates no bandwidth, and the sender stays at its start rate.
    """

    def routed(sdp: str) -> str:
        return wire.route(sdp) if wire is not None else sdp

    sdp = (await sender.ask("offer"))["sdp"]
    if fixed_rate:
        sdp = re.sub(r"a=(extmap:\d+ \S+(abs-send-time|transport-wide-cc)|rtcp-fb:\d+ transport-cc)\S*\r\n", "", sdp)
    answer = await receiver.ask("answer", sdp=routed(sdp))
    await sender.ask("accept", sdp=routed(answer["sdp"]))
    await asyncio.gather(sender.ask("connected"), receiver.ask("connected"))


async def settled(process: Process, seconds: float) -> dict[str, Any]:
    """What is measured in `seconds` once bit rates and buffers have settled."""
    await process.ask("measure", seconds=SETTLE_S)
    return await process.ask("measure", seconds=seconds)
