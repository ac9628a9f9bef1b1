"""RTMP without a wire: what we say is read by its own reader, and whatever a server says is read or refused."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.hub import rtmp
from appliance.hub.rtmp import RtmpError, RtmpPublisher, amf, chunked
from appliance.hub.rtmp_media import audio_configuration, audio_frame, video_configuration, video_picture

SERVER_HELLO = b"\x03" + bytes(2 * rtmp.HANDSHAKE_BYTES)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.dictionaries(st.text(min_size=1, max_size=9), inner, max_size=3),
    max_leaves=6,
)


def said(data: bytes, *, size: int = 128) -> list[tuple[int, bytes]]:
    chunks = rtmp._Chunks()
    chunks.size = size
    chunks.feed(data)
    messages = []
    while (message := chunks.next()) is not None:
        messages.append(message)
    return messages


def command(*values: Any) -> bytes:
    return chunked(3, rtmp.AMF0_COMMAND, 0, 0, amf(*values), size=128)


def welcomed() -> RtmpPublisher:
    publisher = RtmpPublisher("live", "rtmp://a/live", "key")
    assert len(publisher.hello()) == 1 + rtmp.HANDSHAKE_BYTES
    publisher.receive(SERVER_HELLO)
    publisher.receive(command("_result", 1.0, {}, {"code": "NetConnection.Connect.Success"}))
    return publisher


@given(values=st.lists(VALUES, max_size=5))
def test_amf_survives_a_round_trip(values: list[Any]) -> None:
    assert rtmp._Amf(amf(*values)).all() == values


@given(
    body=st.binary(max_size=700),
    size=st.integers(1, 300),
    timestamp_ms=st.integers(0, 2**40),
    number=st.integers(2, 63),
)
@example(body=b"x" * 400, size=128, timestamp_ms=0xFFFFFF, number=6)
def test_chunks_are_put_together_again(body: bytes, size: int, timestamp_ms: int, number: int) -> None:
    once = chunked(number, 9, 1, timestamp_ms, body, size=size)
    assert said(once + once, size=size) == [(9, body), (9, body)]


@given(data=st.binary(max_size=600), cuts=st.lists(st.integers(0, 600), max_size=4))
@example(data=b"\x03\x00\x00\x00\x00\x00\x05\x14\x00\x00\x00\x00\x0a\xff\xff\xff\xff", cuts=[])
@example(data=b"\xc3", cuts=[])
def test_whatever_a_server_says_is_read_or_refused(data: bytes, cuts: list[int]) -> None:
    """And in whichever portions it comes."""

    def hear(portions: list[bytes]) -> tuple[bytes, str]:
        publisher, answers = welcomed(), b""
        try:
            for portion in portions:
                answers += publisher.receive(portion)
        except RtmpError as exc:
            return b"", str(exc)
        return answers, ""

    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    assert hear([data]) == hear([data[a:b] for a, b in pairwise(places)])


@given(commands=st.lists(st.lists(VALUES | st.sampled_from(["_result", "_error", "onStatus", 1.0, 4.0]), max_size=5)))
def test_any_command_is_understood_or_refused(commands: list[list[Any]]) -> None:
    publisher = welcomed()
    why = ""
    try:
        for values in commands:
            publisher.receive(command(*values))
    except RtmpError as exc:
        why = str(exc)
    assert not why or why.isprintable()


def test_the_way_to_a_stream() -> None:
    publisher = RtmpPublisher("live", "rtmp://a/live", "key?token=1")
    publisher.hello()
    answer = publisher.receive(SERVER_HELLO)
    assert len(answer) > rtmp.HANDSHAKE_BYTES
    ((_, connect),) = said(answer[rtmp.HANDSHAKE_BYTES :])
    name, transaction, about = rtmp._Amf(connect).all()
    assert (name, transaction, about["app"], about["tcUrl"]) == ("connect", 1.0, "live", "rtmp://a/live")
    answer = publisher.receive(command("_result", 1.0, None, {}))
    size, *commands = said(answer)
    assert size == (rtmp.SET_CHUNK_SIZE, struct.pack(">I", rtmp.CHUNK_BYTES))
    names = [rtmp._Amf(body).all()[0] for _, body in commands]
    assert names == ["releaseStream", "FCPublish", "createStream"]
    ((_, publish),) = said(publisher.receive(command("_result", 4.0, None, 1.0)))
    assert rtmp._Amf(publish).all() == ["publish", 5.0, None, "key?token=1", "live"]
    assert not publisher.is_publishing
    publisher.receive(command("onStatus", 0.0, None, {"code": "NetStream.Publish.Start", "level": "status"}))
    assert publisher.is_publishing
    assert said(publisher.video(7, b"v" * 300), size=rtmp.CHUNK_BYTES) == [(rtmp.VIDEO, b"v" * 300)]


@pytest.mark.parametrize(
    "refusal",
    [
        ("_error", 1.0, None, {"code": "NetConnection.Connect.Rejected", "description": "no such\napp"}),
        ("onStatus", 0.0, None, {"level": "error", "code": "NetStream.Publish.BadName"}),
        ("close",),
    ],
)
def test_a_refusal_is_told_in_words(refusal: tuple[Any, ...]) -> None:
    with pytest.raises(RtmpError) as caught:
        welcomed().receive(command(*refusal))
    assert "\n" not in str(caught.value)
    assert "server" in str(caught.value)


def test_pings_and_windows_are_answered() -> None:
    publisher = welcomed()
    ping = chunked(2, rtmp.USER_CONTROL, 0, 0, struct.pack(">HI", rtmp.PING_REQUEST, 99), size=128)
    assert said(publisher.receive(ping)) == [(rtmp.USER_CONTROL, struct.pack(">HI", rtmp.PING_RESPONSE, 99))]
    window = chunked(2, rtmp.WINDOW_SIZE, 0, 0, struct.pack(">I", 1024), size=128)
    ((type_, count),) = said(publisher.receive(window))
    assert type_ == rtmp.ACKNOWLEDGEMENT
    assert int.from_bytes(count, "big") > rtmp.HANDSHAKE_BYTES


def test_a_web_server_is_no_rtmp_server() -> None:
    with pytest.raises(RtmpError, match="does not speak RTMP"):
        RtmpPublisher("a", "b", "c").receive(b"HTTP/1.1 400 Bad Request\r\n")


def test_pictures_and_sound_in_the_form_of_flv() -> None:
    sps, pps, idr = b"\x67\x42\x00\x1e\xaa", b"\x68\xce\x01", b"\x65\x88\x01"
    annex_b = b"\x00\x00\x00\x01".join((b"", sps, pps, idr))
    head = bytes.fromhex("1700000000 01 42001e ffe1 0005")
    assert video_configuration(annex_b) == head + sps + b"\x01\x00\x03" + pps
    assert video_picture(annex_b, keyframe=True) == bytes.fromhex("1701000000 00000003") + idr
    assert video_picture(annex_b, keyframe=False)[0] == 0x27
    assert audio_configuration(b"\x11\x90") == b"\xaf\x00\x11\x90"
    assert audio_frame(b"aac") == b"\xaf\x01aac"
    with pytest.raises(ValueError, match="parameter sets"):
        video_configuration(idr)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_picture_or_none(data: bytes) -> None:
    assert len(video_picture(data, keyframe=False)) >= 5
    try:
        configuration = video_configuration(data)
    except ValueError:
        return
    assert configuration[5] == 1
