"""Who is signed in at the page: random ids in a cookie, kept as hashes.

A session ends after `IDLE_S` without a request and after `LONGEST_S` in any case, counted on the monotonic clock while
the unit runs: the wall clock of a unit without a clock chip steps by a year. The file in the state directory holds the
age of each, so that a restart signs nobody out. Ids are 256 random bits, so a plain hash gives nothing away.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

import msgspec

from provisioning.http_routes import Scope
from provisioning.private_file import write_private

FILE_NAME = "sessions.json"
IDLE_S = 7 * 86_400.0
LONGEST_S = 30 * 86_400.0
MAX_SESSIONS = 64
SAVE_EVERY_S = 3600.0  # ages go to the disk no more often than that: cards wear out


class Session(msgspec.Struct, kw_only=True):
    """`digest` of the id in the cookie; `token_id`: the API token it was got with, whose end is its end."""

    digest: str
    scope: Scope
    token_id: str = ""
    since_s: float
    used_s: float


class _Aged(msgspec.Struct, kw_only=True):
    """A session on the disk: ages instead of times of a clock that restarts with the unit."""

    digest: str
    scope: Scope
    token_id: str
    age_s: float
    idle_s: float


class Sessions:
    """`path` None: kept in memory only. Reads a file when made: make it in a thread.

    Whoever calls `begin`, `end` or `end_all`, or sees `is_due`, writes `snapshot()` to the disk with `save`.
    """

    def __init__(self, path: Path | None, now_s: float) -> None:
        self._path = path
        self._sessions: dict[str, Session] = {}  # by digest, in the order of their making
        self._saved_s = now_s
        for aged in [] if path is None else _read(path):
            self._sessions[aged.digest] = Session(
                digest=aged.digest,
                scope=aged.scope,
                token_id=aged.token_id,
                since_s=now_s - aged.age_s,
                used_s=now_s - aged.idle_s,
            )

    def begin(self, scope: Scope, now_s: float, *, token_id: str = "") -> str:
        """A new session; gives the id for its cookie, which is kept nowhere. The oldest makes room for it."""
        made = secrets.token_urlsafe(32)
        self._expire(now_s)
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        digest = digest_of(made)
        self._sessions[digest] = Session(digest=digest, scope=scope, token_id=token_id, since_s=now_s, used_s=now_s)
        return made

    def find(self, session_id: str, now_s: float) -> Session | None:
        """The session of a cookie, which this uses; None when there is none, or no more."""
        session = self._sessions.get(digest_of(session_id))
        if session is None:
            return None
        if _is_over(session, now_s):
            del self._sessions[session.digest]
            return None
        session.used_s = now_s
        return session

    def is_alive(self, session: Session, now_s: float) -> bool:
        """Whether it goes on; asking does not count as its use."""
        return session.digest in self._sessions and not _is_over(session, now_s)

    def end(self, session: Session) -> None:
        self._sessions.pop(session.digest, None)

    def end_all(self, *, but: Session | None = None) -> None:
        self._sessions = {} if but is None or but.digest not in self._sessions else {but.digest: but}

    def end_of_token(self, token_id: str) -> None:
        self._sessions = {key: one for key, one in self._sessions.items() if one.token_id != token_id}

    def is_due(self, now_s: float) -> bool:
        """It is time to save the ages, changed or not."""
        return now_s - self._saved_s >= SAVE_EVERY_S

    def snapshot(self, now_s: float) -> bytes:
        """What `save` writes."""
        self._saved_s = now_s
        self._expire(now_s)
        return msgspec.json.encode(
            [
                _Aged(
                    digest=one.digest,
                    scope=one.scope,
                    token_id=one.token_id,
                    age_s=now_s - one.since_s,
                    idle_s=now_s - one.used_s,
                )
                for one in self._sessions.values()
            ]
        )

    def save(self, snapshot: bytes) -> None:
        """Raises OSError; blocks."""
        if self._path is not None:
            write_private(self._path, snapshot)

    def _expire(self, now_s: float) -> None:
        self._sessions = {key: one for key, one in self._sessions.items() if not _is_over(one, now_s)}


def csrf_token(session_id: str) -> str:
    """What a form of a page of this session carries; it gives nothing of the session's id away."""
    return hmac.new(session_id.encode(), b"form of this unit's page", hashlib.sha256).hexdigest()


def digest_of(session_id: str) -> str:
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()


def _is_over(session: Session, now_s: float) -> bool:
    return now_s - session.used_s >= IDLE_S or now_s - session.since_s >= LONGEST_S


def _read(path: Path) -> list[_Aged]:
    """Empty when they cannot be read: everybody signs in again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[_Aged])
    except (OSError, msgspec.DecodeError):
        return []
