"""How much SEI a client may send (U84, D38). Pure; times are monotonic seconds."""

from __future__ import annotations

from collections import deque

from appliance.errors import InvalidArgumentError, RateLimitError
from appliance.media.sei import PAYLOAD_TYPES, USER_DATA_UNREGISTERED, UUID_BYTES, SeiPayload

MAX_BYTES = 1024
MESSAGES_PER_S = 30
BYTES_PER_S = 8192


def checked(data: bytes, payload_type: int) -> SeiPayload:
    """Raises `InvalidArgumentError`."""
    operation = "send_sei_message"
    if payload_type not in PAYLOAD_TYPES:
        allowed = " or ".join(map(str, PAYLOAD_TYPES))
        raise InvalidArgumentError(f"payload type {payload_type}: {allowed}", operation=operation)
    least = UUID_BYTES if payload_type == USER_DATA_UNREGISTERED else 1
    if not least <= len(data) <= MAX_BYTES:
        uuid = ", the first 16 of them a UUID" if payload_type == USER_DATA_UNREGISTERED else ""
        raise InvalidArgumentError(f"{len(data)} bytes: {least} to {MAX_BYTES}{uuid}", operation=operation)
    return SeiPayload(payload_type, bytes(data))


class SeiAllowance:
    """30 messages and 8 KB in any second."""

    def __init__(self) -> None:
        self._sent: deque[tuple[float, int]] = deque()

    def take(self, size: int, now_s: float) -> None:
        """Raises `RateLimitError`; then nothing is taken."""
        while self._sent and self._sent[0][0] <= now_s - 1.0:
            self._sent.popleft()
        if len(self._sent) >= MESSAGES_PER_S:
            raise RateLimitError(f"over {MESSAGES_PER_S} messages in a second", operation="send_sei_message")
        if sum(sent for _, sent in self._sent) + size > BYTES_PER_S:
            raise RateLimitError(f"over {BYTES_PER_S} bytes in a second", operation="send_sei_message")
        self._sent.append((now_s, size))
