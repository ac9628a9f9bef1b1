"""SEI messages on their way to the application: with their picture, and once. Pure; times are monotonic seconds.

Beside H.264 they travel on a data channel, each with the RTP timestamp of its picture in its leg (X41):

    RTP timestamp (32 bit, big endian) | payload type (8 bit) | data
"""

from __future__ import annotations

import struct
from collections import deque

from appliance.media.sei import SeiError, SeiPayload

CHANNEL = "sei"  # label of the data channel
MAX_CHANNEL_BYTES = 2048  # a message of 1 KB, encrypted
MAX_WAITING = 64
HOLD_S = 0.5  # for a picture that is late or lost
SAME_S = 5.0  # two legs of one stream bring one message within this time
_HEAD = struct.Struct(">IB")


def encode_timed(timestamp: int, payload: SeiPayload) -> bytes:
    return _HEAD.pack(timestamp, payload.payload_type) + payload.data


def parse_timed(message: object) -> tuple[int, SeiPayload]:
    """RTP timestamp and message. `SeiError` for what a stranger may send instead."""
    if not isinstance(message, bytes):
        raise SeiError("it is text")
    if not _HEAD.size < len(message) <= MAX_CHANNEL_BYTES:
        raise SeiError(f"it has {len(message)} bytes")
    timestamp, payload_type = _HEAD.unpack_from(message)
    return timestamp, SeiPayload(payload_type, message[_HEAD.size :])


class SeiAtPictures:
    """Holds messages back until their picture is there."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, float, SeiPayload]] = deque()
        self._shown: int | None = None

    def add(self, timestamp: int, payload: SeiPayload, now_s: float) -> list[SeiPayload]:
        """What is due now: this one where its picture has passed, and the oldest where too many wait."""
        if self._shown is not None and not _is_after(timestamp, self._shown):
            return [payload]
        self._waiting.append((timestamp, now_s + HOLD_S, payload))
        return [self._waiting.popleft()[2]] if len(self._waiting) > MAX_WAITING else []

    def picture(self, timestamp: int) -> list[SeiPayload]:
        """What is due with the picture of this timestamp."""
        self._shown = timestamp
        due = []
        while self._waiting and not _is_after(self._waiting[0][0], timestamp):
            due.append(self._waiting.popleft()[2])
        return due

    def tick(self, now_s: float) -> list[SeiPayload]:
        """What has waited long enough."""
        due = []
        while self._waiting and self._waiting[0][1] <= now_s:
            due.append(self._waiting.popleft()[2])
        return due

    @property
    def due_s(self) -> float | None:
        return self._waiting[0][1] if self._waiting else None


def _is_after(timestamp: int, other: int) -> bool:
    return 0 < (timestamp - other) & 0xFFFFFFFF < 1 << 31


class SeiOnce:
    """Of one stream: a message that two of its legs bring, while one takes the place of the other, counts once."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, SeiPayload, set[str]]] = deque()

    def is_new(self, leg_id: str, payload: SeiPayload, now_s: float) -> bool:
        while self._seen and self._seen[0][0] < now_s - SAME_S:
            self._seen.popleft()
        for _, seen, legs in self._seen:
            if seen == payload and leg_id not in legs:
                legs.add(leg_id)
                return False
        self._seen.append((now_s, payload, {leg_id}))
        return True
