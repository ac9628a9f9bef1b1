"""Coded frames to what goes on the wire."""

from __future__ import annotations

from itertools import pairwise

import pytest
from aiortc.codecs import depayload
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from appliance.media.frames import Codec, CodedFrame
from appliance.media.packetizer import Packetizer

START = b"\x00\x00\x00\x01"
UNIT = START + b"\x67abc" + START + b"\x68d" + START + b"\x65" + bytes(range(1, 250)) * 20
FRAME = b"\x10\x02\x00\x9d\x01\x2a" + bytes(5000)


@pytest.mark.parametrize(("codec", "data"), [("h264", UNIT), ("vp8", FRAME)])
def test_a_picture_reads_back(codec: Codec, data: bytes) -> None:
    packetize = Packetizer(codec)
    parameters = RTCRtpCodecParameters(mimeType=f"video/{codec.upper()}", clockRate=90_000)
    for number in (1, 2):
        frame = packetize(CodedFrame(data, (1 << 32) + number, number == 1, None, float(number)))
        assert b"".join(depayload(parameters, payload) for payload in frame.payloads) == data
        assert (frame.timestamp, frame.keyframe, frame.captured_s) == (number, number == 1, float(number))


def test_frames_of_vp8_are_numbered() -> None:
    packetize = Packetizer("vp8")
    ids = [
        int.from_bytes(packetize(CodedFrame(FRAME, number, True, None, 0.0)).payloads[0][2:4], "big")
        for number in range(40_000)
    ]
    assert all(later == 0x8000 | (earlier + 1) & 0x7FFF for earlier, later in pairwise(ids))


def test_sound_is_one_payload() -> None:
    assert Packetizer("opus")(CodedFrame(b"opus", 960, True, 30, 1.0)).payloads == (b"opus",)
