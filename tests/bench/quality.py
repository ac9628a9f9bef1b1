"""What a call sounds and looks like on a clean and on a bad network, ours beside stock aiortc and Chromium."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from tests.bench.measure import Contender, connect, role, settled
from tests.bench.sound_scene import drift_growth_ms
from tests.bench.sources import BURST_PERIOD_S
from tests.bench.table import Row, percentile, row
from tests.wire import Wire

MEASURE_S = 20.0
FREEZE_S = 0.15
ONE_WAY_S = 0.025  # of an impaired network: 50 ms there and back


@dataclass(frozen=True, slots=True)
class Network:
    """`loss` each way, 0..1; `bursts`: every so many seconds nothing passes for so many."""

    name: str
    loss: float = 0.0
    delay_s: float = ONE_WAY_S
    bursts: tuple[float, float] | None = None


CLEAN = Network("clean", delay_s=0.0)
LOSS_1, LOSS_2, LOSS_3, LOSS_5 = (Network(f"{percent} % loss", percent / 100) for percent in (1, 2, 3, 5))
BURSTS = Network("bursts of 200 ms", bursts=(5.0, 0.2))


@dataclass(frozen=True, slots=True)
class Quality:
    """Ages in ms; freezes over 150 ms a minute, how many and how long together; share of the bursts that were heard."""

    frame_ms: list[float]
    sound_ms: list[float]
    freezes: float
    frozen_s: float
    heard: float


def judge(measured: dict[str, Any], seconds: float) -> Quality:
    times = [at_s for at_s, _ in measured["frames"]]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    freezes = [gap for gap in gaps if gap > FREEZE_S] if times else [seconds]
    return Quality(
        frame_ms=[age_ms for _, age_ms in measured["frames"] if age_ms is not None],
        sound_ms=measured["sounds_ms"],
        freezes=len(freezes) * 60 / seconds,
        frozen_s=sum(freezes) * 60 / seconds,
        heard=len(measured["sounds_ms"]) / (seconds / BURST_PERIOD_S),
    )


async def call(
    contender: Contender, network: Network, seconds: float = MEASURE_S, receiving: Contender | None = None
) -> Quality:
    """One call, both ends of the same contender, or received by another."""
    with Wire() as wire:
        async with role(contender, "sender") as sender, role(receiving or contender, "receiver") as receiver:
            await connect(sender, receiver, wire=wire)
            wire.loss, wire.delay_s, wire.bursts = network.loss, network.delay_s, network.bursts
            return judge(await settled(receiver, seconds), seconds)


def _quantiles(what: str, ours: list[float], peer: list[float], goals: tuple[float, float], name: str) -> list[Row]:
    return [
        row(f"{what} {label}", "ms", percentile(ours, share), percentile(peer, share), goal, peer=name)
        for label, share, goal in (("p50", 0.5, goals[0]), ("p95", 0.95, goals[1]))
    ]


async def rows() -> AsyncIterator[Row]:
    for network in (CLEAN, LOSS_1, LOSS_2, LOSS_3, LOSS_5, BURSTS):
        contenders: tuple[Contender, ...] = ("ours", "stock", "chromium")
        by = {contender: await call(contender, network) for contender in contenders}
        for each in compare(network, by["ours"], by["stock"], by["chromium"]):
            yield each
    first_ms, last_ms = await asyncio.to_thread(drift_growth_ms)
    what, peer = "mouth to ear p95 after 10 minutes, clocks 100 ppm apart", "its own first minute"
    yield row(what, "ms", last_ms, first_ms, 1.05, peer=peer)


def compare(network: Network, ours: Quality, stock: Quality, chromium: Quality) -> list[Row]:
    """The goals of each network; see the issue's table of the media engine in docs/bench.md."""
    table: list[Row] = []
    sound, frame = f"mouth to ear, {network.name},", f"hand-off to picture, {network.name},"
    if network is CLEAN:
        table += _quantiles(sound, ours.sound_ms, chromium.sound_ms, (0.85, 0.85), "Chromium")
        table += _quantiles(frame, ours.frame_ms, stock.frame_ms, (0.5, 0.5), "stock aiortc")
    elif network in (LOSS_2, LOSS_5):
        table += _quantiles(sound, ours.sound_ms, chromium.sound_ms, (1.0, 1.0), "Chromium")
        lost, due = (1 - min(1.0, ours.heard)), 1.0
        table.append(row(f"bursts of 40 ms not heard, {network.name}", "of all", lost, due, 0.0, peer="all of them"))
        table += _quantiles(frame, ours.frame_ms, stock.frame_ms, (1.0, 1.0), "stock aiortc")[:1]
        table += _quantiles(frame, ours.frame_ms, chromium.frame_ms, (1.0, 1.0), "Chromium")[1:]
    if network is not CLEAN:
        name = f"freezes over 150 ms, {network.name}"
        table.append(row(name, "a minute", ours.freezes, chromium.freezes, 1.0, peer="Chromium"))
        table.append(row(f"{name}, together", "s a minute", ours.frozen_s, stock.frozen_s, 1.0))
    return table
