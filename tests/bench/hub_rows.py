"""The hub under load, as rows."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tests.bench import hub
from tests.bench.flooder import KINDS
from tests.bench.table import Row, row


async def rows() -> AsyncIterator[Row]:
    """1000 clients with presence, 100 rooms of 6, 500 messages a second; rooms by size; one client that floods."""
    load = await hub.under_load()
    for kind in ("roster event", "presence event", "message"):
        p99_ms = load.tally.percentile_ms(kind, 0.99)
        yield row(f"hub: {kind} p99, 1000 clients", "ms", p99_ms, 100.0, 1.0, peer="the limit of 100 ms")
    lost, due = sum(abs(load.tally.lost(kind)) for kind in load.tally.due), load.tally.due.total()
    yield row("hub: messages lost or doubled", "of all", lost, due, 0.0, peer="all of them")
    yield row("hub: CPU, 1000 clients", "cores", load.cores, 1.0, 0.5, peer="one core")
    yield row("hub: CPU, heartbeats alone", "cores", load.idle_cores, load.cores, 1.0, peer="under load")
    for what, kb in load.kb_a_client.items():
        yield row(f"hub: memory a client, {what}", "KB", kb, 64.0, 1.0, peer="64 KB")
    cost = await hub.cost_by_room_size()
    for size, cost_us in cost.items():
        linear = cost[min(cost)] * size / min(cost)
        yield row(f"hub: CPU an event, room of {size}", "us", cost_us, linear, 1.0, peer="in proportion to 2")
    for kind, flood in (await hub.floods(tuple(KINDS))).items():
        quiet = "the quiet before"
        yield row(f"hub: p99 in a flood of {kind}", "ms", flood.flooded_ms, flood.quiet_ms, 2.0, peer=quiet)
