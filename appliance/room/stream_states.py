"""Which remote videos stand still though they should move (capabilities U37 to U39, X26). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.room.signaling_base import StreamName

Key = tuple[str, StreamName]  # user id, stream


class Interruptions:
    """`interval_s` without a received frame is an interruption."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self._interrupted: set[Key] = set()
        self._since_s: dict[Key, float] = {}  # when it was expected first

    def look(self, frames_s: Mapping[Key, float | None], now_s: float) -> tuple[list[Key], list[Key]]:
        """(newly interrupted, recovered). `frames_s`: when the last frame came of each video that should move now; None
        when none has come. One that is muted, unpublished or not received is left out, and ends without a word.
        """
        self._interrupted &= frames_s.keys()
        self._since_s = {key: self._since_s.get(key, now_s) for key in frames_s}
        interrupted, recovered = [], []
        for key, frame_s in frames_s.items():
            last_s = max(self._since_s[key], frame_s if frame_s is not None else 0.0)
            stands = now_s - last_s > self.interval_s
            if stands and key not in self._interrupted:
                interrupted.append(key)
            elif not stands and key in self._interrupted:
                recovered.append(key)
        self._interrupted |= set(interrupted)
        self._interrupted -= set(recovered)
        return interrupted, recovered
