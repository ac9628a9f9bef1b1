"""API tokens: made once, shown once, kept as hashes.

The file `api-tokens` in the state directory holds one line a token: SHA-256 in hexadecimal, a blank, its label. Tokens
are 256 random bits, so a plain hash gives nothing away. Mode 0600.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from appliance.errors import ApplianceError

FILE_NAME = "api-tokens"
_PREFIX = "rat_"  # lets a leaked one be found by scanners


class ApiTokenError(ApplianceError):
    """The token file cannot be read or written."""


class ApiTokens:
    """Answers whether a token is good: one of the file, or one of `extra`. Sees tokens that were made meanwhile."""

    def __init__(self, state_dir: Path | None = None, *, extra: tuple[str, ...] = ()) -> None:
        self._path = None if state_dir is None else state_dir / FILE_NAME
        self._extra = tuple(_digest(token) for token in extra)
        self._stored: tuple[str, ...] = ()
        self._stamp: tuple[int, int] | None = None

    def verify(self, token: str) -> bool:
        digest = _digest(token)
        self._refresh()
        return any([hmac.compare_digest(digest, known) for known in (*self._extra, *self._stored)])

    def verify_header(self, authorization: str | None) -> bool:
        """Whether `Authorization: Bearer TOKEN` carries a good token."""
        scheme, _, token = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and self.verify(token.strip())

    def _refresh(self) -> None:
        if self._path is None:
            return
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._stored, self._stamp = tuple(line.split()[0] for line in _lines(self._path)), stamp
        except FileNotFoundError:
            self._stored, self._stamp = (), None
        except (OSError, ValueError) as exc:
            raise ApiTokenError(f"{self._path}: {exc}") from exc


def new_token() -> str:
    return _PREFIX + secrets.token_urlsafe(32)


def create(state_dir: Path, label: str = "") -> str:
    """Make a token and add its hash to the file; the token itself is kept nowhere. Raises `ApiTokenError`."""
    token = new_token()
    path = state_dir / FILE_NAME
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            file.write(f"{_digest(token)} {' '.join(label.split())}\n")
            file.flush()
            os.fsync(descriptor)
    except OSError as exc:
        raise ApiTokenError(f"{path}: {exc.strerror}; give a state directory that can be written") from exc
    return token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
