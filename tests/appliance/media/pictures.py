"""Small pictures that change and carry a frame code, made without any thread."""

from __future__ import annotations

import av
import numpy as np

from hw.frame_code import draw_code, read_code


def picture(number: int, width: int = 320, height: int = 192) -> av.VideoFrame:
    """A yuv420p picture with `number` in its frame code and a texture that moves."""
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    x = np.arange(width)[np.newaxis, :]
    y = np.arange(height)[:, np.newaxis]
    planes[:height] = (128 + 60 * np.sin((x + 5 * number) / 17) * np.cos((y - 3 * number) / 13)).astype(np.uint8)
    draw_code(planes[:height], number)
    return av.VideoFrame.from_ndarray(planes, "yuv420p")


def code(frame: av.VideoFrame) -> int | None:
    """The number in a picture, whatever its size."""
    return read_code(np.asarray(frame.to_ndarray(format="gray"), np.uint8))
