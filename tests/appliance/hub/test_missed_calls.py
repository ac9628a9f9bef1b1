from __future__ import annotations

from appliance.hub.changes import CallMissed, Change
from appliance.hub.missed_calls import MAX_BEGUN, MissedCalls


def test_who_rings_everybody_shuts_nobody_elses_calls_out() -> None:
    kept: list[Change] = []
    book = MissedCalls(kept.append, lambda: 0.0)
    for number in range(MAX_BEGUN + 50):
        book.add(f"nobody-{number}", "prankster", "", "")
    assert len(kept) == MAX_BEGUN
    book.add("desk", "door", "Door", "hello?")
    book.add("desk", "prankster", "", "")  # whose calls are kept like any other's where there is a list already
    assert [(change.callee, change.call.sender) for change in kept[MAX_BEGUN:] if isinstance(change, CallMissed)] == [
        ("desk", "door"),
        ("desk", "prankster"),
    ]
