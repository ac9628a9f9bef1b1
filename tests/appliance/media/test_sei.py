"""SEI against FFmpeg's own reader, and against bytes that are none."""

from __future__ import annotations

import contextlib
from typing import Any, cast

import pytest
from av.sidedata.sidedata import Type
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.rbsp import escape, exp_golomb, unescape
from appliance.media.sei import SeiError, SeiPayload, parse_sei_nal_unit, sei_nal_unit, splice, user_messages
from hw.annexb import NAL_SEI, START_CODE, kind, nal_units
from tests.appliance.media.pictures import coded_pictures, decoded

_data = st.one_of(st.binary(max_size=600), st.lists(st.sampled_from([0, 0, 0, 1, 3, 255]), max_size=600).map(bytes))
_messages = st.lists(st.builds(SeiPayload, st.integers(0, 600), _data), min_size=1, max_size=4)


@given(_messages)
def test_messages_come_out_as_they_went_in(messages: list[SeiPayload]) -> None:
    nal = sei_nal_unit(messages)
    assert b"\x00\x00\x01" not in nal
    assert b"\x00\x00\x00" not in nal
    assert list(parse_sei_nal_unit(nal)) == messages


@given(_data)
def test_escaping_leaves_nothing_that_looks_like_a_start_code(data: bytes) -> None:
    escaped = escape(data)
    assert all(code not in escaped for code in (b"\x00\x00\x00", b"\x00\x00\x01", b"\x00\x00\x02"))
    assert unescape(escaped) == data


@given(st.binary(max_size=200))
def test_bytes_that_are_no_sei_are_refused_and_do_no_harm(data: bytes) -> None:
    for body in (data, b"\x06" + data):
        with contextlib.suppress(SeiError):
            assert all(len(message.data) < len(body) for message in parse_sei_nal_unit(body))
    list(user_messages(data))
    list(user_messages(START_CODE + b"\x06" + data))


@pytest.mark.parametrize(
    ("nal", "why"),
    [
        (b"", "type 6"),
        (b"\x65\x05\x00\x80", "type 6"),
        (b"\x06\x05\x00", "stop bit"),
        (b"\x06\xff\xff\x80", "cut off"),
        (b"\x06\x05\x20abc\x80", "32 bytes with 3 left"),
    ],
)
def test_what_is_wrong_is_said(nal: bytes, why: str) -> None:
    with pytest.raises(SeiError, match=why):
        parse_sei_nal_unit(nal)


def test_a_picture_carries_messages_and_still_decodes() -> None:
    uuid = bytes(range(16))
    sent = [SeiPayload(5, uuid + b"\x00\x00\x00\x01"), SeiPayload(243, b"\x00\x00\x03")]
    unit = splice(coded_pictures("h264", 1)[0], sent)
    assert list(user_messages(unit)) == sent
    kinds = [kind(nal) for nal in nal_units(unit)]
    assert kinds.index(NAL_SEI) < kinds.index(5)
    frames = decoded("h264", unit)
    assert len(frames) == 1
    side_data = [bytes(data) for data in cast(Any, frames[0].side_data) if data.type == Type.SEI_UNREGISTERED]
    assert sent[0].data in side_data


def test_what_x264_says_of_itself_is_no_message() -> None:
    assert NAL_SEI in [kind(nal) for nal in nal_units(coded_pictures("h264", 1)[0])]
    assert list(user_messages(coded_pictures("h264", 1)[0])) == []


@given(st.binary(min_size=1, max_size=20), st.integers(0, 40))
def test_exp_golomb_numbers_end_within_their_bytes(data: bytes, bit: int) -> None:
    try:
        value, end = exp_golomb(data, bit)
    except ValueError:
        return
    assert bit < end <= 8 * len(data)
    assert value >= 0


def test_exp_golomb_of_the_standards_table() -> None:
    bits = "1010011001000010100110001110001000"  # table 9-2: 0 to 7
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    bit, values = 0, []
    while bit < len(bits):
        value, bit = exp_golomb(data, bit)
        values.append(value)
    assert values == list(range(8))
