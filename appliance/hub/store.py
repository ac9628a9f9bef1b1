"""What a hub remembers over its restarts, in SQLite: bans, kept messages, missed calls, rooms that stand empty.

Each `write` is one transaction that is on the disk when it returns (WAL, synchronous=FULL), so that a power cut at any
moment leaves all of a step or nothing. A database that cannot be read is moved aside and a new one begun: a hub without
its memory is better than none, and the log says so.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import TypeVar

import aiosqlite
import msgspec

from appliance.errors import ApplianceError
from appliance.hub.changes import (
    BanLifted,
    BanSet,
    CallMissed,
    Change,
    Changes,
    MessageKept,
    MessagesTaken,
    MissedCallsCleared,
    RoomDropped,
    RoomKept,
)
from appliance.hub.missed_calls import MAX_OF_ONE
from appliance.room.signaling_login import MissedInvitation, PeerMessageReceived

logger = logging.getLogger(__name__)


_SCHEMA = """
CREATE TABLE IF NOT EXISTS bans (room TEXT, user_id TEXT, until REAL, PRIMARY KEY (room, user_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (number INTEGER PRIMARY KEY, receiver TEXT NOT NULL, message BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS messages_receiver ON messages (receiver);
CREATE TABLE IF NOT EXISTS missed_calls (number INTEGER PRIMARY KEY, callee TEXT NOT NULL, call BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS missed_calls_callee ON missed_calls (callee);
CREATE TABLE IF NOT EXISTS rooms (room TEXT PRIMARY KEY, profile TEXT NOT NULL) WITHOUT ROWID;
"""

_encoder = msgspec.json.Encoder()

T = TypeVar("T")


class StoreError(ApplianceError):
    """The database cannot be written. The message names the file and what to do."""


class HubStore:
    """Opened by `open`; one writer at a time."""

    def __init__(self, path: Path, database: aiosqlite.Connection) -> None:
        self._path = path
        self._database = database
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path) -> HubStore:
        """Raises `StoreError` where no database can be made."""
        try:
            return await cls._open(path)
        except sqlite3.DatabaseError as exc:
            if isinstance(exc, sqlite3.OperationalError):
                raise StoreError(f"{path}: {exc}; the hub keeps bans and missed calls there") from exc
            aside = path.with_suffix(".broken")
            logger.error("%s: %s; moved to %s, the hub begins without its memory", path, exc, aside.name)
            await asyncio.to_thread(path.replace, aside)
            return await cls._open(path)
        except OSError as exc:
            raise StoreError(f"{path}: {exc.strerror}; the hub keeps bans and missed calls there") from exc

    @classmethod
    async def _open(cls, path: Path) -> HubStore:
        await asyncio.to_thread(_prepare, path)
        database = await aiosqlite.connect(path, isolation_level=None)
        try:
            await database.execute("PRAGMA journal_mode=WAL")
            await database.execute("PRAGMA synchronous=FULL")
            await database.executescript(_SCHEMA)
        except BaseException:
            await database.close()
            raise
        return cls(path, database)

    async def load(self) -> Changes:
        """Everything that holds, as the changes that lead to it. Rows that are not understood are left out."""
        changes: Changes = []
        async with self._database.execute("SELECT room, user_id, until FROM bans") as rows:
            changes += [BanSet(*row) async for row in rows]
        async with self._database.execute("SELECT receiver, message FROM messages ORDER BY number") as rows:
            async for receiver, data in rows:
                changes += [MessageKept(receiver, message) for message in self._decoded(data, PeerMessageReceived)]
        async with self._database.execute("SELECT callee, call FROM missed_calls ORDER BY number") as rows:
            async for callee, data in rows:
                changes += [CallMissed(callee, call) for call in self._decoded(data, MissedInvitation)]
        async with self._database.execute("SELECT room, profile FROM rooms") as rows:
            changes += [RoomKept(room, profile) async for room, profile in rows]
        return changes

    async def write(self, changes: Changes) -> None:
        """All of them or, with `StoreError`, none; on the disk when it returns."""
        async with self._lock:
            try:
                await self._database.execute("BEGIN IMMEDIATE")
                try:
                    for change in changes:
                        await self._apply(change)
                    await self._database.execute("COMMIT")
                except BaseException:
                    if self._database.in_transaction:  # a full disk has rolled it back already
                        await self._database.execute("ROLLBACK")
                    raise
            except sqlite3.Error as exc:
                raise StoreError(f"{self._path}: {exc}; free space on the disk") from exc

    async def close(self) -> None:
        async with self._lock:
            await self._database.close()

    async def _apply(self, change: Change) -> None:
        execute = self._database.execute
        match change:
            case BanSet(room, user_id, until):
                await execute("INSERT OR REPLACE INTO bans VALUES (?, ?, ?)", (room, user_id, until))
            case BanLifted(room, user_id):
                await execute("DELETE FROM bans WHERE room = ? AND user_id = ?", (room, user_id))
            case MessageKept(to, message):
                row = (to, _encoder.encode(message))
                await execute("INSERT INTO messages (receiver, message) VALUES (?, ?)", row)
            case MessagesTaken(to):
                await execute("DELETE FROM messages WHERE receiver = ?", (to,))
            case CallMissed(callee, call):
                await execute("INSERT INTO missed_calls (callee, call) VALUES (?, ?)", (callee, _encoder.encode(call)))
                await execute(
                    "DELETE FROM missed_calls WHERE callee = ? AND number NOT IN"
                    " (SELECT number FROM missed_calls WHERE callee = ? ORDER BY number DESC LIMIT ?)",
                    (callee, callee, MAX_OF_ONE),
                )
            case MissedCallsCleared(callee):
                await execute("DELETE FROM missed_calls WHERE callee = ?", (callee,))
            case RoomKept(room, profile):
                await execute("INSERT OR REPLACE INTO rooms VALUES (?, ?)", (room, profile))
            case RoomDropped(room):
                await execute("DELETE FROM rooms WHERE room = ?", (room,))

    def _decoded(self, data: bytes, cls: type[T]) -> list[T]:
        try:
            return [msgspec.json.decode(data, type=cls)]
        except (msgspec.MsgspecError, UnicodeError) as exc:
            logger.warning("%s: a row is left out: %s", self._path, exc)
            return []


def _prepare(path: Path) -> None:
    """The file is the owner's alone from its first moment."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600, exist_ok=True)
