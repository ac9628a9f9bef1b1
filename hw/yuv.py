"""Raw I420 buffers, as cameras fill them, to pictures."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt


def picture_of(buffer: npt.NDArray[np.uint8], width: int, height: int, stride: int) -> av.VideoFrame:
    """A copy, in yuv420p, of `buffer`: the planes Y, U and V one after the other, rows of `stride` bytes (of half of it
    in U and V), the rest of each row padding. Bytes after the planes are left out.

    ValueError for odd sizes, a stride below the width, or a buffer that is too short.
    """
    if width % 2 or height % 2 or width <= 0 or height <= 0 or stride < width or stride % 2:
        raise ValueError(f"{width}x{height} with rows of {stride} bytes is no I420 picture")
    flat = buffer.reshape(-1)
    needed = stride * height * 3 // 2
    if flat.size < needed:
        raise ValueError(f"{flat.size} bytes are less than the {needed} of {width}x{height} with rows of {stride}")
    if stride == width:
        return av.VideoFrame.from_ndarray(flat[:needed].reshape(height * 3 // 2, width), "yuv420p")
    planes = np.empty((height * 3 // 2, width), np.uint8)
    luma = stride * height
    planes[:height] = flat[:luma].reshape(height, stride)[:, :width]
    chroma = flat[luma:needed].reshape(height, stride // 2)[:, : width // 2]  # U above V
    planes[height:] = chroma.reshape(height // 2, width)
    return av.VideoFrame.from_ndarray(planes, "yuv420p")
