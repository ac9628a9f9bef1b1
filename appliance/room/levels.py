"""Who is how loud: sorted volumes (capabilities U51, U53) and the active speaker (U52). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from hw.level import SPEECH_VOLUME

EVALUATE_S = 1.0  # two active speakers are at least so far apart (X30)
LEAD_VOLUME = 10  # 5 dB: by so much somebody must be louder to take over from one who still speaks


def loudest(volumes: Mapping[str, int], n: int | None = None) -> list[tuple[str, int]]:
    """(user id, volume) of the `n` loudest, loudest first; equals by user id, so that a list of equals stands still."""
    return sorted(volumes.items(), key=lambda item: (-item[1], item[0]))[:n]


class SpeakerElection:
    """Elects the active speaker out of volumes 0..100, once a second, with hysteresis; nobody in silence."""

    def __init__(self) -> None:
        self.speaker: str | None = None
        self._sums: dict[str, int] = {}
        self._samples = 0
        self._since_s: float | None = None

    def feed(self, volumes: Mapping[str, int], now_s: float) -> str | None:
        """Takes everybody's volume at `now_s`, as often as wanted; the new speaker's id when this elects another one.

        What counts is the mean since the last election. Who isn't in `volumes` has left.
        """
        if self._since_s is None:
            self._since_s = now_s - EVALUATE_S
        self._sums = {user_id: self._sums.get(user_id, 0) + volume for user_id, volume in volumes.items()}
        self._samples += 1
        if now_s - self._since_s < EVALUATE_S:
            return None
        means = {user_id: total / self._samples for user_id, total in self._sums.items()}
        self._since_s, self._sums, self._samples = now_s, {}, 0
        before, self.speaker = self.speaker, self._elect(means)
        return self.speaker if self.speaker != before else None

    def _elect(self, means: Mapping[str, float]) -> str | None:
        best = max(sorted(means), key=lambda user_id: means[user_id], default=None)
        if best is None or means[best] <= SPEECH_VOLUME:
            return None
        now = means.get(self.speaker, 0.0) if self.speaker is not None else 0.0
        return self.speaker if now > SPEECH_VOLUME and means[best] < now + LEAD_VOLUME else best
