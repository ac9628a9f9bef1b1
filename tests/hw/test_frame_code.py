"""The frame code survives what a call does to a picture, and never reads a wrong number."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hw.frame_code import COLUMNS, ROW_PARTS, VALUES, Luma, draw_code, read_code
from hw.landscape import Landscape
from tests.hw.collect import luma_of

values = st.integers(0, VALUES - 1)


def coded(value: int, width: int = 640, height: int = 360) -> Luma:
    luma = np.full((height, width), 90, np.uint8)
    draw_code(luma, value)
    return luma


@given(values, st.integers(160, 2000), st.integers(120, 1200))
@settings(max_examples=30, deadline=None)
def test_any_size(value: int, width: int, height: int) -> None:
    assert read_code(coded(value, width, height)) == value


@given(values, st.integers(0, 2**32 - 1), st.floats(0, 25), st.floats(0.35, 1.0), st.integers(-16, 20))
@settings(max_examples=40, deadline=None)
def test_noise_contrast_and_brightness(value: int, seed: int, sigma: float, contrast: float, offset: int) -> None:
    luma = coded(value, 320, 180)
    noise = np.random.default_rng(seed).normal(0, sigma, luma.shape)
    worn = np.clip(128 + (luma - 128.0) * contrast + offset + noise, 0, 255).astype(np.uint8)
    assert read_code(worn) == value


@given(values, st.sampled_from([(160, 90), (320, 180), (426, 240), (853, 480), (1920, 1080)]))
@settings(max_examples=15, deadline=None)
def test_scaling(value: int, size: tuple[int, int]) -> None:
    frame = av.VideoFrame.from_ndarray(coded(value, 1280, 720), format="gray")
    scaled = frame.reformat(width=size[0], height=size[1], format="gray", interpolation="BILINEAR")
    assert read_code(cast(Luma, scaled.to_ndarray())) == value


@given(hnp.arrays(np.uint8, st.tuples(st.integers(0, 90), st.integers(0, 120))))
@settings(max_examples=40, deadline=None)
def test_never_reads_a_number_out_of_nothing(luma: Luma) -> None:
    assert read_code(luma) is None


@given(values, values)
@settings(max_examples=30, deadline=None)
def test_a_blend_of_two_pictures_is_no_third_number(one: int, other: int) -> None:
    blend = ((coded(one, 160, 120).astype(int) + coded(other, 160, 120)) // 2).astype(np.uint8)
    assert read_code(blend) in (None, one if one == other else None)


@given(values, st.sampled_from(range(COLUMNS * 2)))
@settings(max_examples=40, deadline=None)
def test_a_flipped_block_is_found(value: int, block: int) -> None:
    luma = coded(value, 320, 180)
    row, column = divmod(block, COLUMNS)
    y, x = 180 * (ROW_PARTS - 2 + row) // ROW_PARTS, 320 * column // COLUMNS
    spot = luma[y : y + 180 // ROW_PARTS, x : x + 320 // COLUMNS]
    spot[:] = 251 - spot
    assert read_code(luma) is None


def test_a_gray_block_is_no_bit() -> None:
    for column in range(4, COLUMNS):
        luma = coded(0x00FF00, 320, 180)
        luma[162:171, column * 16 : column * 16 + 16] = 125
        assert read_code(luma) is None


@pytest.mark.parametrize("value", [-1, VALUES])
def test_refuses_what_does_not_fit(value: int) -> None:
    luma = np.zeros((120, 160), np.uint8)
    with pytest.raises(ValueError, match=rf"frame code {value} is outside 0\.\.16777215"):
        draw_code(luma, value)
    assert not luma.any()


@pytest.mark.parametrize(
    ("codec", "width", "height", "bit_rate", "options"),
    [
        ("libx264", 640, 360, 60_000, {"preset": "ultrafast", "tune": "zerolatency"}),
        ("libx264", 320, 180, 40_000, {"preset": "ultrafast", "tune": "zerolatency"}),
        ("libvpx", 640, 360, 60_000, {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    ],
)
def test_low_bit_rate_video(codec: str, width: int, height: int, bit_rate: int, options: dict[str, str]) -> None:
    landscape = Landscape(width, height, "Low rate")
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.bit_rate = width, height, "yuv420p", bit_rate
    encoder.framerate, encoder.options = Fraction(15), options
    encoder.time_base = Fraction(1, 15)
    decoder = av.CodecContext.create("h264" if codec == "libx264" else "vp8", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    read, size = [], 0
    for number in range(100, 130):
        frame = landscape.picture(number, number / 15, 0.0)
        frame.pts = number
        for packet in encoder.encode(frame):
            size += packet.size
            for decoded in decoder.decode(packet):
                read.append(read_code(luma_of(decoded)))
    assert size * 8 / 2 < 4 * bit_rate, "the encoder did not keep to a low bit rate: this proves nothing"
    wrong = [code for number, code in zip(range(100, 130), read, strict=False) if code not in (None, number)]
    assert not wrong
    assert len([code for code in read if code is not None]) >= 25
