"""A client's media through a wire, whose packets are counted by somebody who knows nothing of the client."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from appliance.room.client import RoomClient
from appliance.room.signaling_room import LegAnswer, LegMessage, LegOffer
from tests.wire import Wire

AUTH_TAG_BYTES = 16  # AES-GCM (RFC 7714)


def route(client: RoomClient, wire: Wire | Callable[[str], Wire]) -> None:
    """Its own descriptions lead through `wire` from the next join on, or the one for that peer. Everybody in the room
    has to be routed: a leg of which only one end is may find the way past it.
    """
    inner: Any = client
    new_stay = inner._new_stay

    def routed_stay(ticket: Any) -> Any:
        stay = new_stay(ticket)
        send = stay.send_leg

        def send_leg(to: str, message: LegMessage) -> None:
            if isinstance(message, LegOffer | LegAnswer):
                way = wire if isinstance(wire, Wire) else wire(to)
                message = msgspec.structs.replace(message, sdp=way.route(message.sdp))
            send(to, message)

        stay.send_leg = send_leg
        return stay

    inner._new_stay = routed_stay


@dataclass(frozen=True, slots=True)
class Passed:
    """Of one RTP stream: what came to the wire, what the wire lost, and the payload bytes that passed."""

    came: int = 0
    lost: int = 0
    bytes: int = 0


class Counter:
    """Hooked into `wire.drop`; loses a share of RTP itself, for it has to know what is lost."""

    def __init__(self, wire: Wire) -> None:
        self.loss = 0.0
        self.streams: defaultdict[int, Passed] = defaultdict(Passed)  # by SSRC
        self._random = random.Random(7)
        wire.drop = self._take

    def _take(self, data: bytes) -> bool:
        if len(data) < 12 or data[0] >> 6 != 2 or 192 <= data[1] <= 223:
            return False
        ssrc = int.from_bytes(data[8:12], "big")
        before = self.streams[ssrc]
        lost = self._random.random() < self.loss
        size = 0 if lost else _payload_bytes(data)
        self.streams[ssrc] = replace(before, came=before.came + 1, lost=before.lost + lost, bytes=before.bytes + size)
        return lost

    @property
    def main(self) -> Passed:
        """The stream with the most bytes."""
        return max(self.streams.values(), key=lambda passed: passed.bytes)


def _payload_bytes(data: bytes) -> int:
    header = 12 + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        header += 4 + 4 * int.from_bytes(data[header + 2 : header + 4], "big")
    return len(data) - header - AUTH_TAG_BYTES
