"""Whether what a camera's driver delivers can be a picture of now: a bad one must not reach an encoder or a leg."""

from __future__ import annotations

import math

import av

from hw import AccessUnit, Picture
from hw.annexb import AccessUnitError, parse_access_unit

MAX_AHEAD_S = 1.0  # a capture time further in the future would hold up every picture after it
MIN_SIDE, MAX_SIDE = 16, 8192  # pixels


def fault(delivered: object, now_s: float) -> str:
    """What is wrong with it, or "". `now_s` is monotonic."""
    if not isinstance(delivered, Picture | AccessUnit):
        return f"a {type(delivered).__name__} is no picture"
    captured_s: object = delivered.captured_s
    if not isinstance(captured_s, float | int) or not math.isfinite(captured_s) or captured_s > now_s + MAX_AHEAD_S:
        return f"it was captured at {captured_s!r}, and now is {now_s:.1f}"
    if isinstance(delivered, AccessUnit):
        data: object = delivered.data
        if not isinstance(data, bytes):
            return f"its data is a {type(data).__name__}"
        try:
            parse_access_unit(data)
        except AccessUnitError as exc:
            return str(exc)
        return ""
    frame: object = delivered.frame
    if not isinstance(frame, av.VideoFrame):
        return f"its frame is a {type(frame).__name__}"
    if not (MIN_SIDE <= frame.width <= MAX_SIDE and MIN_SIDE <= frame.height <= MAX_SIDE):
        return f"it is of {frame.width}x{frame.height} pixels"
    return ""
