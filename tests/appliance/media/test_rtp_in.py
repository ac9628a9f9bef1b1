"""RTP as it comes: what aiortc's own parser reads of it, and a clear refusal of what is no RTP."""

from __future__ import annotations

from typing import Any

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpSendParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.rtp_in import ExtensionIds, RtpError, parse_rtp
from appliance.media.transport_cc import URI as NUMBER_URI

SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
IDS = ExtensionIds(abs_send_time=3, transport_number=5)


def _map(*, long: bool) -> HeaderExtensionsMap:
    """With `long` the mid gets an id that only two-byte headers have room for."""
    uris = {3: SEND_TIME_URI, 5: NUMBER_URI, 20 if long else 1: "urn:ietf:params:rtp-hdrext:sdes:mid"}
    extensions = HeaderExtensionsMap()
    extensions.configure(
        RTCRtpSendParameters(
            headerExtensions=[RTCRtpHeaderExtensionParameters(each, uri) for each, uri in uris.items()]
        )
    )
    return extensions


class _Blind(HeaderExtensionsMap):
    """Looks at none: aiortc reads on behind the stop of RFC 8285 section 4.2."""

    def get(self, extension_profile: int, extension_value: bytes) -> HeaderExtensions:
        return HeaderExtensions()


def _packet(draw: Any, *, long: bool) -> RtpPacket:
    packet = RtpPacket(
        payload_type=draw(st.integers(0, 127)),
        marker=draw(st.integers(0, 1)),
        sequence_number=draw(st.integers(0, 0xFFFF)),
        timestamp=draw(st.integers(0, 0xFFFFFFFF)),
        ssrc=draw(st.integers(0, 0xFFFFFFFF)),
        payload=draw(st.binary(max_size=30)),
    )
    packet.csrc = draw(st.lists(st.integers(0, 0xFFFFFFFF), max_size=3))
    packet.padding_size = draw(st.integers(0, 8))
    packet.extensions = HeaderExtensions(
        mid="0" if long else draw(st.none() | st.sampled_from(["0", "a mid"])),
        abs_send_time=draw(st.none() | st.integers(0, 0xFFFFFF)),
        transport_sequence_number=draw(st.none() | st.integers(0, 0xFFFF)),
    )
    return packet


@given(st.data(), st.booleans())
def test_whatever_a_sender_packs_is_read_as_it_was(data: st.DataObject, long: bool) -> None:
    sent = _packet(data.draw, long=long)
    wire = sent.serialize(_map(long=long))
    got = parse_rtp(memoryview(wire), IDS)
    assert (got.payload_type, got.marker, got.sequence_number) == (sent.payload_type, sent.marker, sent.sequence_number)
    assert (got.timestamp, got.ssrc, got.payload) == (sent.timestamp, sent.ssrc, sent.payload)
    assert got.size == len(sent.payload) + sent.padding_size
    assert got.abs_send_time == sent.extensions.abs_send_time
    assert got.transport_number == sent.extensions.transport_sequence_number


@given(st.binary(max_size=60) | st.binary(max_size=50).map(lambda rest: b"\x90" + rest))
def test_of_other_bytes_it_takes_no_more_than_aiortc_does_and_never_anything_else(data: bytes) -> None:
    try:
        got = parse_rtp(data, IDS)
    except RtpError:
        return
    known = RtpPacket.parse(data, _Blind())
    assert (got.sequence_number, got.timestamp, got.ssrc) == (known.sequence_number, known.timestamp, known.ssrc)
    assert (got.payload, got.size) == (known.payload, len(known.payload) + known.padding_size)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (bytes(11), "11 bytes are no RTP header"),
        (bytes(12), "RTP version 0"),
        (b"\x82" + bytes(15), "the list of sources is cut off"),
        (b"\x90" + bytes(13), "the header extension is cut off"),
        (b"\x90" + bytes(11) + b"\xbe\xde\x00\x02" + bytes(7), "the header extension is cut off"),
        (b"\x90" + bytes(11) + b"\xbe\xde\x00\x01" + b"\x00\x00\x00\x5f", "extension 5 is cut off"),
        (b"\x90" + bytes(11) + b"\x10\x00\x00\x01" + b"\x00\x00\x00\x05", "a header extension has no length"),
        (b"\xa0" + bytes(12), "0 bytes of padding in 1"),
        (b"\xa0" + bytes(11) + b"\x02", "2 bytes of padding in 1"),
    ],
)
def test_the_refusal_says_what_is_wrong(data: bytes, why: str) -> None:
    with pytest.raises(RtpError, match=why):
        parse_rtp(data, IDS)


def test_an_extension_of_another_length_is_not_taken_for_it() -> None:
    header = b"\x90" + bytes(11) + b"\xbe\xde\x00\x02"
    got = parse_rtp(header + b"\x52abc" + b"\x30\x00\x00\x00" + b"sound", IDS)
    assert (got.transport_number, got.abs_send_time, got.payload) == (None, None, b"sound")


def test_nothing_is_read_behind_the_stop() -> None:
    header = b"\x90" + bytes(11) + b"\xbe\xde\x00\x01"
    assert parse_rtp(header + b"\xf0\x51\x07\x07", IDS).transport_number is None
