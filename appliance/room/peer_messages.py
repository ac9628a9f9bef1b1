"""Messages to and from single users of the hub (U76, U77)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from appliance.errors import RateLimitError
from appliance.events import Event
from appliance.room.bucket import TokenBucket
from appliance.room.events import PeerMessage, PeerMessageProps, PeerMessageText
from appliance.room.hub_line import HubLine
from appliance.room.link import LinkLostError
from appliance.room.signaling_login import (
    MAX_TEXT_BYTES,
    MESSAGE_BURST,
    MESSAGES_PER_S,
    PeerMessageAck,
    PeerMessageReceived,
    PeerMessageSent,
    SendPeerMessage,
    check_size,
    check_user_id,
)

TIMEOUT_S = 10.0  # D69


@dataclass(frozen=True, slots=True)
class Delivery:
    """True when the other's client has the message. `stored`: the hub keeps it for the other's next login; `refusal`:
    why it does not, though it was to.
    """

    delivered: bool
    stored: bool = False
    refusal: str = ""

    def __bool__(self) -> bool:
        return self.delivered


class PeerMessages:
    def __init__(self, line: HubLine, emit: Callable[[Event], None]) -> None:
        self._line = line
        self._emit = emit
        self._bucket = TokenBucket(MESSAGES_PER_S, MESSAGE_BURST, time.monotonic())
        line.on_push(PeerMessageReceived, self._take)

    async def send(self, peer_id: str, text: str, *, offline: bool) -> Delivery:
        operation = "send_peer_message"
        self._line.check_in(operation)
        check_user_id(peer_id, operation)
        check_size(text, MAX_TEXT_BYTES, "a message", operation)
        if not self._bucket.take(1, time.monotonic()):
            raise RateLimitError(f"over {MESSAGES_PER_S:g} messages a second", operation=operation)
        sent = await self._line.request(
            operation,
            lambda request_id: SendPeerMessage(id=request_id, to=peer_id, text=text, offline=offline),
            PeerMessageSent,
            TIMEOUT_S,
        )
        return Delivery(sent.delivered, sent.stored, sent.refusal)

    def _take(self, message: PeerMessageReceived) -> None:
        try:
            self._line.send(PeerMessageAck(message=message.message))
        except LinkLostError:
            return  # the sender was told that it did not arrive
        self._emit(
            PeerMessage(
                message=PeerMessageText(type="TEXT", text=message.text),
                peer_id=message.sender,
                props=PeerMessageProps(server_ts_ms=message.server_ts_ms, offline=message.offline),
            )
        )
