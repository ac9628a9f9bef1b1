"""When a picture was taken, by the device's own stamp where that can be believed. Pure."""

from __future__ import annotations

MAX_AGE_S = 1.0  # a stamp further back is of another clock


def capture_time(stamp_s: float | None, now_s: float, ahead_s: float = 0.0) -> float:
    """`stamp_s` as time.monotonic() seconds; `now_s`, that clock's now, when the stamp is none, older than a second or
    of the future. `ahead_s`: how far the stamp's clock is ahead of the monotonic one.
    """
    if stamp_s is None:
        return now_s
    captured_s = stamp_s - ahead_s
    return captured_s if now_s - MAX_AGE_S <= captured_s <= now_s else now_s
