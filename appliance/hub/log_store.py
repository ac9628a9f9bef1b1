"""Log files that clients have uploaded: so many and so large at most, the oldest go first. Blocks for the disk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from appliance.atomic_file import write_atomically

DIRECTORY = "hub-logs"  # in the state directory
MAX_FILES = 64
MAX_BYTES = 16 * 1024 * 1024  # of all together
_NAME = re.compile(r"(\d{8})-([A-Za-z0-9._~-]{0,64})\.log")


@dataclass(frozen=True, slots=True)
class StoredLog:
    """`name` begins with a number that grows; `at`: seconds since 1970, by the clock of then."""

    name: str
    bytes: int
    at: float


class LogStore:
    """Used by one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def list(self) -> list[StoredLog]:
        """Oldest first."""
        if not self._directory.is_dir():
            return []
        found = []
        for path in sorted(path for path in self._directory.iterdir() if _NAME.fullmatch(path.name)):
            facts = path.stat()
            found.append(StoredLog(path.name, facts.st_size, facts.st_mtime))
        return found

    def add(self, user_id: str, text: str) -> str:
        """Keep it; gives its name. Raises OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        stored = self.list()
        number = int(stored[-1].name[:8]) + 1 if stored else 1
        name = f"{number:08}-{re.sub(r'[^A-Za-z0-9._~-]', '_', user_id)[:64]}.log"
        data = text.encode("utf-8", "replace")
        total = sum(log.bytes for log in stored) + len(data)
        while stored and (total > MAX_BYTES or len(stored) >= MAX_FILES):
            oldest = stored.pop(0)
            (self._directory / oldest.name).unlink(missing_ok=True)
            total -= oldest.bytes
        write_atomically(self._directory / name, data)
        return name

    def read(self, name: str) -> str | None:
        """None when there is none of this name."""
        if not _NAME.fullmatch(name):
            return None
        try:
            return (self._directory / name).read_text(errors="replace")
        except FileNotFoundError:
            return None
