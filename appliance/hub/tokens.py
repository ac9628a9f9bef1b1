"""Room tokens: JWT (RFC 7519) signed with HS256, and the secret that signs them.

Claims: `sub` user id ("" invites any number of guests, each gets an id of the hub), `room`, `role`, `name`, `exp`,
`iat`. Only HS256 is accepted. Times are wall-clock seconds since 1970, passed in.
"""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

import jwt
import msgspec

from appliance.errors import ConfigError, TokenExpiredError, TokenInvalidError, TokenMissingError
from appliance.room.signaling_base import Role, RoomId, UserId, UserName

logger = logging.getLogger(__name__)

ALGORITHM = "HS256"
CLOCK_SKEW_S = 60.0  # between the clocks of who signs and who verifies
SECRET_BYTES = 32  # RFC 7518 3.2: a key at least as long as the hash
MAX_SECRET_FILE_BYTES = 4096

_OPTIONS: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}  # `now_s` is ours to pass in


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says. Other claims are ignored, except `aud`: a token for another service is refused."""

    sub: UserId
    room: RoomId
    exp: int
    role: Role = "host"
    name: UserName = ""
    moderator: bool = False  # may put others out of the room, while a host
    iat: int = 0
    nbf: int = 0


class TokenSigner:
    """Signs and verifies. Raises ValueError for a secret under 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            raise ValueError(f"a token secret of {len(secret)} bytes; at least {SECRET_BYTES} are needed")
        self._secret = secret

    def sign(
        self, user: str, room: str, role: Role, name: str, ttl_s: float, now_s: float, *, moderator: bool = False
    ) -> str:
        """A token that is good from now on for `ttl_s`. Raises `TokenInvalidError` for claims that no hub accepts."""
        claims = {
            "sub": user,
            "room": room,
            "role": role,
            "name": name,
            **({"moderator": True} if moderator else {}),
            "exp": int(now_s + ttl_s),
            "iat": int(now_s),
        }
        _claims(claims)
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def verify(self, token: str, now_s: float) -> Claims:
        """The claims of a token that is good now. Raises like `read` and `check`."""
        claims = self.read(token)
        check(claims, now_s)
        return claims

    def read(self, token: str) -> Claims:
        """The claims of a token that was signed with this secret, good or not.

        Raises `TokenMissingError` for "", else `TokenInvalidError`; never another.
        """
        if not token:
            raise TokenMissingError("this hub needs a room token")
        try:
            payload = jwt.decode(token, self._secret, algorithms=[ALGORITHM], options=_OPTIONS)
        except jwt.InvalidSignatureError as exc:
            raise TokenInvalidError("the token was not signed by this hub") from exc
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as exc:
            raise TokenInvalidError(f"this is not a room token: {exc}") from exc
        return _claims(payload)


def check(claims: Claims, now_s: float) -> None:
    """Raises `TokenExpiredError` from `CLOCK_SKEW_S` after `exp` on, `TokenInvalidError` as long before `nbf`."""
    if claims.nbf > now_s + CLOCK_SKEW_S:
        raise TokenInvalidError("the token is not good yet")
    if claims.exp <= now_s - CLOCK_SKEW_S:
        raise TokenExpiredError(f"the token expired {now_s - claims.exp:.0f} s ago")


def _claims(payload: dict[str, Any]) -> Claims:
    try:
        return msgspec.convert(payload, Claims)
    except (msgspec.ValidationError, ValueError) as exc:
        raise TokenInvalidError(f"the token's claims are wrong: {exc}") from exc


def load_or_create_secret(path: Path) -> bytes:
    """The secret in `path`; the first call makes it, mode 0600, whole or not at all, also when two start at once.

    Raises `ConfigError` when the file cannot be made or read, or holds something else. Reads and syncs a file: call it
    before the event loop or from a thread.
    """
    try:
        if not path.exists():
            _create(path, secrets.token_hex(SECRET_BYTES))
        if path.stat().st_mode & 0o077:
            logger.warning("%s was readable by others; now it is not", path)
            path.chmod(0o600)
        with path.open("rb") as file:
            text = file.read(MAX_SECRET_FILE_BYTES)
        secret = bytes.fromhex(text.decode("ascii").strip())
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror or exc}; the hub keeps its token secret there") from exc
    except ValueError as exc:
        raise ConfigError(f"{path}: holds no token secret; delete it and a new one is made") from exc
    if len(secret) < SECRET_BYTES:
        raise ConfigError(f"{path}: holds no token secret; delete it and a new one is made")
    return secret


def _create(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            logger.debug("%s was made by another process meanwhile", path)
    finally:
        temporary.unlink(missing_ok=True)
