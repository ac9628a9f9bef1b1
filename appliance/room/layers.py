"""Which layer of each remote video is received (capabilities U36, U42). Pure; times are monotonic seconds.

`Squeeze` watches the downlink and says how much must be given up, one step at a time and back again:

| step | videos of NORMAL priority                    | of the HIGH user |
| 0    | as wished                                    | as wished        |
| 1    | LOW                                          | as wished        |
| 2    | none, while the HIGH user shows a picture    | as wished        |
| 3    | none                                         | LOW              |

Without a HIGH user there is step 1 at most: a sender adapts its LOW layer itself. That the HIGH user says that its
video goes out with too little is a reason for steps 1 and 2, but not for staying in 2: the fault may be its own.

A video that nobody wants begins with LOW, so that it is known to come, and is then not received at all.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from appliance.room.signaling_base import Selection
from appliance.room.streams import StreamType

SQUEEZED_LOSS = 0.05  # 0..1
SQUEEZED_QUEUE_S = 0.15  # of the round trip time above its lowest of the last minute: far away is not squeezed
LOWEST_OF_S = 60.0
WORSE_S = 3.0  # squeezed for so long: the next step
BETTER_S = 10.0  # good for so long: a step back, and twice as long after each step back that did not hold
MAX_BETTER_S = 160.0
RELAPSE_S = 20.0  # squeezed so soon after a step back: it did not hold
SMALL_PX, LARGE_PX = 240, 300  # height of a tile: from here LOW, from there HIGH again


@dataclass(frozen=True, slots=True)
class RemoteVideoFacts:
    """`shown`: width and height of its tile in pixels, (0, 0) when it is not shown, None when nobody said. `is_wanted`:
    somebody looks at it, or may; `has_come`: its leg has carried pictures.
    """

    has_low: bool
    wish: StreamType = StreamType.HIGH  # at most this
    is_important: bool = False  # its user has HIGH media priority
    shown: tuple[int, int] | None = None
    is_wanted: bool = True
    has_come: bool = False


def select(video: RemoteVideoFacts, step: int, now: Selection) -> Selection:
    """The layer to receive; `now` is the one that is received."""
    if video.shown is not None and 0 in video.shown:
        return "none"
    if not video.is_wanted and video.has_come:
        return "none"
    if step >= 2 and not video.is_important:
        return "none"
    if not video.has_low:
        return "high"
    squeezed = step >= (3 if video.is_important else 1)
    if squeezed or not video.is_wanted or video.wish is StreamType.LOW or _is_small(video.shown, now):
        return "low"
    return "high"


def _is_small(shown: tuple[int, int] | None, now: Selection) -> bool:
    return shown is not None and shown[1] <= (SMALL_PX if now == "high" else LARGE_PX - 1)


class Squeeze:
    """Feed it what the downlink is like, every second or two."""

    def __init__(self, *, worse_s: float = WORSE_S, better_s: float = BETTER_S) -> None:
        self.step = 0
        self._worse_s, self._better_s = worse_s, better_s
        self._patience_s = better_s
        self._rtts: deque[tuple[float, float]] = deque()  # (time, RTT) whose lows only rise
        self._since_s: float | None = None  # how long it has been as it is
        self._was_squeezed = False
        self._back_s = float("-inf")  # of the last step back

    def report(self, loss: float | None, rtt_s: float | None, most: int, now_s: float, *, short: bool = False) -> int:
        """The step from now on: `most` at most. Loss 0..1 and RTT of the downlink; None while not measured. `short`:
        the HIGH user's video goes out with too little.
        """
        queued_s = self._queue_s(rtt_s, now_s)
        full = (loss or 0.0) >= SQUEEZED_LOSS or queued_s >= SQUEEZED_QUEUE_S
        squeezed = full or (short and self.step < 2)
        if self._since_s is None or squeezed != self._was_squeezed:
            self._since_s, self._was_squeezed = now_s, squeezed
        lasted_s = now_s - self._since_s
        if squeezed and lasted_s >= self._worse_s and self.step < most:
            if now_s - self._back_s < RELAPSE_S + self._worse_s:
                self._patience_s = min(MAX_BETTER_S, 2 * self._patience_s)
            self.step += 1
            self._since_s = now_s
        elif not squeezed and lasted_s >= self._patience_s and self.step > 0:
            self.step -= 1
            self._since_s = self._back_s = now_s
        elif not squeezed and self.step == 0 and lasted_s > 2 * RELAPSE_S:
            self._patience_s = self._better_s
        self.step = min(self.step, most)
        return self.step

    def _queue_s(self, rtt_s: float | None, now_s: float) -> float:
        """How much of the RTT is waiting."""
        if rtt_s is None:
            return 0.0
        while self._rtts and self._rtts[-1][1] >= rtt_s:
            self._rtts.pop()
        self._rtts.append((now_s, rtt_s))
        while now_s - self._rtts[0][0] > LOWEST_OF_S:
            self._rtts.popleft()
        return rtt_s - self._rtts[0][1]
