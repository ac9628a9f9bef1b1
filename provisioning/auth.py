"""The owner of a unit: everything that says who may do what, in one place to pass around."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

from provisioning import claim as claims
from provisioning import password as passwords
from provisioning import sessions as page_sessions
from provisioning.api_tokens import ApiTokenError, ApiTokens
from provisioning.attempts import Attempts
from provisioning.claim import Claim
from provisioning.password import OwnerPassword
from provisioning.sessions import Sessions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Auth:
    claim: Claim
    password: OwnerPassword
    sessions: Sessions
    tokens: ApiTokens
    attempts: Attempts
    _saving: asyncio.Lock = field(default_factory=asyncio.Lock)  # else an older snapshot may be written last

    async def save(self) -> None:
        """Keep who is signed in. A disk that refuses is logged: a restart then goes by what was kept before."""
        async with self._saving:
            now_s = time.monotonic()
            try:
                await asyncio.to_thread(self.sessions.save, self.sessions.snapshot(now_s))
                if self.tokens.is_due(now_s):
                    await asyncio.to_thread(self.tokens.save_used, now_s)
            except (OSError, ApiTokenError) as exc:
                logger.warning("who is signed in cannot be kept: %s", exc)

    @property
    def is_due(self) -> bool:
        """Time to `save`, also when nobody came or went."""
        now_s = time.monotonic()
        return self.sessions.is_due(now_s) or self.tokens.is_due(now_s)


def load(state_dir: Path, *, extra_tokens: tuple[str, ...] = (), in_memory: bool = False) -> Auth:
    """Of this unit; `in_memory`: an unclaimed one that forgets its owner at the end (the demo). Blocks.

    Raises `ClaimError` and `PasswordError` when the state directory cannot be used.
    """
    kept = None if in_memory else state_dir
    password = OwnerPassword(kept and kept / passwords.FILE_NAME)
    known = claims.new_secrets() if kept is None else claims.load_or_create(kept)
    now_s = time.monotonic()
    return Auth(
        Claim(known, is_claimed=password.is_set),
        password,
        Sessions(kept and kept / page_sessions.FILE_NAME, now_s),
        ApiTokens(state_dir, extra=extra_tokens),
        Attempts(now_s),
    )
