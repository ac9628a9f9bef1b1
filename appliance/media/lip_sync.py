"""When a picture is due so that it goes with the sound of the same sender. Pure; times are monotonic seconds.

    sound     sample with timestamp a  -> captured at A by the sender's clock, heard at H by ours
    picture   timestamp v              -> captured at V: goes with what is heard at H + V - A

Sound that comes later than its picture is natural up to a point, and waiting costs delay: so pictures wait only for
sound that would come more than LEAD_S after them. Sound never waits for pictures.
"""

from __future__ import annotations

from appliance.media.sender_clock import RtpClock

LEAD_S = 0.030  # of a picture before its sound, at most: people notice from 45 ms on (ITU-R BT.1359)
MAX_HOLD_S = 0.25  # of a picture: later sound is waited for no more
SILENT_S = 3.0  # without a packet of sound there is nothing to go with
_GAIN = 0.1
_JUMP_S = 0.1  # a larger change is no jitter


class LipSync:
    """Of one sender."""

    def __init__(self) -> None:
        self.audio, self.video = RtpClock(48_000), RtpClock(90_000)
        self._heard: tuple[int, float] | None = None
        self._ahead_s: float | None = None  # our clock less the sender's, for what is heard
        self._heard_s = 0.0

    def heard(self, timestamp: int, play_s: float) -> None:
        """The newest sample that was handed to the speaker, and when it is heard; the same again changes nothing."""
        if self._heard == (timestamp, play_s):
            return
        self._heard = timestamp, play_s
        captured_s = self.audio.ntp_s(timestamp)
        if captured_s is None:
            return
        ahead_s = play_s - captured_s
        self._heard_s = play_s
        if self._ahead_s is None or abs(ahead_s - self._ahead_s) > _JUMP_S:
            self._ahead_s = ahead_s
        else:
            self._ahead_s += _GAIN * (ahead_s - self._ahead_s)

    def due_s(self, timestamp: int, now_s: float) -> float | None:
        """When to show a picture, at the earliest; None: as soon as it is there."""
        with_s = self.goes_with_s(timestamp, now_s)
        return None if with_s is None else min(with_s - LEAD_S, now_s + MAX_HOLD_S)

    def goes_with_s(self, timestamp: int, now_s: float) -> float | None:
        """When the sound of a picture's moment is heard; None where that is not known or nothing is heard."""
        captured_s = self.video.ntp_s(timestamp)
        if captured_s is None or self._ahead_s is None or now_s - self._heard_s > SILENT_S:
            return None
        return captured_s + self._ahead_s
