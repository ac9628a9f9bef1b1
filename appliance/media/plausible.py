"""Whether what a driver delivers can be a picture or a block of sound of now: a bad one must not reach an encoder or a
leg."""

from __future__ import annotations

import math

import av
import numpy as np

from hw import BLOCK_FRAMES, AccessUnit, AudioBlock, Picture
from hw.annexb import AccessUnitError, parse_access_unit

MAX_AHEAD_S = 1.0  # a capture time further in the future would hold up every picture after it
MIN_SIDE, MAX_SIDE = 16, 8192  # pixels


def fault(delivered: object, now_s: float) -> str:
    """What is wrong with it, or "". `now_s` is monotonic."""
    if not isinstance(delivered, Picture | AccessUnit):
        return f"a {type(delivered).__name__} is no picture"
    if words := _time_fault(delivered.captured_s, now_s):
        return words
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


def block_fault(delivered: object, now_s: float) -> str:
    """What is wrong with a microphone's block, or "". `now_s` is monotonic."""
    if not isinstance(delivered, AudioBlock):
        return f"a {type(delivered).__name__} is no sound"
    samples: object = delivered.samples
    if not isinstance(samples, np.ndarray):
        return f"its samples are a {type(samples).__name__}"
    if samples.dtype != np.int16 or samples.shape != (BLOCK_FRAMES,):
        return f"it is {samples.dtype} of shape {samples.shape}; int16 of ({BLOCK_FRAMES},) is needed"
    return _time_fault(delivered.captured_s, now_s)


def _time_fault(captured_s: object, now_s: float) -> str:
    if not isinstance(captured_s, float | int) or not math.isfinite(captured_s) or captured_s > now_s + MAX_AHEAD_S:
        return f"it was captured at {captured_s!r}, and now is {now_s:.1f}"
    return ""
