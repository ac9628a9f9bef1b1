"""Out of every room, and logged in: somebody may ring."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from appliance.errors import RtcError
from appliance.rejoin import KICKED_DELAY_S, login_delay_s
from appliance.room.client import RoomClient
from appliance.room.entry import Token
from appliance.room.events import LoginState

logger = logging.getLogger(__name__)


async def stand_by(
    client: RoomClient,
    user_id: str,
    token: Token,
    user_name: str,
    *,
    login_changed: asyncio.Event,
    waits_for_network: Callable[[bool], None],
    rng: random.Random,
) -> None:
    """Keeps the login until cancelled. `login_changed` is set at each change of it; `waits_for_network` hears whether a
    network that came back is a reason to begin anew."""
    failures = 0
    while True:
        login_changed.clear()
        waits_for_network(False)
        if client.login_state is LoginState.ABORTED:
            await asyncio.sleep(KICKED_DELAY_S)  # somebody took the place: not at once
            await client.logout()
        elif client.login_state is LoginState.DISCONNECTED:
            try:
                await client.login(user_id, token, user_name=user_name)
                failures = 0
            except RtcError as exc:
                failures += 1
                delay_s = login_delay_s(exc, failures - 1, rng)
                log = logger.warning if failures == 1 else logger.debug
                log("nobody can ring: %s; once more in %.0f s", exc, delay_s)
                waits_for_network(True)
                await asyncio.sleep(delay_s)
        else:
            await login_changed.wait()
