"""Coming back to a hub, and into a room of it, after a lost link: attempts with back-off until the deadline.

TM03, TM04, TR10.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from appliance.errors import RtcError, RtcErrorCode
from appliance.room.backoff import Backoff
from appliance.room.entry import Credentials, Entry, Ticket, TokenUnavailableError, enter
from appliance.room.events import ConnectionReason, RtcErrorInfo
from appliance.room.link import Link, LinkLostError
from appliance.room.options import RoomOptions
from appliance.room.ticks import is_set_within

logger = logging.getLogger(__name__)

# What a hub may say to a rejoin and be asked again until the deadline; anything else ends the stay.
RETRYABLE = frozenset(
    {
        RtcErrorCode.ROOM_FULL,
        RtcErrorCode.SERVICE_UNAVAILABLE,
        RtcErrorCode.RATE_LIMIT,
        RtcErrorCode.INTERNAL,
        RtcErrorCode.NOT_LOGGED_IN,
    }
)
FINAL_REASONS = {
    RtcErrorCode.BANNED: ConnectionReason.KICKED,
    RtcErrorCode.KICKED: ConnectionReason.KICKED,
    RtcErrorCode.DUPLICATE_USER: ConnectionReason.KICKED,
    RtcErrorCode.TOKEN_EXPIRED: ConnectionReason.TOKEN_EXPIRED,
}


class CannotReturnError(Exception):
    """The login is over, and the stay in its room: `error` for the listeners, `reason` for the state."""

    def __init__(self, error: RtcErrorInfo, reason: ConnectionReason) -> None:
        super().__init__(error.message)
        self.error = error
        self.reason = reason


async def come_back(
    url: str,
    credentials: Credentials,
    options: RoomOptions,
    on_lost: Callable[[Link, str], None],
    *,
    session: str,
    ticket: Callable[[], Ticket | None],
    network_changed: asyncio.Event,
) -> Entry:
    """A login again, the old one where the hub still holds it; `ticket` is asked at each attempt, for the room may have
    been left meanwhile. When `network_changed` is set the next attempt is due. Raises `CannotReturnError`.
    """
    deadline_s = time.monotonic() + options.reconnect_deadline_s
    backoff = Backoff(options.reconnect_delays_s)
    refused = False
    retry_after_s = 0.0
    last = "the link was lost"
    while (left_s := deadline_s - time.monotonic()) > 0:
        delay_s = max(backoff.next_s(refused=refused), retry_after_s)
        if await is_set_within(network_changed, min(delay_s, left_s)):
            backoff.reset()
        elif delay_s >= left_s:
            break
        refused, retry_after_s = False, 0.0
        try:
            async with asyncio.timeout(min(options.attempt_timeout_s, deadline_s - time.monotonic())):
                entry = await enter_at_once(
                    enter(url, credentials, options, on_lost, session=session, ticket=ticket()), network_changed
                )
        except LinkLostError as exc:
            last, refused, retry_after_s = str(exc), exc.refused, exc.retry_after_s
        except TimeoutError:
            last = f"no accept within {options.attempt_timeout_s:g} s"
        except TokenUnavailableError as exc:
            last = str(exc)
        except RtcError as exc:
            if exc.code not in RETRYABLE:
                reason = FINAL_REASONS.get(exc.code, ConnectionReason.ERROR)
                raise CannotReturnError(error_info(exc), reason) from exc
            last, refused = exc.message, True
        else:
            if not entry.link.is_lost:
                return entry
            await entry.link.close()
        logger.info("attempt %d to come back failed: %s", backoff.attempts, last)
    code = RtcErrorCode.RECONNECT_TIMEOUT
    message = f"not back within {options.reconnect_deadline_s:g} s: {last}"
    raise CannotReturnError(RtcErrorInfo(code, code.name, message), ConnectionReason.ERROR)


async def enter_at_once(entering: Coroutine[Any, Any, Entry], network_changed: asyncio.Event) -> Entry:
    """`entering`, given up with `LinkLostError` when the network changes meanwhile: its packets go nowhere any more."""
    network_changed.clear()
    changed = asyncio.create_task(network_changed.wait(), name="room-network-changed")
    attempt = asyncio.create_task(entering, name="room-enter")
    try:
        await asyncio.wait({attempt, changed}, return_when=asyncio.FIRST_COMPLETED)
        if attempt.done():
            return attempt.result()
        raise LinkLostError("the network changed", refused=True)
    finally:
        changed.cancel()
        if not attempt.done():
            attempt.cancel()
            (entry,) = await asyncio.gather(attempt, return_exceptions=True)
            if isinstance(entry, Entry):  # it came in at the last moment
                await entry.link.close()


def error_info(error: RtcError) -> RtcErrorInfo:
    return RtcErrorInfo(error.code, error.code.name, error.message)
