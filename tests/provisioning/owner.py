"""An owner for the tests: hashes that take no time, and the claim code at hand."""

from __future__ import annotations

import time
from pathlib import Path

from argon2 import PasswordHasher

from provisioning import claim
from provisioning.api_tokens import ApiTokens
from provisioning.attempts import Attempts
from provisioning.auth import Auth
from provisioning.claim import Claim
from provisioning.password import FILE_NAME, OwnerPassword
from provisioning.sessions import Sessions

PASSWORD = "correct horse"
FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def new_auth(state_dir: Path | None = None, *, tokens: tuple[str, ...] = ("good",)) -> Auth:
    """Of an unclaimed unit, or of the one in `state_dir`; `tokens` may do everything."""
    password = OwnerPassword(state_dir and state_dir / FILE_NAME, FAST)
    known = claim.new_secrets() if state_dir is None else claim.load_or_create(state_dir)
    now_s = time.monotonic()
    return Auth(
        Claim(known, is_claimed=password.is_set),
        password,
        Sessions(state_dir and state_dir / "sessions.json", now_s),
        ApiTokens(state_dir, extra=tokens),
        Attempts(now_s),
    )


async def claimed(auth: Auth) -> Auth:
    """With an owner whose password is `PASSWORD`."""
    await auth.password.set(PASSWORD)
    auth.claim.claimed()
    return auth
