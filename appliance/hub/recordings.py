"""Recordings of relay tasks: MP4 files, so many bytes and so old at most, the oldest go first. Blocks for the disk."""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = "recordings"  # in the state directory
KEEP_FREE_BYTES = 256 * 1024 * 1024  # of the disk, for everything else
CHECK_BYTES = 1024 * 1024  # written between two looks at what is there
_NAME = re.compile(r"\d{8}-([A-Za-z0-9._~-]{1,64})-([A-Za-z0-9_]{1,64})\.mp4")


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """`name` begins with a number that grows; `at`: seconds since 1970 of its last byte. `growing`: it is recorded."""

    name: str
    room: str
    task_id: str
    bytes: int
    at: float
    growing: bool


class Recordings:
    """May be used by several threads."""

    def __init__(self, directory: Path, max_bytes: int, max_age_s: float) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._growing: set[str] = set()
        self._lock = threading.Lock()

    def all(self) -> list[StoredRecording]:
        """Oldest first."""
        with self._lock:
            return self._all()

    def open(self, room: str, task_id: str) -> Recording:
        """Raises OSError, also when there is no space for it."""
        with self._lock:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._prune()
            stored = self._all()
            number = int(stored[-1].name[:8]) + 1 if stored else 1
            name = f"{number:08}-{room}-{task_id}.mp4"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(self._directory / name, flags, 0o600)
            self._growing.add(name)
        return Recording(self, name, descriptor)

    def path(self, name: str) -> Path | None:
        """None when there is none of this name."""
        path = self._directory / name
        return path if _NAME.fullmatch(name) and path.is_file() else None

    def delete(self, name: str) -> bool:
        """Whether it was there. One that is still recorded stays: its task ends it."""
        with self._lock:
            path = self.path(name)
            if path is None or name in self._growing:
                return False
            path.unlink(missing_ok=True)
            return True

    def prune(self) -> None:
        """What is too old goes, and the oldest while there is too much."""
        with self._lock:
            self._prune()

    def make_room(self) -> None:
        """For what is being written. Raises OSError when nothing that may go would be enough."""
        with self._lock:
            self._prune()
            if sum(stored.bytes for stored in self._all()) > self._max_bytes:
                raise OSError(errno.EDQUOT, f"recordings may take {self._max_bytes // 1_000_000} MB")

    def done(self, name: str) -> None:
        with self._lock:
            self._growing.discard(name)

    def _all(self) -> list[StoredRecording]:
        if not self._directory.is_dir():
            return []
        found = []
        for path in sorted(self._directory.iterdir()):
            match = _NAME.fullmatch(path.name)
            with suppress(FileNotFoundError):  # its owner may delete one by hand
                if match is not None:
                    facts, growing = path.stat(), path.name in self._growing
                    found.append(StoredRecording(path.name, match[1], match[2], facts.st_size, facts.st_mtime, growing))
        return found

    def _prune(self) -> None:
        stored = self._all()
        total = sum(one.bytes for one in stored)
        disk = os.statvfs(self._directory) if self._directory.is_dir() else None
        free = disk.f_bavail * disk.f_frsize if disk is not None else KEEP_FREE_BYTES
        for one in stored:
            is_old = one.at + self._max_age_s < time.time()
            if one.growing or not (is_old or total > self._max_bytes or free < KEEP_FREE_BYTES):
                continue
            (self._directory / one.name).unlink(missing_ok=True)
            total -= one.bytes
            free += one.bytes
        if free < KEEP_FREE_BYTES:
            raise OSError(errno.ENOSPC, "the disk is full")


class Recording:
    """One file that grows, for one thread."""

    def __init__(self, recordings: Recordings, name: str, descriptor: int) -> None:
        self.name = name
        self._recordings = recordings
        self._descriptor = descriptor
        self._unchecked = 0

    def write(self, data: bytes) -> None:
        """Raises OSError."""
        self._unchecked += len(data)
        if self._unchecked >= CHECK_BYTES:
            self._unchecked = 0
            self._recordings.make_room()
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def close(self) -> None:
        """Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
            self._recordings.done(self.name)
