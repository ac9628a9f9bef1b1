"""Runs every measurement, prints the table and writes bench.json."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tests.bench import buttons, hub
from tests.bench.flooder import KINDS
from tests.bench.measure import calls, join, sender_load

RESULT = Path(__file__).parents[2] / "bench.json"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `ratio` is ours by the peer's; `goal` bounds it from above."""

    measure: str
    unit: str
    ours: float
    peer: str
    peer_value: float
    ratio: float
    goal: float
    met: bool


def row(measure: str, unit: str, ours: float, peer_value: float, goal: float, peer: str = "stock aiortc") -> Row:
    ratio = ours / peer_value
    return Row(measure, unit, round(ours, 3), peer, round(peer_value, 3), round(ratio, 3), goal, ratio <= goal)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def rows() -> list[Row]:
    table: list[Row] = []
    ours, stock = await sender_load("ours"), await sender_load("stock")
    for legs in (1, 2, 4):
        goal = {1: 1.0, 2: 0.7, 4: 0.5}[legs]
        table.append(row(f"sender CPU, {legs} legs, 720p30", "cores", ours.cpu[legs], stock.cpu[legs], goal))
    first = ours.cpu[1] - ours.cpu[0]
    table.append(
        row("each of legs 2 to 4, by the first leg", "cores", ours.extra_leg, first, 0.10, peer="our own first leg")
    )
    table.append(row("sender memory, 4 legs", "MB", ours.rss_mb, stock.rss_mb, 1.0))
    kinds: tuple[Literal["ours", "stock"], ...] = ("ours", "stock")
    by = {kind: await calls(kind) for kind in kinds}
    for name, unit, field, goal in (
        ("capture to decoded picture", "ms", "frame_ms", 1.0),
        ("mouth to ear", "ms", "sound_ms", 0.7),
    ):
        for label, share in (("p50", 0.5), ("p95", 0.95)):
            mine, theirs = (percentile(getattr(by[kind], field), share) for kind in kinds)
            table.append(row(f"{name} {label}", unit, mine, theirs, goal))
    table.append(row("receiver memory", "MB", by["ours"].rss_mb, by["stock"].rss_mb, 1.1))
    table.append(row("offer to first sound", "ms", await join("ours"), await join("stock"), 1.2))
    for name, panel in (("GPIO", buttons.gpio), ("UART", buttons.uart), ("mock", buttons.mock)):
        took_ms = await buttons.edge_to_gate_ms(panel())
        limit = f"the limit of {buttons.LIMIT_MS:g} ms"
        worst = percentile(took_ms, 0.95)
        table.append(row(f"button edge to shut gate p95, {name}", "ms", worst, buttons.LIMIT_MS, 1.0, peer=limit))
    return [*table, *await hub_rows()]


async def hub_rows() -> list[Row]:
    """1000 clients with presence, 100 rooms of 6, 500 messages a second; rooms by size; one client that floods."""
    load = await hub.under_load()
    table = []
    for kind in ("roster event", "presence event", "message"):
        p99_ms = load.tally.percentile_ms(kind, 0.99)
        table.append(row(f"hub: {kind} p99, 1000 clients", "ms", p99_ms, 100.0, 1.0, peer="the limit of 100 ms"))
    lost, due = sum(abs(load.tally.lost(kind)) for kind in load.tally.due), load.tally.due.total()
    table.append(row("hub: messages lost or doubled", "of all", lost, due, 0.0, peer="all of them"))
    table.append(row("hub: CPU, 1000 clients", "cores", load.cores, 1.0, 0.5, peer="one core"))
    table.append(row("hub: CPU, heartbeats alone", "cores", load.idle_cores, load.cores, 1.0, peer="under load"))
    for what, kb in load.kb_a_client.items():
        table.append(row(f"hub: memory a client, {what}", "KB", kb, 64.0, 1.0, peer="64 KB"))
    cost = await hub.cost_by_room_size()
    for size, cost_us in cost.items():
        linear = cost[min(cost)] * size / min(cost)
        table.append(row(f"hub: CPU an event, room of {size}", "us", cost_us, linear, 1.0, peer="in proportion to 2"))
    for kind, flood in (await hub.floods(tuple(KINDS))).items():
        quiet = "the quiet before"
        table.append(row(f"hub: p99 in a flood of {kind}", "ms", flood.flooded_ms, flood.quiet_ms, 2.0, peer=quiet))
    return table


def show(table: list[Row]) -> None:
    width = max(len(each.measure) for each in table)
    print(f"{'measure':{width}}  {'ours':>9}  {'peer':>9}  {'ratio':>6}  {'goal':>5}")
    for each in table:
        verdict = "met" if each.met else "MISSED"
        figures = f"{each.ours:9.3f}  {each.peer_value:9.3f}  {each.ratio:6.2f}  {each.goal:5.2f}"
        print(f"{each.measure:{width}}  {figures}  {verdict:6}  {each.unit}, against {each.peer}")


def main() -> None:
    table = asyncio.run(rows())
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    RESULT.write_text(
        json.dumps({"date": date, "machine": machine, "rows": [asdict(each) for each in table]}, indent=1)
    )
    show(table)


if __name__ == "__main__":
    main()
