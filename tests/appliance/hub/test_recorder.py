"""What is written down, and what waits for it, on a real disk that may be slow, hang or be full."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.hub.changes import MessageKept, RoomKept
from appliance.hub.recorder import MAX_TOGETHER, MAX_WAITING, Recorder
from appliance.hub.seat import Output, Send
from appliance.hub.store import HubStore
from appliance.room.signaling_login import Ok, PeerMessageReceived


def ok(number: int) -> list[Output]:
    return [Send(1, Ok(id=number), durable=True)]


def room(number: int) -> RoomKept:
    return RoomKept(f"r{number:05}", "rtc")


class Desk:
    def __init__(self, store: HubStore) -> None:
        self.store = store
        self.sent: list[int] = []
        self.recorder = Recorder(store, self._send)

    def _send(self, outputs: list[Output]) -> None:
        for output in outputs:
            assert isinstance(output, Send)
            assert isinstance(output.message, Ok)
            self.sent.append(output.message.id)


@asynccontextmanager
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = await HubStore.open(tmp_path / "hub.sqlite3")
    made = Desk(store)
    try:
        yield made
    finally:
        await made.recorder.close()
        await store.close()


async def test_what_waits_for_the_disk_is_written_together_and_sent_in_order(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        statements: list[str] = []
        await one.store._database.set_trace_callback(statements.append)
        many = 3 * MAX_TOGETHER
        last = [one.recorder.record([room(number)], ok(number)) for number in range(many)][-1]
        await last
        assert one.sent == list(range(many))
        assert statements.count("COMMIT") == 3
        assert len(await one.store.load()) == many


async def test_one_step_that_does_not_fit_takes_no_other_along(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk(tmp_path) as one:
        await one.recorder.record([room(0)], ok(0))
        await one.store._database.execute("PRAGMA max_page_count=12")  # a disk that is full
        big = PeerMessageReceived(message="m", sender="a", text="x" * 9000, server_ts_ms=5)
        one.recorder.record([room(1)], ok(1))
        one.recorder.record([MessageKept("b", big) for _ in range(9)], ok(2))
        await one.recorder.record([room(3)], ok(3))
        assert one.sent == [0, 1, 2, 3]
        assert await one.store.load() == [room(0), room(1), room(3)]
        assert caplog.text.count("forget this at its next start") == 1


async def test_what_changes_nothing_does_not_overtake_what_is_being_written(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        async with one.store._lock:  # as while it writes
            first = one.recorder.record([room(1)], ok(1))
            for _ in range(5):
                await asyncio.sleep(0)
            assert one.recorder._steps.empty()
            last = one.recorder.record([], ok(2))
            assert one.sent == []
        await first
        await last
        assert one.sent == [1, 2]


async def test_a_disk_that_hangs_silences_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with desk(tmp_path) as one:
        await one.recorder.record([room(0)], ok(0))
        async with one.store._lock:  # as while it writes
            one.recorder.record([room(1)], ok(1))
            last = [one.recorder.record([room(number)], ok(number)) for number in range(2, MAX_WAITING + 3)][-1]
            assert one.sent == list(range(MAX_WAITING + 1)), "what waits is told, and what comes now waits anew"
            assert "the disk hangs" in caplog.text
        await last
        assert one.sent[-2:] == [MAX_WAITING + 1, MAX_WAITING + 2]
        assert room(MAX_WAITING + 2) in await one.store.load()
