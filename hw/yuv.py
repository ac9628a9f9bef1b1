"""Raw 4:2:0 buffers, as cameras fill them, to pictures."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt

FORMATS = {"YUV420": "yuv420p", "NV12": "nv12"}  # libcamera's name: PyAV's


def picture_of(
    buffer: npt.NDArray[np.uint8], width: int, height: int, stride: int, pixel_format: str = "YUV420"
) -> av.VideoFrame:
    """A copy of `buffer` in its own format: planes one after the other, rows of `stride` bytes, of which the rest is
    padding; the rows of U and V in "YUV420" have half of it. Bytes after the planes are left out.

    ValueError for odd sizes, a stride below the width, a buffer that is too short, or another format.
    """
    if pixel_format not in FORMATS:
        raise ValueError(f"format {pixel_format}: known are {', '.join(FORMATS)}; bytes cannot be read otherwise")
    if width % 2 or height % 2 or width <= 0 or height <= 0 or stride < width or stride % 2:
        raise ValueError(f"{width}x{height} with rows of {stride} bytes is no 4:2:0 picture")
    flat = buffer.reshape(-1)
    needed = stride * height * 3 // 2
    if flat.size < needed:
        raise ValueError(f"{flat.size} bytes are less than the {needed} of {width}x{height} with rows of {stride}")
    planes = flat[:needed].reshape(height * 3 // 2, stride)
    if stride > width:
        padded, planes = planes, np.empty((height * 3 // 2, width), np.uint8)
        planes[:height] = padded[:height, :width]
        if pixel_format == "NV12":
            planes[height:] = padded[height:, :width]
        else:  # U above V
            planes[height:] = padded[height:].reshape(height, stride // 2)[:, : width // 2].reshape(height // 2, width)
    return av.VideoFrame.from_ndarray(planes, FORMATS[pixel_format])
