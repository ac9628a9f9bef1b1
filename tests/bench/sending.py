"""What a sender costs, by the number of its legs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

from tests.bench import gstreamer
from tests.bench.measure import Contender, connect, role, settled
from tests.bench.table import Row, percentile, row

MEASURE_S = 8.0
TURNS, TRIES = 3, 3
PICTURES_KBPS = 500.0  # less is sound alone


@dataclass(frozen=True, slots=True)
class SenderLoad:
    """Cores used and kbit/s of the first leg by number of legs, and memory at four."""

    cpu: dict[int, float]
    kbps: dict[int, float]
    pss_mb: float

    @property
    def first_leg(self) -> float:
        """Cores beyond those of the sources."""
        return self.cpu[1] - self.cpu[0]

    @property
    def extra_leg(self) -> float:
        """Cores for each of the second to the fourth leg."""
        return (self.cpu[4] - self.cpu[1]) / 3


async def sender_load(contender: Contender, kind: str = "fixed-sender") -> SenderLoad:
    """Cores of one sender with 0, 1, 2 and 4 legs; the other ends are the same cheap sink for each contender."""
    cpu: dict[int, float] = {}
    kbps: dict[int, float] = {}
    async with AsyncExitStack() as stack:
        sender = await stack.enter_async_context(role(contender, kind))
        sink = await stack.enter_async_context(role("ours", "sink"))
        measured = await settled(sender, MEASURE_S)
        cpu[0] = measured["cpu"]
        for legs in range(1, 5):
            await connect(sender, sink, fixed_rate=True)
            if legs in (1, 2, 4):
                measured = await settled(sender, MEASURE_S)
                cpu[legs], kbps[legs] = measured["cpu"], measured["kbps"]
    return SenderLoad(cpu, kbps, measured["pss_mb"])


async def second_layer() -> float:
    """Cores of a leg that takes the low layer, beside one that takes the high one."""
    async with role("ours", "layers-sender") as sender, role("ours", "sink") as sink:
        cpu = []
        for _ in range(2):
            await connect(sender, sink, fixed_rate=True)
            cpu.append((await settled(sender, MEASURE_S))["cpu"])
    return float(cpu[1] - cpu[0])


async def rows() -> AsyncIterator[Row]:
    ours, stock = await sender_load("ours"), await sender_load("stock")
    for legs, goal in ((1, 1.0), (2, 0.7), (4, 0.5)):
        yield row(f"sender CPU, {legs} legs, 720p30", "cores", ours.cpu[legs], stock.cpu[legs], goal)
    own = "our own first leg"
    yield row("each of legs 2 to 4, by the first leg", "cores", ours.extra_leg, ours.first_leg, 0.10, peer=own)
    yield row("sender memory, 4 legs", "MB", ours.pss_mb, stock.pss_mb, 1.0)
    second = await second_layer()
    yield row("a second, low layer, taken by a second leg", "cores", second, ours.first_leg, 0.5, peer=own)
    async for each in gstreamer_rows():
        yield each


async def gstreamer_rows() -> AsyncIterator[Row]:
    """The same film with sound, encoded before or by x264; none where GStreamer is missing.

    Medians, in turn: a machine is faster at one time than at another.
    """
    if packages := gstreamer.missing():
        print(f"no rows against GStreamer, for something of Debian's is missing: {packages}")
        return
    for kind, name in (("h264-sender", "pass-through"), ("x264-sender", "x264")):
        loads = [(await sender_load("ours", kind), await _gstreamer_load(kind)) for _ in range(TURNS)]
        for what, value in (("first leg", "first_leg"), ("each further leg", "extra_leg")):
            mine, peer = (percentile([getattr(load, value) for load in side], 0.5) for side in zip(*loads, strict=True))
            yield row(f"{name} 720p30, {what}", "cores", mine, peer, 1.0, peer="GStreamer webrtcbin")


async def _gstreamer_load(kind: str) -> SenderLoad:
    """At times its pipeline does not start, or sends no pictures."""
    for _ in range(TRIES):
        try:
            load = await sender_load("gstreamer", kind)
        except TimeoutError:
            continue
        if load.kbps[1] > PICTURES_KBPS:
            return load
    raise RuntimeError(f"GStreamer sent no pictures in {TRIES} tries")
