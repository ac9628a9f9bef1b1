"""Payloads of both codecs taken apart, by whoever packed them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.depacketize import (
    DEPACKETIZERS,
    Layer,
    PayloadError,
    depacketize_h264,
    depacketize_vp8,
)
from appliance.media.payload import packetize_h264, packetize_vp8
from hw.annexb import START_CODE, nal_units

SPS, PPS, IDR, SLICE, B_SLICE = b"\x67sps", b"\x68pps", b"\x65\x88idr", b"\x41\x9aslice", b"\x01\x9eslice"


def annex_b(*units: bytes) -> bytes:
    return b"".join(START_CODE + unit for unit in units)


@given(
    st.lists(st.binary(min_size=1, max_size=3000).map(lambda body: b"\x41" + body + b"\x80"), min_size=1, max_size=6)
)
def test_h264_comes_back_as_it_was(units: list[bytes]) -> None:
    joined = b"".join(depacketize_h264(payload).data for payload in packetize_h264(annex_b(*units)))
    assert list(nal_units(joined)) == [unit for each in units for unit in nal_units(START_CODE + each)]


@given(st.binary(min_size=1, max_size=5000), st.integers(0, 1 << 15))
def test_vp8_comes_back_as_it_was(frame: bytes, picture_id: int) -> None:
    parts = [depacketize_vp8(payload) for payload in packetize_vp8(frame, picture_id)]
    assert b"".join(part.data for part in parts) == frame
    assert [part.starts for part in parts] == [True] + [False] * (len(parts) - 1)
    assert {part.picture_id for part in parts} == {picture_id & 0x7FFF}
    assert parts[0].keyframe == (not frame[0] & 1)


def test_h264_key_frames_begin_with_their_parameter_sets() -> None:
    big = IDR + b"\x11" * 3000
    first, *rest = (depacketize_h264(payload) for payload in packetize_h264(annex_b(SPS, PPS, big)))
    assert (first.starts, first.opens_keyframe) == (True, True)
    assert rest[0].keyframe
    assert not any(part.starts or part.opens_keyframe for part in rest)
    alone = depacketize_h264(IDR)
    assert (alone.keyframe, alone.starts, alone.opens_keyframe) == (True, False, False)


def test_h264_first_slices_and_those_that_nothing_refers_to() -> None:
    assert depacketize_h264(SLICE).starts
    assert not depacketize_h264(b"\x41\x1aslice").starts  # first_mb_in_slice is not 0
    assert [depacketize_h264(unit).disposable for unit in (SLICE, B_SLICE, SPS)] == [False, True, False]
    parts = [depacketize_h264(payload) for payload in packetize_h264(annex_b(B_SLICE + b"\x11" * 3000))]
    assert all(part.disposable for part in parts)


def test_vp8_temporal_layers() -> None:
    part = depacketize_vp8(bytes([0x80 | 0x20 | 0x10, 0x80 | 0x40 | 0x20, 0x81, 0x02, 77, 0x60]) + b"\x01data")
    assert (part.data, part.starts, part.keyframe, part.disposable) == (b"\x01data", True, False, True)
    assert (part.picture_id, part.layer) == (0x102, Layer(77, 1, True))
    assert depacketize_vp8(b"\x90\x80\x05\x01x").picture_id == 5
    assert depacketize_vp8(b"\x10\x01x").layer is None


@pytest.mark.parametrize(
    ("codec", "payload"),
    [
        ("VP8", b""),
        ("VP8", b"\x90"),
        ("VP8", b"\x90\x80"),
        ("VP8", b"\x90\x80\x80"),
        ("VP8", b"\x90\xf0\x05\x07"),
        ("VP8", b"\x90\x80\x05"),
        ("VP8", b"\x00"),
        ("H264", b""),
        ("H264", b"\x41"),
        ("H264", b"\x7c\x85"),
        ("H264", b"\x78\x00"),
        ("H264", b"\x78\x00\x00"),
        ("H264", b"\x78\x00\x05abc"),
        ("H264", b"\x79\x00\x00\x00"),
        ("H264", b"\x60\x00"),
    ],
)
def test_what_is_cut_off_or_unknown_is_refused(codec: str, payload: bytes) -> None:
    with pytest.raises(PayloadError):
        DEPACKETIZERS[codec](payload)


@given(st.sampled_from(["VP8", "H264"]), st.binary(max_size=40))
def test_any_payload_is_taken_or_refused(codec: str, payload: bytes) -> None:
    try:
        part = DEPACKETIZERS[codec](payload)
    except PayloadError:
        return
    assert part.data
    assert len(part.data) <= 4 * len(payload)
