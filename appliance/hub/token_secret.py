"""The file with the secret that signs room tokens, and with the one before it (mode 0600).

    SECRET                  64 hexadecimal digits: signs
    SECRET UNTIL            optional: the one before, good for verification until then, seconds since 1970

`rotate` makes a new secret; whoever was let in with a token of the old one can come back with it until then. A hub that
runs looks at the file every `LOOK_S`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from dataclasses import replace
from pathlib import Path

from appliance.errors import ConfigError
from appliance.hub.tokens import SECRET_BYTES, TokenKeys, TokenSigner
from provisioning.private_file import locked, write_private

logger = logging.getLogger(__name__)

LOOK_S = 2.0
MAX_FILE_BYTES = 4096


def load_or_create_keys(path: Path) -> TokenKeys:
    """What `path` holds; the first call makes it, mode 0600, whole or not at all, also when two start at once.

    Raises `ConfigError` when the file cannot be made or read, or holds something else. Reads and syncs a file: call it
    before the event loop or from a thread, as everything here.
    """
    try:
        if not path.exists():
            with locked(path):
                if not path.exists():
                    write_private(path, _format(TokenKeys(secrets.token_bytes(SECRET_BYTES))))
        if path.stat().st_mode & 0o077:
            logger.warning("%s was readable by others; now it is not", path)
            path.chmod(0o600)
        with path.open("rb") as file:
            return _parse(file.read(MAX_FILE_BYTES))
    except OSError as exc:
        raise _unusable(path, exc) from exc
    except ValueError as exc:
        raise ConfigError(f"{path}: holds no token secret; delete it and a new one is made") from exc


def load_or_create_secret(path: Path) -> bytes:
    """The secret that signs. Raises like `load_or_create_keys`."""
    return load_or_create_keys(path).secret


def rotate(path: Path, keep_s: float, now_s: float) -> TokenKeys:
    """A new secret signs from now on; the old one is good for `keep_s` more. The one before that is gone.

    Raises `ConfigError` like `load_or_create_keys`; then the file is as it was.
    """
    old = load_or_create_keys(path).secret
    new = TokenKeys(secrets.token_bytes(SECRET_BYTES))
    if keep_s > 0:
        new = replace(new, previous=old, previous_until=math.ceil(now_s + keep_s))
    return _store(path, new)


def forget_previous(path: Path) -> TokenKeys:
    """Only the secret that signs is good from now on. Raises like `rotate`."""
    return _store(path, replace(load_or_create_keys(path), previous=None, previous_until=0.0))


async def follow(path: Path, signer: TokenSigner) -> None:
    """Give `signer` what the file holds, each time that it changes. A file that is gone or damaged changes nothing."""
    seen = None
    while True:
        await asyncio.sleep(LOOK_S)
        stamp = await asyncio.to_thread(_stamp, path)
        if stamp is None or stamp == seen:
            continue
        seen = stamp
        try:
            keys = await asyncio.to_thread(load_or_create_keys, path)
        except ConfigError as exc:
            logger.error("the token secret stays as it was: %s", exc)
            continue
        if keys != signer.keys:
            signer.keys = keys
            logger.info("tokens are signed with the new secret of %s", path)


def _parse(data: bytes) -> TokenKeys:
    """Raises ValueError."""
    first, *rest = data.decode("ascii").splitlines() or [""]
    if not rest:
        return TokenKeys(bytes.fromhex(first))
    [line] = rest
    previous, until = line.split()
    until_s = float(until)
    if not math.isfinite(until_s):
        raise ValueError(until)
    return TokenKeys(bytes.fromhex(first), bytes.fromhex(previous), until_s)


def _format(keys: TokenKeys) -> bytes:
    previous = f"{keys.previous.hex()} {keys.previous_until:.0f}\n" if keys.previous is not None else ""
    return f"{keys.secret.hex()}\n{previous}".encode()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Differs when the file was replaced or written to; None: it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _store(path: Path, keys: TokenKeys) -> TokenKeys:
    try:
        write_private(path, _format(keys))
    except OSError as exc:
        raise _unusable(path, exc) from exc
    return keys


def _unusable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path}: {error.strerror or error}; the hub keeps its token secret there")
