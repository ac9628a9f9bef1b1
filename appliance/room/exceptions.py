"""Exceptions of a call: abnormal, no error (capabilities U12, D07, X13). Pure; times are monotonic seconds.

A condition counts once it has held for `hold_s`. It is told then, again at most every 2 s while it holds, and once when
it is over: better, muted or no longer there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.room.events import ExceptionName, ExceptionRaised

REPEAT_S = 2.0
HOLD_S = 2.0
QUIET_S = 5.0  # of a level: people pause
CODES: dict[ExceptionName, int] = {
    ExceptionName.FRAMERATE_SENT_TOO_LOW: 1002,
    ExceptionName.FRAMERATE_VIDEO_BITRATE_TOO_LOW: 1003,
    ExceptionName.RECV_VIDEO_DECODE_FAILED: 1005,
    ExceptionName.RECV_SCREEN_DECODE_FAILED: 1005,
    ExceptionName.AUDIO_INPUT_LEVEL_TOO_LOW: 2001,
    ExceptionName.AUDIO_OUTPUT_LEVEL_TOO_LOW: 2002,
    ExceptionName.SEND_AUDIO_BITRATE_TOO_LOW: 2003,
    ExceptionName.RECV_AUDIO_DECODE_FAILED: 2005,
}
_LEVELS = (ExceptionName.AUDIO_INPUT_LEVEL_TOO_LOW, ExceptionName.AUDIO_OUTPUT_LEVEL_TOO_LOW)

Condition = tuple[ExceptionName, str]  # of which user


@dataclass(slots=True)
class _Held:
    since_s: float
    told_s: float | None = None


class Exceptions:
    def __init__(self, *, hold_s: float = HOLD_S, quiet_s: float = QUIET_S) -> None:
        self._hold_s, self._quiet_s = hold_s, quiet_s
        self._held: dict[Condition, _Held] = {}

    def look(self, conditions: Mapping[Condition, float], now_s: float) -> list[ExceptionRaised]:
        """`conditions`: what is abnormal now, with the value that says so."""
        events = []
        for condition in [condition for condition in self._held if condition not in conditions]:
            if self._held.pop(condition).told_s is not None:
                events.append(_event(condition, None, recovered=True))
        for condition, value in conditions.items():
            held = self._held.setdefault(condition, _Held(now_s))
            hold_s = self._quiet_s if condition[0] in _LEVELS else self._hold_s
            due_s = held.since_s + hold_s if held.told_s is None else held.told_s + REPEAT_S
            if now_s >= due_s:
                held.told_s = now_s
                events.append(_event(condition, value, recovered=False))
        return events


def _event(condition: Condition, value: float | None, *, recovered: bool) -> ExceptionRaised:
    name, user_id = condition
    return ExceptionRaised(code=CODES[name], msg=name, user_id=user_id, value=value, recovered=recovered)
