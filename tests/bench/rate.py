"""A link that narrows and widens again: how soon the sender follows, and whether the picture stands still."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.bench.measure import Contender, Process, connect, role
from tests.bench.table import Row, row
from tests.wire import Wire

WIDE_BPS, NARROW_BPS = 2_000_000.0, 300_000.0
WARM_UP_S, NARROW_S, WIDE_S = 15.0, 12.0, 25.0
STEP_S = 0.5
FOLLOWED, BACK = 1.1, 0.8  # times the narrow rate; times the rate before
FREEZE_S = 1.0


@dataclass(frozen=True, slots=True)
class Following:
    """Seconds until the sender has followed, infinite when it has not; the longest that the picture stood still."""

    down_s: float
    up_s: float
    longest_freeze_s: float


async def _rates(sender: Process, seconds: float) -> list[tuple[float, float]]:
    """(seconds since the start, kbit/s of the step that ends there)."""
    start_s, rates = time.monotonic(), []
    while time.monotonic() - start_s < seconds:
        measured = await sender.ask("measure", seconds=STEP_S)
        rates.append((time.monotonic() - start_s, measured["kbps"]))
    return rates


def _reached(rates: list[tuple[float, float]], good: float, *, below: bool) -> float:
    """From when on the mean of two steps is good, and the next one too: one low step is a picture that was dropped."""
    smooth = [(b[0], (a[1] + b[1]) / 2) for a, b in itertools.pairwise(rates)]
    for (at_s, kbps), (_, then) in itertools.pairwise(smooth):
        if (kbps <= good and then <= good) if below else kbps >= good:
            return at_s
    return math.inf


async def follow(contender: Contender) -> Following:
    with Wire() as wire:
        async with role(contender, "sender") as sender, role(contender, "receiver") as receiver:
            await connect(sender, receiver, wire=wire)
            wire.delay_s, wire.rate_bps = 0.01, WIDE_BPS
            before = await _rates(sender, WARM_UP_S)
            before_kbps = sum(kbps for _, kbps in before[-6:]) / len(before[-6:])
            watching = asyncio.create_task(receiver.ask("measure", seconds=NARROW_S + WIDE_S), name="bench-watching")
            wire.rate_bps = NARROW_BPS
            narrow = await _rates(sender, NARROW_S)
            wire.rate_bps = WIDE_BPS
            wide = await _rates(sender, WIDE_S)
            times = [at_s for at_s, _ in (await watching)["frames"]]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    return Following(
        _reached(narrow, FOLLOWED * NARROW_BPS / 1000, below=True),
        _reached(wide, BACK * before_kbps, below=False),
        max(gaps, default=math.inf),
    )


async def rows() -> AsyncIterator[Row]:
    ours, chromium = await follow("ours"), await follow("chromium")
    freeze_s = ours.longest_freeze_s
    yield row("bit rate follows 2 Mbit/s to 300 kbit/s", "s", ours.down_s, 5.0, 1.0, peer="the limit of 5 s")
    yield row("bit rate back at 80 %", "s", ours.up_s, 15.0, 1.0, peer="the limit of 15 s")
    yield row("longest freeze meanwhile", "s", freeze_s, FREEZE_S, 1.0, peer="the limit of 1 s")
    yield row("longest freeze in the drop", "s", freeze_s, chromium.longest_freeze_s, 1.0, peer="Chromium")
