"""Each hook run once on real aiortc and aioice objects, without any network beyond this machine.

A hook may fail in silence: an override of a name that nobody calls any more. So each test drives aiortc and looks at
what came out at the other end of the hook.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from appliance.errors import HookError
from appliance.media.aiortc_hooks.selftest.connecting import (
    connectivity_checks,
    consent_checks,
    datagrams,
    ice_agent,
    monotonic_clock,
    peer_connection,
)
from appliance.media.aiortc_hooks.selftest.receiving import media, receiving_audio, receiving_video
from appliance.media.aiortc_hooks.selftest.sending import sending

TIMEOUT_S = 2.0

_TESTS: tuple[Callable[[], Awaitable[None]], ...] = (
    monotonic_clock,
    ice_agent,
    datagrams,
    connectivity_checks,
    consent_checks,
    peer_connection,
    sending,
    media,
    receiving_audio,
    receiving_video,
)


async def run() -> None:
    """Raises HookError that names the first hook that does not work. Needs `aiortc_hooks.install` before."""
    for test in _TESTS:
        name = test.__name__.replace("_", " ")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await test()
        except Exception as exc:
            raise HookError(f"aiortc hook '{name}' does not work with the installed aiortc or aioice: {exc!r}") from exc
