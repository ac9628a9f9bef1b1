"""When an unattended unit goes back into its room. Pure: the end of a call in, seconds to wait out.

| how the call ended                                   | back after                                       |
|------------------------------------------------------|--------------------------------------------------|
| join or reconnect failed, token expired, server fault | 2, 5, 10, 20, 40, 60, 60, ... s, for ever; later |
|                                                      | where the hub says so (Retry-After)              |
| room closed, or removed from it                      | 1 min                                            |
| kicked; the same user id came in elsewhere           | 5 min; never by itself without `room.auto_join`  |
| banned                                               | 15 min; never by itself without `room.auto_join` |

When the network comes back the first row tries at once. Everything with 20 % jitter; a person (call button, API) is
always obeyed at once. Nobody comes with a ladder, so a unit with `auto_join` never gives up; the long waits keep it
from fighting whoever threw it out.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from appliance.errors import RtcError, RtcErrorCode
from appliance.room.backoff import JITTER
from appliance.room.events import ConnectionReason

RETRY_DELAYS_S = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
ROOM_CLOSED_DELAY_S = 60.0
KICKED_DELAY_S = 300.0
BANNED_DELAY_S = 900.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended: the reason of the last state change, its error code, what a kick said, and for how long
    the hub wants to be left alone.
    """

    reason: ConnectionReason
    code: RtcErrorCode | None = None
    kicked: Literal["kick", "banned", "removed", "token_expired"] | None = None
    retry_after_s: float = 0.0


def waits_for_network(ended: Ended) -> bool:
    """Whether the network's return is a reason to try at once: nobody threw the unit out."""
    return _thrown_out_s(ended) is None


def has_failed(ended: Ended, *, was_in: bool) -> bool:
    """Whether the next try is one more in a row: a stay without media goes no better than a join that is refused."""
    return not was_in or ended.code is RtcErrorCode.MEDIA_LOST


def rejoin_delay_s(ended: Ended, attempts: int, *, auto_join: bool, rng: random.Random) -> float | None:
    """Seconds until the next try, None for never; `attempts` tries have failed in a row before this one."""
    delay_s = _thrown_out_s(ended)
    if delay_s is None:
        delay_s = max(RETRY_DELAYS_S[min(attempts, len(RETRY_DELAYS_S) - 1)], ended.retry_after_s / (1 - JITTER))
    elif delay_s >= KICKED_DELAY_S and not auto_join:
        return None
    return delay_s * rng.uniform(1 - JITTER, 1 + JITTER)


def login_delay_s(error: RtcError, attempts: int, rng: random.Random) -> float:
    """Seconds until the next try to log in without a room: a unit that can be rung never gives up."""
    ended = Ended(ConnectionReason.ERROR, error.code, retry_after_s=getattr(error, "retry_after_s", 0.0))
    delay_s = rejoin_delay_s(ended, attempts, auto_join=True, rng=rng)
    assert delay_s is not None
    return delay_s


def _thrown_out_s(ended: Ended) -> float | None:
    """How long to stay away from those who ended the call on purpose."""
    if ended.kicked == "banned" or ended.code is RtcErrorCode.BANNED:
        return BANNED_DELAY_S
    if ended.kicked == "kick" or ended.code in (RtcErrorCode.KICKED, RtcErrorCode.DUPLICATE_USER):
        return KICKED_DELAY_S
    if ended.kicked == "removed" or ended.reason is ConnectionReason.ROOM_CLOSED:
        return ROOM_CLOSED_DELAY_S
    return None
