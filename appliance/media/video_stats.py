"""What is known of one received video: counters as in webrtc-stats, and when its pictures freeze. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

FREEZE_S = 0.15  # longer than the mean interval by so much, or three times it: webrtc-stats freezeCount
MEAN_OF = 30  # intervals
WINDOW_S = 1.0  # of `fps`


@dataclass(frozen=True, slots=True)
class VideoInStats:
    """Counters are cumulative. `fps` is of the last second, the delays and the decoder's time are means of it.

    Nothing is decoded, shown, asked for again or frozen while nobody watches.
    """

    frames_received: int = 0  # complete, in order
    frames_decoded: int = 0
    frames_shown: int = 0
    frames_dropped: int = 0  # while watched: complete and not decoded, or decoded and overtaken by a newer one
    key_frames: int = 0  # received
    width: int = 0  # of the last picture that was decoded
    height: int = 0
    fps: float = 0.0  # shown
    freeze_count: int = 0
    total_freeze_ms: float = 0.0
    nack_count: int = 0  # packets asked for again, each request
    recovered: int = 0  # packets out of parities
    pli_count: int = 0
    corrupted: int = 0  # frames that the decoder refused or repaired
    malformed: int = 0  # packets
    last_frame_s: float | None = None  # monotonic; when the last complete frame came, watched or not
    jitter_buffer_ms: float = 0.0  # from a frame's first packet to the decoder's queue
    decode_ms: float = 0.0  # from that queue to the decoded picture
    hold_ms: float = 0.0  # from there to the watchers: smoothing and lip sync


class Counters:
    """The parts of VideoInStats that one thread each counts up: whole numbers, and sums of delays."""

    def __init__(self) -> None:
        self.frames_received = self.frames_decoded = self.frames_dropped = self.key_frames = 0
        self.nack_count = self.recovered = self.pli_count = self.corrupted = self.malformed = 0
        self.width = self.height = 0
        self.last_frame_s: float | None = None
        self.jitter_buffer, self.decode, self.hold = Mean(), Mean(), Mean()

    def snapshot(self, shown: ShownFrames, now_s: float) -> VideoInStats:
        return VideoInStats(
            frames_received=self.frames_received,
            frames_decoded=self.frames_decoded,
            frames_shown=shown.frames,
            frames_dropped=self.frames_dropped,
            key_frames=self.key_frames,
            width=self.width,
            height=self.height,
            fps=shown.fps(now_s),
            freeze_count=shown.freezes,
            total_freeze_ms=round(shown.frozen_s * 1000, 1),
            nack_count=self.nack_count,
            recovered=self.recovered,
            pli_count=self.pli_count,
            corrupted=self.corrupted,
            malformed=self.malformed,
            last_frame_s=self.last_frame_s,
            jitter_buffer_ms=self.jitter_buffer.ms,
            decode_ms=self.decode.ms,
            hold_ms=self.hold.ms,
        )


class Mean:
    """A mean that forgets: of about the last 30 values, a second of pictures."""

    def __init__(self) -> None:
        self._value_s: float | None = None

    def add(self, value_s: float) -> None:
        self._value_s = value_s if self._value_s is None else self._value_s + (value_s - self._value_s) / MEAN_OF

    @property
    def ms(self) -> float:
        return 0.0 if self._value_s is None else round(self._value_s * 1000, 2)


class ShownFrames:
    """Fed with the time of each picture that is shown; `pause` when there will be none for a while, and rightly so."""

    def __init__(self) -> None:
        self.frames = self.freezes = 0
        self.frozen_s = 0.0
        self._last_s: float | None = None
        self._intervals_s: deque[float] = deque(maxlen=MEAN_OF)
        self._times_s: deque[float] = deque(maxlen=120)

    def add(self, now_s: float) -> None:
        self.frames += 1
        self._times_s.append(now_s)
        last_s, self._last_s = self._last_s, now_s
        if last_s is None:
            return
        interval_s = now_s - last_s
        if self._intervals_s:
            mean_s = sum(self._intervals_s) / len(self._intervals_s)
            if interval_s >= max(3 * mean_s, mean_s + FREEZE_S):
                self.freezes += 1
                self.frozen_s += interval_s
        self._intervals_s.append(interval_s)

    def pause(self) -> None:
        self._last_s = None
        self._intervals_s.clear()
        self._times_s.clear()

    def fps(self, now_s: float) -> float:
        while self._times_s and now_s - self._times_s[0] > WINDOW_S:
            self._times_s.popleft()
        return round(len(self._times_s) / WINDOW_S, 1)
