"""I420 buffers to pictures, padding left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.yuv import picture_of

PADDING = 255


def buffer_of(width: int, height: int, stride: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    buffer = np.full(stride * height * 3 // 2 + 64, PADDING, np.uint8)
    luma = buffer[: stride * height].reshape(height, stride)
    luma[:, :width] = (np.arange(width)[np.newaxis] + np.arange(height)[:, np.newaxis]) % 200
    chroma = buffer[stride * height : stride * height * 3 // 2].reshape(height, stride // 2)
    chroma[: height // 2, : width // 2] = 50
    chroma[height // 2 :, : width // 2] = 90
    return buffer


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 16))
def test_u_and_v_side_by_side(half_width: int, half_height: int, half_padding: int) -> None:
    width, height, stride = 2 * half_width, 2 * half_height, 2 * (half_width + half_padding)
    buffer = np.full((height * 3 // 2, stride), PADDING, np.uint8)
    buffer[:height, :width] = 16
    buffer[height:, 0:width:2], buffer[height:, 1:width:2] = 50, 90
    frame = picture_of(buffer, width, height, stride, "NV12")
    planes = frame.to_ndarray()
    assert (frame.width, frame.height, frame.format.name) == (width, height, "nv12")
    assert (planes[:height] == 16).all()
    assert (planes[height:, 0::2] == 50).all()
    assert (planes[height:, 1::2] == 90).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 16))
def test_planes_without_their_padding(half_width: int, half_height: int, half_padding: int) -> None:
    width, height = 2 * half_width, 2 * half_height
    frame = picture_of(buffer_of(width, height, width + 2 * half_padding), width, height, width + 2 * half_padding)
    planes = frame.to_ndarray()
    assert (frame.width, frame.height, frame.format.name) == (width, height, "yuv420p")
    expected = (np.arange(width)[np.newaxis] + np.arange(height)[:, np.newaxis]) % 200
    assert (planes[:height] == expected).all()
    chroma = planes[height:].reshape(-1)
    assert (chroma[: chroma.size // 2] == 50).all()
    assert (chroma[chroma.size // 2 :] == 90).all()


def test_it_is_a_copy() -> None:
    buffer = buffer_of(16, 16, 16)
    frame = picture_of(buffer, 16, 16, 16)
    buffer[:] = 0
    assert frame.to_ndarray()[15, 15] == 30


@pytest.mark.parametrize(
    ("width", "height", "stride", "size"),
    [(15, 16, 16, 999), (16, 15, 16, 999), (0, 16, 16, 999), (16, 16, 14, 999), (16, 16, 17, 999), (16, 16, 16, 383)],
)
def test_impossible_layouts(width: int, height: int, stride: int, size: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        picture_of(np.zeros(size, np.uint8), width, height, stride)


def test_another_format() -> None:
    with pytest.raises(ValueError, match="XBGR8888: known are YUV420, NV12"):
        picture_of(np.zeros(16 * 16 * 4, np.uint8), 16, 16, 64, "XBGR8888")
