"""Access units: what is in them, and which cannot be sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.annexb import AccessUnitError, InBand, h264_is_keyframe, is_keyframe, nal_units, parse_access_unit

SPS, PPS, SEI = b"\x67sps", b"\x68pps", b"\x06sei"
IDR, DELTA = b"\x65idr", b"\x41delta"


def stream(*units: bytes, code: bytes = b"\x00\x00\x00\x01") -> bytes:
    return b"".join(code + unit for unit in units)


def test_key_frames_are_recognized() -> None:
    assert h264_is_keyframe(stream(SPS, PPS, IDR))
    assert not h264_is_keyframe(stream(DELTA))
    assert not h264_is_keyframe(b"")


@pytest.mark.parametrize("code", [b"\x00\x00\x01", b"\x00\x00\x00\x01"])
def test_good_ones_are_taken_apart(code: bytes) -> None:
    units = parse_access_unit(stream(b"\x09\x10", SPS, PPS, SEI, IDR, b"\x0a", code=code))
    assert units == (b"\x09\x10", SPS, PPS, SEI, IDR, b"\x0a")
    assert is_keyframe(units)
    assert not is_keyframe(parse_access_unit(stream(DELTA, DELTA, code=code)))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\x00\x00\x00\x05\x65abc", "does not begin with a start code"),  # lengths, as in MP4
        (b"\x41" + stream(DELTA), "does not begin with a start code"),
        (stream(SPS, PPS), "no picture"),
        (stream(SPS, PPS, b"\x65"), "cut off"),
        (stream(), "empty"),
        (b"\x00\x00\x00\x01", "no picture"),
        (stream(b"\xe5abc"), "forbidden bit"),
        (stream(IDR), "without SPS and PPS"),
        (stream(SPS, IDR), "without SPS and PPS"),
        (stream(IDR, SPS, PPS), "without SPS and PPS"),
    ],
)
def test_bad_ones_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(AccessUnitError, match=why):
        parse_access_unit(data)


@given(st.one_of(st.binary(max_size=200), st.lists(st.binary(max_size=20)).map(lambda units: stream(*units))))
def test_any_bytes_are_an_access_unit_or_refused(data: bytes) -> None:
    given_to = InBand()(data)
    try:
        units = parse_access_unit(data)
    except AccessUnitError:
        return
    assert list(units) == list(nal_units(data))
    assert given_to == (data, h264_is_keyframe(data))  # untouched


def test_parameter_sets_that_came_once_stand_before_every_key_frame() -> None:
    in_band = InBand()
    assert in_band(stream(SPS)) is None
    assert in_band(stream(PPS)) is None
    assert in_band(stream(IDR)) == (stream(SPS, PPS, IDR), True)
    assert in_band(stream(DELTA)) == (stream(DELTA), False)
    changed = b"\x68new"
    assert in_band(stream(changed, IDR)) == (stream(SPS, changed, IDR), True)
    assert in_band(stream(IDR)) == (stream(SPS, changed, IDR), True)


def test_what_is_complete_is_handed_through_itself() -> None:
    data = stream(SPS, PPS, IDR)
    made = InBand()(data)
    assert made is not None
    assert made[0] == data
