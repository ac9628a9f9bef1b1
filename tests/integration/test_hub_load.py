"""A hub process among many clients, and one of them that misbehaves. Strict figures are `make bench`'s business: a
machine with other work to do says nothing about milliseconds.
"""

from __future__ import annotations

import pytest

from tests.bench.hub import crowd, floods

pytestmark = pytest.mark.alone

SLACK_MS = 60.0  # a neighbor's time slice or two
GENEROUS = 6.0


async def test_a_crowd_loses_nothing() -> None:
    async with crowd(120, 12, 6) as everybody:
        await everybody.load(3, messages_per_s=60, events_per_s=20, flickers_per_s=2)
        tally = everybody.tally
    assert {kind: tally.lost(kind) for kind in tally.due} == dict.fromkeys(tally.due, 0)
    assert set(tally.due) == {"roster event", "message", "acknowledgement", "presence event"}
    assert not tally.errors


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("messages", "rate-limit"),
        ("joins", "rate-limit"),
        ("invitations", "rate-limit"),
        ("presence", "rate-limit"),
        ("garbage", "message-malformed"),
        ("reconnects", ""),
    ],
)
async def test_a_flood_is_limited_told_so_and_costs_the_others_nothing(kind: str, told: str) -> None:
    flood = (await floods((kind,), clients=72, rooms=12, seconds=2.0))[kind]
    assert flood.lost == 0
    assert flood.flooded_ms <= GENEROUS * flood.quiet_ms + SLACK_MS, flood
    if told:
        assert flood.said["codes"][told] > 0
        assert flood.said["closes"]["1008"] > 0
    else:
        assert flood.said["refused"] > 0
