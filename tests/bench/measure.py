"""What is measured, from the processes of `roles.py`."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

Contender = Literal["ours", "stock"]
SETTLE_S = 4.0  # bit rates have ramped up and buffers have settled
MEASURE_S = 8.0
JOINS = 7


class Process:
    """A role in a process of its own; one request at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"op": op, **arguments}).encode() + b"\n")
        await self._process.stdin.drain()
        async with asyncio.timeout(60):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the bench process ended at {op!r}")
        reply: dict[str, Any] = json.loads(line)
        return reply


@asynccontextmanager
async def role(contender: str, name: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.roles",
        contender,
        name,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
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


async def connect(sender: Process, receiver: Process, *, fixed_rate: bool = False) -> None:
    """`fixed_rate`: without send times the receiver estimates no bandwidth, and the sender stays at its start rate."""
    sdp = (await sender.ask("offer"))["sdp"]
    if fixed_rate:
        sdp = re.sub(r"a=extmap:\d+ \S+abs-send-time\r\n", "", sdp)
    answer = await receiver.ask("answer", sdp=sdp)
    await sender.ask("answer", sdp=answer["sdp"])
    await asyncio.gather(sender.ask("connected"), receiver.ask("connected"))


async def _settled(process: Process) -> dict[str, Any]:
    await process.ask("measure", seconds=SETTLE_S)
    return await process.ask("measure", seconds=MEASURE_S)


@dataclass(frozen=True, slots=True)
class SenderLoad:
    """Cores used and kbit/s of the first leg by number of legs, and memory at four."""

    cpu: dict[int, float]
    kbps: dict[int, float]
    rss_mb: float

    @property
    def extra_leg(self) -> float:
        """Cores for each of the second to the fourth leg."""
        return (self.cpu[4] - self.cpu[1]) / 3


async def sender_load(contender: Contender) -> SenderLoad:
    """Cores of one sender with 0, 1, 2 and 4 legs; the other ends are the same cheap sink for each contender."""
    cpu: dict[int, float] = {}
    kbps: dict[int, float] = {}
    async with AsyncExitStack() as stack:
        sender = await stack.enter_async_context(role(contender, "sender"))
        sink = await stack.enter_async_context(role("ours", "sink"))
        measured = await _settled(sender)
        cpu[0] = measured["cpu"]
        for legs in range(1, 5):
            await connect(sender, sink, fixed_rate=True)
            if legs in (1, 2, 4):
                measured = await _settled(sender)
                cpu[legs], kbps[legs] = measured["cpu"], measured["kbps"]
    return SenderLoad(cpu, kbps, measured["rss_mb"])


@dataclass(frozen=True, slots=True)
class Call:
    frame_ms: list[float]
    sound_ms: list[float]
    rss_mb: float


async def calls(contender: Contender) -> Call:
    """One call, both ends of the same contender: latencies and the receiver's memory."""
    async with role(contender, "sender") as sender, role(contender, "receiver") as receiver:
        await connect(sender, receiver)
        measured = await _settled(receiver)
    return Call(measured["frame_ms"], measured["sound_ms"], measured["rss_mb"])


async def join(contender: Contender) -> float:
    """Median ms from the offer to the first sound at the receiver."""
    times_ms: list[float] = []
    for _ in range(JOINS):
        async with role(contender, "sender") as sender, role(contender, "receiver") as receiver:
            await asyncio.gather(sender.ask("measure", seconds=0.5), receiver.ask("measure", seconds=0.5))
            start_s = time.monotonic()
            await connect(sender, receiver)
            times_ms.append((time.monotonic() - start_s) * 1000)
    return statistics.median(times_ms)
