"""RTP payloads against aiortc's depayloaders."""

from __future__ import annotations

from aiortc.codecs.h264 import H264PayloadDescriptor
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.payload import MAX_PAYLOAD_BYTES, packetize_h264, packetize_vp8, vp8_is_keyframe
from hw.annexb import nal_units

# What an encoder writes: no start code inside (emulation prevention), the last bit set (rbsp_trailing_bits).
_bodies = st.builds(lambda size, byte: bytes([byte]) * size + b"\x80", st.integers(0, 4000), st.integers(1, 255))
_units = st.builds(
    lambda kind, ref, body: bytes([ref << 5 | kind]) + body, st.integers(1, 23), st.integers(0, 3), _bodies
)


@given(st.lists(_units, min_size=1, max_size=8), st.booleans())
def test_h264_comes_out_as_it_went_in(units: list[bytes], long_codes: bool) -> None:
    code = b"\x00\x00\x00\x01" if long_codes else b"\x00\x00\x01"
    payloads = packetize_h264(b"".join(code + unit for unit in units))
    assert all(0 < len(payload) <= MAX_PAYLOAD_BYTES for payload in payloads)
    received = b"".join(H264PayloadDescriptor.parse(payload)[1] for payload in payloads)
    assert list(nal_units(received)) == units


def test_small_units_travel_together_with_the_highest_importance() -> None:
    payloads = packetize_h264(b"\x00\x00\x01\x67abc\x00\x00\x01\x68d\x00\x00\x01\x05e")
    assert len(payloads) == 1
    assert payloads[0][0] == 0x60 | 24


def test_a_unit_that_just_fits_is_sent_as_it_is() -> None:
    unit = b"\x65" + b"\x01" * (MAX_PAYLOAD_BYTES - 1)
    assert packetize_h264(b"\x00\x00\x01" + unit) == (unit,)
    assert len(packetize_h264(b"\x00\x00\x01" + unit + b"\x01")) == 2


@given(st.binary(max_size=300))
def test_bytes_that_are_no_access_unit_do_no_harm(data: bytes) -> None:
    packetize_h264(data)
    vp8_is_keyframe(data)


def test_key_frames_are_recognized() -> None:
    assert vp8_is_keyframe(b"\x10\x02\x00\x9d\x01\x2a\x40")
    assert not vp8_is_keyframe(b"\x11\x02\x00\x9d\x01\x2a\x40")
    assert not vp8_is_keyframe(b"\x10\x02\x00\x9d\x01\x2b\x40")  # the middle of something
    assert not vp8_is_keyframe(b"")


@given(st.binary(min_size=1, max_size=9000), st.integers(0, 1 << 20))
def test_vp8_comes_out_as_it_went_in(frame: bytes, picture_id: int) -> None:
    payloads = packetize_vp8(frame, picture_id)
    parsed = [VpxPayloadDescriptor.parse(payload) for payload in payloads]
    assert b"".join(data for _, data in parsed) == frame
    assert [descriptor.partition_start for descriptor, _ in parsed] == [1] + [0] * (len(parsed) - 1)
    assert {descriptor.picture_id for descriptor, _ in parsed} == {picture_id % (1 << 15)}
    assert all(len(payload) <= MAX_PAYLOAD_BYTES for payload in payloads)
