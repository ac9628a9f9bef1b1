"""Spreads what is too much for a moment, a key frame above all, over the time that its link needs. Pure.

A frame of usual size leaves at once. What is beyond that leaves at PACE times the target rate, or faster where the
oldest frame would wait longer than MAX_DELAY_S. Frames stay in order, and none is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

PACE = 2.5  # times the target rate, as libwebrtc does
BURST_S = 0.03  # of time at the pace: about two frames of 30 a second
TICK_S = 0.005  # what is due within it leaves together
MAX_DELAY_S = 0.25
MAX_QUEUE_BYTES = 1 << 19  # beside one frame, however large that is
PACKET_OVERHEAD_BYTES = 60  # IP, UDP, RTP with extensions, SRTP

T = TypeVar("T")


@dataclass(slots=True)
class _Waiting(Generic[T]):
    frame: T
    sizes: Sequence[int]
    due_s: float  # when it must be gone
    left_bytes: int
    at: int = 0  # its next packet


@dataclass(frozen=True, slots=True)
class Chunk(Generic[T]):
    """Packets of `frame` from `start` up to `stop`, to be sent now."""

    frame: T
    start: int
    stop: int


class Pacer(Generic[T]):
    """One stream. Times are monotonic seconds and never go back."""

    def __init__(self) -> None:
        self.queued_bytes = 0
        self._queue: deque[_Waiting[T]] = deque()
        self._held_s = 0.0
        self._free_s = 0.0  # when what was sent so far has left, at the pace

    def admit(self, packets: int, payload_bytes: int, now_s: float, target_bps: float) -> bool:
        """Whether a frame may leave at once and whole, which is then accounted for; else `put` it."""
        if self._queue:
            return False
        free_s = max(self._free_s, now_s) + 8 * (payload_bytes + packets * PACKET_OVERHEAD_BYTES) / (PACE * target_bps)
        if free_s - now_s > BURST_S:
            return False
        self._free_s = free_s
        return True

    def put(self, frame: T, sizes: Sequence[int], now_s: float) -> bool:
        """A frame of packets of these sizes. False: it was not taken, for too much is waiting."""
        size = sum(sizes) + len(sizes) * PACKET_OVERHEAD_BYTES
        if self._queue and self.queued_bytes + size > MAX_QUEUE_BYTES:
            return False
        self._queue.append(_Waiting(frame, sizes, max(now_s, self._held_s) + MAX_DELAY_S, size))
        self.queued_bytes += size
        return True

    def charge(self, size_bytes: int, now_s: float, target_bps: float) -> None:
        """Something else was sent on the same link: a retransmission."""
        self._spend(size_bytes, now_s, PACE * target_bps)
        self._free_s = min(self._free_s, max(now_s, self._held_s) + MAX_DELAY_S)

    def hold(self, until_s: float) -> None:
        """Nothing leaves before: what is put now waits, and its time is counted from then on."""
        self._held_s = until_s
        self._free_s = max(self._free_s, until_s + BURST_S)

    def take(self, now_s: float, target_bps: float) -> list[Chunk[T]]:
        """What must be sent now."""
        chunks: list[Chunk[T]] = []
        pace_bps = self._pace(now_s, target_bps) if self._queue else 0.0
        while self._queue:
            waiting = self._queue[0]
            late = waiting.due_s - now_s < TICK_S
            start = waiting.at
            while waiting.at < len(waiting.sizes) and (late or self._free_s - now_s <= BURST_S):
                size = waiting.sizes[waiting.at] + PACKET_OVERHEAD_BYTES
                waiting.at += 1
                waiting.left_bytes -= size
                self.queued_bytes -= size
                self._spend(size, now_s, pace_bps)
            if waiting.at > start:
                chunks.append(Chunk(waiting.frame, start, waiting.at))
            if waiting.at < len(waiting.sizes):
                break
            self._queue.popleft()
        return chunks

    def next_s(self, now_s: float) -> float | None:
        """When to `take` again; None: nothing waits."""
        if not self._queue:
            return None
        return max(now_s + TICK_S, min(self._free_s - BURST_S, self._queue[0].due_s))

    def flush(self) -> int:
        """Forgets all that waits; how many frames that was."""
        count = len(self._queue)
        self._queue.clear()
        self.queued_bytes = 0
        return count

    def _spend(self, size_bytes: int, now_s: float, pace_bps: float) -> None:
        self._free_s = max(self._free_s, now_s) + 8 * size_bytes / pace_bps

    def _pace(self, now_s: float, target_bps: float) -> float:
        """Fast enough for every frame's time."""
        pace_bps, before = PACE * target_bps, 0
        for waiting in self._queue:
            before += waiting.left_bytes
            pace_bps = max(pace_bps, 8 * before / max(TICK_S, waiting.due_s - now_s))
        return pace_bps
