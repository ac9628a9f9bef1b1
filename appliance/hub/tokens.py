"""Room tokens: JWT (RFC 7519) signed with HS256; `token_secret.py` keeps what signs them.

Claims: `sub` user id ("" invites any number of guests, each gets an id of the hub), `room`, `role`, `name`, `exp`,
`iat`. Only HS256 is accepted. Times are wall-clock seconds since 1970, passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jwt
import msgspec

from appliance.errors import TokenExpiredError, TokenInvalidError, TokenMissingError
from appliance.room.signaling_base import Role, RoomId, UserId, UserName

ALGORITHM = "HS256"
CLOCK_SKEW_S = 60.0  # between the clocks of who signs and who verifies
SECRET_BYTES = 32  # RFC 7518 3.2: a key at least as long as the hash

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


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """What signs, and what signed before it: that is good for verification until `previous_until` (seconds since 1970).

    Raises ValueError for a secret under 32 bytes.
    """

    secret: bytes
    previous: bytes | None = None
    previous_until: float = 0.0

    def __post_init__(self) -> None:
        for secret in (self.secret, self.previous):
            if secret is not None and len(secret) < SECRET_BYTES:
                raise ValueError(f"a token secret of {len(secret)} bytes; at least {SECRET_BYTES} are needed")

    def good(self, now_s: float) -> tuple[bytes, ...]:
        """The secrets that a token of today may be signed with."""
        if self.previous is None or self.previous_until <= now_s:
            return (self.secret,)
        return (self.secret, self.previous)


class TokenSigner:
    """Signs and verifies; `keys` may be replaced at any time."""

    def __init__(self, keys: TokenKeys | bytes) -> None:
        self.keys = TokenKeys(keys) if isinstance(keys, bytes) else keys

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
        return jwt.encode(claims, self.keys.secret, algorithm=ALGORITHM)

    def verify(self, token: str, now_s: float) -> Claims:
        """The claims of a token that is good now. Raises like `read` and `check`."""
        claims = self.read(token, now_s)
        check(claims, now_s)
        return claims

    def read(self, token: str, now_s: float) -> Claims:
        """The claims of a token that was signed with a secret which is good now, whatever its own times say.

        Raises `TokenMissingError` for "", else `TokenInvalidError`; never another.
        """
        if not token:
            raise TokenMissingError("this hub needs a room token")
        for secret in self.keys.good(now_s):
            try:
                return _claims(jwt.decode(token, secret, algorithms=[ALGORITHM], options=_OPTIONS))
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as exc:
                raise TokenInvalidError(f"this is not a room token: {exc}") from exc
        raise TokenInvalidError("the token was not signed by this hub")


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
