"""Do both ends talk at once? And the speaker's gain while they do. Pure; one `feed` each 10 ms.

A canceller that hears both has to take some of the near talk away with the echo: at equal loudness 5 to 7 dB. Half the
speaker's amplitude while it lasts gives 2 dB of that back, and makes the words plain (tests/bench/echo.py).
"""

from __future__ import annotations

from appliance.media.noise_floor import NoiseFloor

DUCKED_DB = -6.0
FAR_ACTIVE_DBOV = -50.0  # what is played at this level is heard again
FAR_HOLD_S = 0.25  # for so long after: the queue of the speaker, and the room
OVER_FLOOR_DB = 12.0
LEFT_DB = -15.0  # of what is heard: a canceller that works leaves less of an echo, and more of near talk
VOICE = 0.6  # probability of speech
ATTACK_S = 0.08
HOLD_S = 0.4  # a syllable and the pause after it
RELEASE_DB_PER_S = 30.0
_STEP_S = 0.01
_SMOOTH = 0.2  # of a new level in the smoothed one: about 50 ms


class DoubleTalk:
    """`far_active`, `near_active` and `gain_db` of the speaker, as of the last block."""

    def __init__(self) -> None:
        self.far_active = False
        self.gain_db = 0.0
        self._floor = NoiseFloor()
        self._heard = self._left = 0.0  # mean squares
        self._far_s = self._near_s = self._hold_s = 0.0

    @property
    def is_double(self) -> bool:
        """Both talk."""
        return self._hold_s > 0.0

    def feed(self, far_dbov: float, heard_dbov: float, left_dbov: float, voice: float) -> None:
        """What was played, what was heard, what the canceller left of that, and how probably it is speech, 0..1."""
        self._far_s = FAR_HOLD_S if far_dbov > FAR_ACTIVE_DBOV else max(0.0, self._far_s - _STEP_S)
        self.far_active = self._far_s > 0.0
        self._heard += _SMOOTH * (_power(heard_dbov) - self._heard)
        self._left += _SMOOTH * (_power(left_dbov) - self._left)
        least = max(_power(self._floor.feed(left_dbov) + OVER_FLOOR_DB), self._heard * _power(LEFT_DB))
        is_near = self._left > least and voice > VOICE
        self._near_s = min(ATTACK_S, self._near_s + _STEP_S) if is_near else max(0.0, self._near_s - _STEP_S)
        if self.far_active and self._near_s >= ATTACK_S - _STEP_S / 2:
            self._hold_s = HOLD_S
        else:
            self._hold_s = max(0.0, self._hold_s - _STEP_S)
        self.gain_db = DUCKED_DB if self.is_double else min(0.0, self.gain_db + RELEASE_DB_PER_S * _STEP_S)


def _power(level_dbov: float) -> float:
    return float(10 ** (level_dbov / 10))
