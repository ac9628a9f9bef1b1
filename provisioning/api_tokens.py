"""API tokens: named, with a scope, shown once, kept as hashes, revocable.

The file `api-tokens.json` in the state directory, mode 0600, is written by the unit and by `room-appliance api-token`.
Tokens are 256 random bits, so a plain hash gives nothing away.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from provisioning.http_routes import Scope
from provisioning.private_file import locked, write_private

logger = logging.getLogger(__name__)

FILE_NAME = "api-tokens.json"
GIVEN_ID = "given"  # of the token that the environment gave
MAX_TOKENS = 64
MAX_NAME = 64
SAVE_EVERY_S = 600.0  # when a token was last used goes to the disk no more often than that
_PREFIX = "rat_"  # lets a leaked one be found by scanners


class ApiTokenError(Exception):
    """The token file cannot be read or written, or is full."""


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """`created` and `last_used` are ISO 8601 in UTC, to the unit's clock of that moment."""

    id: str
    name: str
    scope: Scope
    digest: str
    created: str
    last_used: str | None = None


class ApiTokens:
    """The tokens of the file, and `extra`, which may do everything. Sees what other programs change in the file."""

    def __init__(self, state_dir: Path | None = None, *, extra: tuple[str, ...] = ()) -> None:
        self._path = None if state_dir is None else state_dir / FILE_NAME
        self._extra = tuple(
            ApiToken(id=GIVEN_ID, name="given at start", scope="admin", digest=_digest(token), created="")
            for token in extra
        )
        self._stored: tuple[ApiToken, ...] = ()
        self._stamp: tuple[int, int, int] | None = None
        self._used: dict[str, str] = {}  # id -> when, not on the disk yet
        self._saved_s = float("-inf")

    def find(self, token: str) -> ApiToken | None:
        """The good one that `token` is, or None."""
        digest = _digest(token)
        self._refresh()
        found = [known for known in (*self._extra, *self._stored) if hmac.compare_digest(digest, known.digest)]
        if not found:
            return None
        if found[0].id != GIVEN_ID:
            self._used[found[0].id] = _now()
        return found[0]

    def find_bearer(self, authorization: str | None) -> ApiToken | None:
        """The token of `Authorization: Bearer TOKEN`."""
        scheme, _, token = (authorization or "").partition(" ")
        return self.find(token.strip()) if scheme.lower() == "bearer" else None

    def is_known(self, token_id: str) -> bool:
        self._refresh()
        return any(known.id == token_id for known in (*self._extra, *self._stored))

    def stored(self) -> list[ApiToken]:
        """Those of the file, with what was used since."""
        self._refresh()
        return [msgspec.structs.replace(one, last_used=self._used.get(one.id, one.last_used)) for one in self._stored]

    def create(self, name: str, scope: Scope) -> tuple[ApiToken, str]:
        """Make one: (what is kept, the token itself, which is not). Raises `ApiTokenError`; blocks."""
        token = new_token()
        made = ApiToken(
            id=secrets.token_hex(4),
            name=" ".join(name.split())[:MAX_NAME],
            scope=scope,
            digest=_digest(token),
            created=_now(),
        )

        def add(tokens: list[ApiToken]) -> list[ApiToken]:
            if len(tokens) >= MAX_TOKENS:
                raise ApiTokenError(f"there are {MAX_TOKENS} API tokens; revoke one that is not used")
            return [*tokens, made]

        self._change(add)
        return made, token

    def revoke(self, token_id: str) -> bool:
        """False when there is none of that id. Raises `ApiTokenError`; blocks."""
        found = False

        def remove(tokens: list[ApiToken]) -> list[ApiToken]:
            nonlocal found
            left = [one for one in tokens if one.id != token_id]
            found = len(left) < len(tokens)
            return left

        self._change(remove)
        return found

    def is_due(self, now_s: float) -> bool:
        return bool(self._used) and now_s - self._saved_s >= SAVE_EVERY_S

    def save_used(self, now_s: float) -> None:
        """Keep when tokens were used. Raises `ApiTokenError`; blocks."""
        self._saved_s = now_s
        used, self._used = self._used, {}
        self._change(
            lambda tokens: [msgspec.structs.replace(one, last_used=used.get(one.id, one.last_used)) for one in tokens]
        )

    def _change(self, edit: Callable[[list[ApiToken]], list[ApiToken]]) -> None:
        if self._path is None:
            self._stored = tuple(edit(list(self._stored)))
            return
        try:
            with locked(self._path):
                tokens = edit(_read(self._path))
                write_private(self._path, msgspec.json.encode(tokens))
        except OSError as exc:
            raise ApiTokenError(f"{self._path}: {exc.strerror}; give a state directory that can be written") from exc
        except msgspec.DecodeError as exc:
            raise ApiTokenError(f"{self._path}: {exc}; delete it and make new tokens") from exc
        self._stored = tuple(tokens)

    def _refresh(self) -> None:
        """A file that cannot be read lets nobody in by it; the owner's password still does."""
        if self._path is None:
            return
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return
            self._stored, self._stamp = (), stamp
            self._stored = tuple(_read(self._path))
        except FileNotFoundError:
            self._stored, self._stamp = (), None
        except (OSError, msgspec.DecodeError) as exc:
            logger.error("%s: %s; no API token is good: delete it and make new ones", self._path, exc)


def new_token() -> str:
    return _PREFIX + secrets.token_urlsafe(32)


def _read(path: Path) -> list[ApiToken]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[ApiToken])
    except FileNotFoundError:
        return []


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
