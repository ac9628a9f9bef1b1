"""What the configuration says of calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.config import Config
from appliance.hub.tokens import TokenSigner
from appliance.intercom import CallRules

CALL_TOKEN_S = 300  # it rings for a minute, and the room is entered at once


@dataclass(frozen=True, slots=True)
class IntercomSettings:
    """`peers`: whom the call button rings. `room`: where calls of this unit take place; empty: the session's own.
    `mint` makes a token for a user and a room, where this unit hosts the hub. `ring_volume`: 0..100.
    """

    rules: CallRules = field(default_factory=CallRules)
    peers: tuple[str, ...] = ()
    room: str = ""
    ring_volume: int = 80
    mint: Callable[[str, str], str] | None = None


def intercom_settings(config: Config, signer: TokenSigner) -> IntercomSettings:
    """`signer` is that of this unit's hub; it signs only where that hub is the one of the call and wants tokens."""
    call = config.call

    def mint(user_id: str, room: str) -> str:
        return signer.sign(user_id, room, "host", "", CALL_TOKEN_S, time.time())

    return IntercomSettings(
        rules=CallRules(frozenset(call.auto_answer), call.do_not_disturb, call.ring_s),
        peers=call.peers,
        room=call.room,
        ring_volume=call.ring_volume,
        mint=mint if config.room.is_own and config.hub.secure else None,
    )
