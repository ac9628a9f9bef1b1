"""What a whole call costs one side: both ways, to eight others, and after a while; and how soon it starts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from tests.bench.measure import Contender, connect, role, settled
from tests.bench.sources import FPS
from tests.bench.table import Row, percentile, row

MEASURE_S = 10.0
LATER_S = 60.0
MANY = 8
STARTS = 5


async def two_way(contender: Contender, name: str = "party", *, later_s: float = 0.0) -> tuple[float, float, float]:
    """Cores and MB of one side of a call, pictures decoded, and MB `later_s` later."""
    async with role(contender, name) as one, role(contender, name) as other:
        await connect(one, other)
        await connect(other, one)
        measured = await settled(one, MEASURE_S)
        cpu, memory_mb = measured["cpu"], measured["pss_mb"]
        if later_s:
            measured = await one.ask("measure", seconds=later_s)
        return cpu, memory_mb, measured["pss_mb"]


async def to_many(contender: Contender, legs: int) -> float:
    """Cores of a sender."""
    async with AsyncExitStack() as stack:
        sender = await stack.enter_async_context(role(contender, "fixed-sender"))
        sink = await stack.enter_async_context(role("ours", "sink"))
        for _ in range(legs):
            await connect(sender, sink, fixed_rate=True)
        return float((await settled(sender, MEASURE_S))["cpu"])


async def start(contender: Contender) -> float:
    """Seconds from the start of a program to its first remote picture; the sender is there already."""
    async with role(contender, "sender") as sender:
        await sender.ask("measure", seconds=0.5)
        start_s = time.monotonic()
        async with role(contender, "receiver") as receiver:
            await connect(sender, receiver)
            return float((await receiver.ask("first-frame"))["at_s"]) - start_s


async def starts() -> tuple[float, float]:
    """Medians of ours and of stock, in turn: a machine is faster at one time than at another."""
    times_s = [(await start("ours"), await start("stock")) for _ in range(STARTS)]
    ours, stock = zip(*times_s, strict=True)
    return percentile(ours, 0.5), percentile(stock, 0.5)


async def offer_to_sound(contender: Contender) -> float:
    """Median ms from the offer to the first sound at the receiver."""
    times_ms: list[float] = []
    for _ in range(7):
        async with role(contender, "sender") as sender, role(contender, "receiver") as receiver:
            await asyncio.gather(sender.ask("measure", seconds=0.5), receiver.ask("measure", seconds=0.5))
            start_s = time.monotonic()
            await connect(sender, receiver)
            times_ms.append((time.monotonic() - start_s) * 1000)
    return percentile(times_ms, 0.5)


async def rows() -> AsyncIterator[Row]:
    cpu, memory_mb, later_mb = await two_way("ours", later_s=LATER_S)
    chromium_cpu, chromium_mb, _ = await two_way("chromium")
    encoded_cpu, encoded_mb, _ = await two_way("ours", "encoded-party")
    what, encoding = f"720p{FPS}, both ways", "a camera that encodes"
    yield row(f"CPU of a call, {what}", "cores", cpu, chromium_cpu, 1 / 3, peer="Chromium")
    yield row(f"memory of a call, {what}", "MB", memory_mb, chromium_mb, 0.25, peer="Chromium")
    yield row(f"CPU of a call, {what}, {encoding}", "cores", encoded_cpu, chromium_cpu, 1 / 3, peer="Chromium")
    yield row(f"memory of a call, {what}, {encoding}", "MB", encoded_mb, chromium_mb, 0.25, peer="Chromium")
    yield row("memory a minute later", "MB", later_mb, memory_mb, 1.05, peer="its own at first")
    one, many = await to_many("ours", 1), await to_many("ours", MANY)
    yield row(f"CPU, 1 to {MANY}", "cores", many, one, 1.5, peer="1 to 1")
    yield row("program start to first picture", "s", *await starts(), 1.0)
    yield row("offer to first sound", "ms", await offer_to_sound("ours"), await offer_to_sound("stock"), 1.2)
