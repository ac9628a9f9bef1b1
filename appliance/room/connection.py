"""The connection-state machine of a room client, as a table (capabilities T3-S, T3-T).

DISCONNECTED --join--> CONNECTING --accepted--> CONNECTED --link lost--> RECONNECTING --restored--> RECONNECTED
     ^  ^                | refused                | leave, evicted          |  | gave up               | settled
     |  +----------------+                        v                         |  |                       v
     |  +--------------------------------- DISCONNECTING <------- leave ----+  |                   CONNECTED
     |                   torn down                                             |
     +-------------------------------------------------------------------------+
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum

from appliance.room.events import ConnectionReason, ConnectionState, ConnectionStateChanged, RtcErrorInfo

logger = logging.getLogger(__name__)


class Trigger(StrEnum):
    """What moves the machine."""

    JOIN = "join"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    LINK_LOST = "link lost"
    LINK_DROPPED = "link dropped"  # with `trtc_transitions`: in two steps
    RETRY = "retry"
    RESTORED = "restored"
    SETTLED = "settled"
    GAVE_UP = "gave up"
    LEAVE = "leave"
    EVICTED = "evicted"
    TORN_DOWN = "torn down"


_S = ConnectionState

TRANSITIONS: dict[tuple[ConnectionState, Trigger], ConnectionState] = {
    (_S.DISCONNECTED, Trigger.JOIN): _S.CONNECTING,  # TR01
    (_S.CONNECTING, Trigger.ACCEPTED): _S.CONNECTED,  # TR02
    (_S.CONNECTING, Trigger.REFUSED): _S.DISCONNECTED,  # TR03
    (_S.CONNECTING, Trigger.LEAVE): _S.DISCONNECTING,  # TR04
    (_S.CONNECTED, Trigger.LINK_LOST): _S.RECONNECTING,  # TR05
    (_S.CONNECTED, Trigger.LINK_DROPPED): _S.DISCONNECTED,  # TR06
    (_S.DISCONNECTED, Trigger.RETRY): _S.RECONNECTING,  # TR07
    (_S.RECONNECTING, Trigger.RESTORED): _S.RECONNECTED,  # TR08
    (_S.RECONNECTED, Trigger.SETTLED): _S.CONNECTED,  # TR09
    (_S.RECONNECTING, Trigger.GAVE_UP): _S.DISCONNECTED,  # TR10
    (_S.RECONNECTING, Trigger.LEAVE): _S.DISCONNECTING,  # TR11
    (_S.CONNECTED, Trigger.LEAVE): _S.DISCONNECTING,  # TR12
    (_S.DISCONNECTING, Trigger.TORN_DOWN): _S.DISCONNECTED,  # TR13
    (_S.CONNECTED, Trigger.EVICTED): _S.DISCONNECTING,  # TR14
}

JOINED_STATES = frozenset({_S.CONNECTED, _S.RECONNECTING, _S.RECONNECTED})


class TransitionError(AssertionError):
    """The client asked for a transition that T3-T does not list: a bug of the client, never of its caller."""


class Connection:
    """The state; `emit` gets each change at once, as one `ConnectionStateChanged`."""

    def __init__(self, emit: Callable[[ConnectionStateChanged], None]) -> None:
        self.state = ConnectionState.DISCONNECTED
        self._emit = emit

    @property
    def is_joined(self) -> bool:
        return self.state in JOINED_STATES

    def advance(
        self,
        trigger: Trigger,
        reason: ConnectionReason,
        *,
        resumed: bool = False,
        error: RtcErrorInfo | None = None,
    ) -> None:
        """Move by `trigger`; raises `TransitionError` on a pair that the table lacks, and changes nothing."""
        target = TRANSITIONS.get((self.state, trigger))
        if target is None:
            logger.error("no transition from %s by %s (%s)", self.state, trigger, reason)
            raise TransitionError(f"no transition from {self.state} by {trigger}")
        will_reconnect = trigger in (Trigger.LINK_LOST, Trigger.LINK_DROPPED, Trigger.RETRY)
        self._set_state(target, reason, resumed=resumed, error=error, will_reconnect=will_reconnect)

    def _set_state(
        self,
        state: ConnectionState,
        reason: ConnectionReason,
        *,
        resumed: bool,
        error: RtcErrorInfo | None,
        will_reconnect: bool,
    ) -> None:
        previous, self.state = self.state, state
        logger.info("%s -> %s (%s)%s", previous, state, reason, f": {error.message}" if error else "")
        self._emit(
            ConnectionStateChanged(
                prev_state=previous,
                cur_state=state,
                reason=reason,
                reconnect=_S.RECONNECTED in (previous, state),
                resumed=resumed,
                will_reconnect=will_reconnect,
                error=error,
            )
        )
