"""The configuration on disk, and beside it what a unit needs to get back to the last one that worked. All of it blocks.

config.toml            what is wanted
config.good.toml       the last text that was proved (`config_trial`)
config.rejected.toml   the last text that was taken back, for whoever wants to see what was wrong
config.trial.json      `Memory`: the trial under way and what is to be said about the last one
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from pathlib import Path

import msgspec

from appliance.atomic_file import write_atomically
from appliance.config import MAX_FILE_BYTES
from appliance.config_trial import Trial
from appliance.errors import ConfigError

logger = logging.getLogger(__name__)


class Notice(msgspec.Struct, frozen=True):
    """Settings were taken back: these `keys`, for this `reason`, at this wall clock time (seconds since 1970)."""

    reason: str
    keys: tuple[str, ...]
    at: float


class Memory(msgspec.Struct, frozen=True):
    trial: Trial | None = None
    notice: Notice | None = None


class SaveError(ConfigError):
    """The disk does not take it."""


class ConfigFiles:
    """`file`: the configuration. Writing raises `SaveError` and changes nothing."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.good_file = file.with_name(f"{file.stem}.good.toml")
        self.rejected_file = file.with_name(f"{file.stem}.rejected.toml")
        self.memory_file = file.with_name(f"{file.stem}.trial.json")

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file that a reset removes."""
        return (self.file, self.good_file, self.rejected_file, self.memory_file)

    def read(self, *, must_exist: bool = False) -> str:
        """The text; "" where no file is. Raises `ConfigError` when it cannot be read."""
        try:
            with self.file.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError as exc:
            if must_exist:
                raise ConfigError(f"{self.file}: {exc.strerror}; give a TOML file that can be read") from exc
            return ""
        except (OSError, ValueError) as exc:
            words = getattr(exc, "strerror", None) or exc
            raise ConfigError(f"{self.file}: {words}; give a TOML file that can be read") from exc
        return decoded(data, str(self.file))

    def read_good(self) -> str | None:
        try:
            return decoded(self.good_file.read_bytes(), str(self.good_file))
        except (OSError, ConfigError):
            return None

    def read_memory(self) -> Memory:
        """Empty where none can be read: the trial of a text follows from the text."""
        try:
            return msgspec.json.decode(self.memory_file.read_bytes(), type=Memory)
        except (OSError, msgspec.MsgspecError, UnicodeError):
            return Memory()

    def write(self, text: str) -> None:
        self._write(self.file, text.encode())

    def write_good(self, text: str) -> None:
        self._write(self.good_file, text.encode())

    def write_memory(self, memory: Memory) -> None:
        self._write(self.memory_file, msgspec.json.encode(memory))

    def set_aside(self) -> None:
        """Keep what is wanted now as the rejected text, whatever is in it."""
        with suppress(OSError):
            with self.file.open("rb") as file:
                data = file.read(MAX_FILE_BYTES)
            write_atomically(self.rejected_file, data)

    def _write(self, path: Path, data: bytes) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, data)
        except OSError as exc:
            raise SaveError(f"{path}: not saved, nothing changed: {exc.strerror or exc}") from exc


def decoded(data: bytes, name: str) -> str:
    """Raises `ConfigError` for what is too long or no UTF-8."""
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{name}: more than {MAX_FILE_BYTES} bytes; this is no configuration file")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{name}:{line}: not UTF-8; save the file as UTF-8") from exc


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
