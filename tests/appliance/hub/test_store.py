"""What a hub remembers, on a real disk: over restarts, kills, full and broken files."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.hub.changes import (
    BanLifted,
    BanSet,
    CallMissed,
    Changes,
    MessageKept,
    MessagesTaken,
    MissedCallsCleared,
    RoomDropped,
    RoomKept,
)
from appliance.hub.missed_calls import MAX_OF_ONE
from appliance.hub.store import HubStore, StoreError
from appliance.room.signaling_login import MissedInvitation, PeerMessageReceived
from appliance.state_dir import HUB_STORE_FILE


def message(text: str) -> PeerMessageReceived:
    return PeerMessageReceived(message="m", sender="a", text=text, server_ts_ms=5)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[HubStore]:
    store = await HubStore.open(path)
    try:
        yield store
    finally:
        await store.close()


async def written(path: Path, *steps: Changes) -> Changes:
    async with opened(path) as store:
        for changes in steps:
            await store.write(changes)
        return await store.load()


async def test_what_holds_comes_back_and_what_was_taken_back_does_not(tmp_path: Path) -> None:
    path = tmp_path / HUB_STORE_FILE
    facts: Changes = [
        BanSet("attic", "ben", None),
        BanSet("attic", "cleo", 1234.5),
        MessageKept("b", message("first \x00 ü")),
        MessageKept("b", message("second")),
        CallMissed("b", MissedInvitation(sender="a", sender_name="Anna", content="door", at_ms=7)),
        RoomKept("lobby", "live"),
    ]
    assert await written(path, facts) == facts
    assert await written(path) == facts, "over a restart"
    undone: Changes = [
        BanLifted("attic", "ben"),
        MessagesTaken("b"),
        MissedCallsCleared("b"),
        RoomDropped("lobby"),
    ]
    assert await written(path, undone) == [BanSet("attic", "cleo", 1234.5)]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_the_last_word_counts_and_old_calls_go(tmp_path: Path) -> None:
    path = tmp_path / HUB_STORE_FILE
    calls: Changes = [CallMissed("b", MissedInvitation(sender="a", at_ms=number)) for number in range(MAX_OF_ONE + 5)]
    loaded = await written(path, [BanSet("attic", "ben", 5.0)], [BanSet("attic", "ben", 9.0)], calls)
    assert loaded[0] == BanSet("attic", "ben", 9.0)
    assert loaded[1:] == calls[5:]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400))
async def test_a_broken_file_is_put_aside(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / HUB_STORE_FILE
    for leftover in tmp_path.iterdir():
        leftover.unlink()
    path.write_bytes(data)
    fact = RoomKept("lobby", "rtc")
    assert await written(path, [fact]) == [fact]
    assert await written(path) == [fact]


async def test_a_row_that_is_not_understood_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / HUB_STORE_FILE
    await written(path, [MessageKept("b", message("good"))])
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO messages (receiver, message) VALUES ('b', x'ff7b')")
    database.close()
    assert await written(path) == [MessageKept("b", message("good"))]
    assert "left out" in caplog.text


async def test_nowhere_to_write(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(StoreError, match="file"):
        await HubStore.open(blocker / HUB_STORE_FILE)


async def test_a_step_that_does_not_fit_is_said_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / HUB_STORE_FILE
    async with opened(path) as store:
        await store.write([RoomKept("lobby", "rtc")])
        await store._database.execute("PRAGMA max_page_count=12")  # a disk that is full
        with pytest.raises(StoreError, match="full"):
            await store.write([RoomKept("attic", "rtc"), *(MessageKept("b", message("x" * 9000)) for _ in range(9))])
        assert await store.load() == [RoomKept("lobby", "rtc")]


WRITER = """
import asyncio, sys
from pathlib import Path
from appliance.hub.changes import BanSet, RoomKept
from appliance.hub.missed_calls import MAX_OF_ONE
from appliance.hub.store import HubStore

async def main() -> None:
    store = await HubStore.open(Path(sys.argv[1]))
    number = 0
    while True:
        await store.write([RoomKept(f"r{number}", "rtc"), BanSet(f"r{number}", "ben", None)])
        print(number, flush=True)
        number += 1

asyncio.run(main())
"""


@pytest.mark.parametrize("after", [1, 7, 23])
async def test_nothing_that_was_acknowledged_is_lost_by_a_kill(tmp_path: Path, after: int) -> None:
    path = tmp_path / HUB_STORE_FILE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    acknowledged = -1
    while acknowledged < after:
        acknowledged = int(await process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    rest = await process.stdout.read()
    await process.wait()
    acknowledged = max([acknowledged, *map(int, rest.split())])
    loaded = await written(path)
    rooms = [change.room for change in loaded if isinstance(change, RoomKept)]
    bans = [change.room for change in loaded if isinstance(change, BanSet)]
    assert sorted(rooms) == sorted(bans), "a step is whole or not there"
    assert {f"r{number}" for number in range(acknowledged + 1)} <= set(rooms)
