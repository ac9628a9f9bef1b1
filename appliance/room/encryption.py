"""The wish to encrypt a room: mode, then secret, then join (OR07, IL11, IL12; X43)."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.errors import ApiOrderError, InvalidArgumentError
from appliance.media.e2ee import ENCRYPTION_MODES, MAX_SECRET_BYTES, EncryptionMode


@dataclass(frozen=True, slots=True)
class Encryption:
    """What a join is to use. `secret` shows nowhere."""

    mode: EncryptionMode
    secret: bytes = field(repr=False)


class EncryptionChoice:
    """What the next join takes."""

    def __init__(self) -> None:
        self.mode: EncryptionMode = "none"
        self._secret = b""

    def set_mode(self, mode: EncryptionMode) -> None:
        """Forgets the secret. Raises `InvalidArgumentError` for an unknown one."""
        if mode not in ENCRYPTION_MODES:
            raise InvalidArgumentError(
                f"{mode!r} is no encryption mode: {', '.join(ENCRYPTION_MODES)}", operation="set_encryption_mode"
            )
        self.mode, self._secret = mode, b""

    def set_secret(self, secret: str | bytes) -> None:
        """Text as UTF-8. Raises `ApiOrderError` before a mode, `InvalidArgumentError` for a length."""
        operation = "set_encryption_secret"
        if self.mode == "none":
            raise ApiOrderError(f"{operation}() before set_encryption_mode()", operation=operation)
        data = secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret
        if not 1 <= len(data) <= MAX_SECRET_BYTES:
            raise InvalidArgumentError(f"a secret of {len(data)} bytes: 1 to {MAX_SECRET_BYTES}", operation=operation)
        self._secret = data

    def clear(self) -> None:
        self.mode, self._secret = "none", b""

    def chosen(self) -> Encryption | None:
        """None without a secret: encryption stays off (NERTC-O01)."""
        return Encryption(self.mode, self._secret) if self._secret else None
