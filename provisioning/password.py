"""The owner's password: argon2id (RFC 9106), in a thread, one at a time.

19 MiB, two passes, one lane: the least that OWASP's Password Storage Cheat Sheet gives, because a Raspberry Pi Zero 2
has 512 MB and a call to carry meanwhile. A hash with other parameters is still checked and then made anew.
"""

from __future__ import annotations

import asyncio
import logging
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from provisioning.private_file import write_private

logger = logging.getLogger(__name__)

T = TypeVar("T")

FILE_NAME = "owner.json"
MIN_LENGTH = 8  # NIST SP 800-63B 5.1.1.2: length, no rules of composition
MAX_LENGTH = 128
MAX_WAITING = 4  # each is a request held open
_NONE_FITS = "!"


class PasswordError(Exception):
    """A password that cannot be the owner's, or a file that cannot be read or written."""


class PasswordBusyError(Exception):
    """Too many passwords are being checked already."""


class _Owner(msgspec.Struct):
    password: Annotated[str, msgspec.Meta(pattern=r"^\$argon2id\$")]


class OwnerPassword:
    """`path` None: kept in memory only. Reads a file when made: make it in a thread. Raises `PasswordError`."""

    def __init__(self, path: Path | None, hasher: PasswordHasher | None = None) -> None:
        self._path = path
        self._hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._hash = "" if path is None else _read(path)
        self._turn = asyncio.Lock()
        self._waiting = 0

    @property
    def is_set(self) -> bool:
        return bool(self._hash)

    async def set(self, password: str) -> None:
        """Raises `PasswordError` for one that is too short or long, or when it cannot be kept."""
        plain = checked(password)
        await self._in_turn(lambda: self._store(plain))

    async def verify(self, password: str) -> bool:
        """False also while there is none."""
        plain = unicodedata.normalize("NFKC", password)
        if not self._hash or not 0 < len(plain) <= 4 * MAX_LENGTH:
            return False
        return await self._in_turn(lambda: self._verify(plain))

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise PasswordBusyError("too many passwords are being checked; try again in a few seconds")
        self._waiting += 1
        try:
            async with self._turn:
                # Shielded: a visitor who goes away must not leave the turn while its thread still works.
                work_done = asyncio.ensure_future(asyncio.to_thread(work))
                try:
                    return await asyncio.shield(work_done)
                except asyncio.CancelledError:
                    await asyncio.wait({work_done})
                    raise
        finally:
            self._waiting -= 1

    def _store(self, plain: str) -> None:
        made = self._hasher.hash(plain)
        if self._path is not None:
            try:
                write_private(self._path, msgspec.json.encode(_Owner(made)))
            except OSError as exc:
                raise PasswordError(f"the password cannot be kept: {exc.strerror}") from exc
        self._hash = made

    def _verify(self, plain: str) -> bool:
        try:
            self._hasher.verify(self._hash, plain)
        except (VerificationError, InvalidHashError):
            return False
        if self._hasher.check_needs_rehash(self._hash):
            self._store(plain)
        return True


def checked(password: str) -> str:
    """The password as it is hashed: NFKC, so that two keyboards type the same. Raises `PasswordError`."""
    plain = unicodedata.normalize("NFKC", password)
    if not MIN_LENGTH <= len(plain) <= MAX_LENGTH:
        raise PasswordError(f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in plain):
        raise PasswordError("a password has no control characters")
    return plain


def _read(path: Path) -> str:
    """A damaged file is no reason to let the next visitor be the owner: no password fits then."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Owner).password
    except FileNotFoundError:
        return ""
    except OSError as exc:
        raise PasswordError(f"{path}: {exc.strerror}; it must be readable") from exc
    except msgspec.DecodeError as exc:
        logger.error("%s: %s; set-up mode by the buttons, and the claim code, set a new password", path, exc)
        return _NONE_FITS
