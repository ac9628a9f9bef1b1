"""Half duplex: one end has the floor, the other one is shut. Pure; one `feed` each 10 ms.

    idle --somebody talks--> near or far --silence for HANG_S--> idle
    far  --the near end talks clearly over the echo for BREAK_IN_S--> near

What the speaker gets and what the microphone gives lose `LOSS_DB` together, always: whatever the room gives back, a
loop through two such units is quieter after each turn, and cannot howl. Who talks keeps the floor while he does, but
for the near end, which may break in: it is in the room, and the far end cannot be heard over it.
"""

from __future__ import annotations

from typing import Literal

from appliance.media.noise_floor import NoiseFloor

LOSS_DB = 40.0
STEP_DB = 10.0  # the floor changes hands within 40 ms
HANG_S = 0.35
BREAK_IN_S = 0.1
FAR_ACTIVE_DBOV = -50.0
NEAR_OVER_FLOOR_DB = 10.0
OVER_ECHO_DB = 6.0  # louder than what the speaker gives back
ECHO_S = 0.25  # for so long after it was played
_COUPLING_DB = (-40.0, 20.0)  # echo by what is played: a far speaker, and one at the microphone's ear
_FORGET_DB = 0.05  # a block: the coupling follows a volume that was turned down
_STEP_S = 0.01
_IDLE_DB = -LOSS_DB / 2

Floor = Literal["idle", "near", "far"]


class VoiceSwitch:
    """`near_db` of the microphone's sound and `far_db` of the speaker's, as of the last block."""

    def __init__(self) -> None:
        self.floor: Floor = "idle"
        self.near_db = self.far_db = _IDLE_DB
        self.noise = NoiseFloor()
        self._coupling_db = 10.0  # until more is known: the far end talks undisturbed
        self._played_dbov = -127.0  # the loudest that may still be heard
        self._played_s = self._quiet_s = self._over_s = 0.0

    def feed(self, heard_dbov: float, far_dbov: float) -> None:
        """`heard_dbov`: of the microphone; `far_dbov`: of what the far end says, before `far_db`."""
        echo_dbov = self._echo(far_dbov)
        if self.floor == "far":
            learnt_db = heard_dbov - self._played_dbov
            if self._played_dbov > FAR_ACTIVE_DBOV and learnt_db > self._coupling_db and self._over_s == 0.0:
                self._coupling_db = min(_COUPLING_DB[1], self._coupling_db + 0.2 * (learnt_db - self._coupling_db))
            self._coupling_db = max(_COUPLING_DB[0], self._coupling_db - _FORGET_DB)
        is_far = far_dbov > FAR_ACTIVE_DBOV
        over_noise = heard_dbov > self.noise.dbov + NEAR_OVER_FLOOR_DB
        is_near = over_noise and heard_dbov > echo_dbov + OVER_ECHO_DB
        if not self._played_dbov > FAR_ACTIVE_DBOV:
            self.noise.feed(heard_dbov)
        self._pass_floor(is_near=is_near, is_far=is_far)
        goal_db = {"near": 0.0, "far": -LOSS_DB, "idle": _IDLE_DB}[self.floor]
        self.near_db += max(-STEP_DB, min(STEP_DB, goal_db - self.near_db))
        self.far_db = -LOSS_DB - self.near_db

    def _echo(self, far_dbov: float) -> float:
        """The level at which what was played may come back now."""
        sounding_dbov = far_dbov + self.far_db
        if sounding_dbov >= self._played_dbov:
            self._played_dbov, self._played_s = sounding_dbov, 0.0
        elif (played_s := self._played_s + _STEP_S) <= ECHO_S:
            self._played_s = played_s
        else:
            self._played_dbov = max(sounding_dbov, self._played_dbov - 1.0)
        return self._played_dbov + self._coupling_db

    def _pass_floor(self, *, is_near: bool, is_far: bool) -> None:
        self._over_s = self._over_s + _STEP_S if is_near else max(0.0, self._over_s - _STEP_S)
        match self.floor:
            case "idle":
                self._take("far" if is_far else "near" if is_near else "idle")
            case "far" if self._over_s >= BREAK_IN_S - _STEP_S / 2:
                self._take("near")
            case "far":
                self._keep(is_far)
            case "near":
                self._keep(is_near)

    def _keep(self, talks: bool) -> None:
        self._quiet_s = 0.0 if talks else self._quiet_s + _STEP_S
        if self._quiet_s >= HANG_S:
            self._take("idle")

    def _take(self, floor: Floor) -> None:
        if floor != self.floor:
            self.floor, self._quiet_s, self._over_s = floor, 0.0, 0.0
