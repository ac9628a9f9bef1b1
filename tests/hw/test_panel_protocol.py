from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hw.panel_protocol import (
    MAX_PAYLOAD,
    Ack,
    Alive,
    Edge,
    Frame,
    Hello,
    Leds,
    Message,
    PanelHello,
    Parser,
    crc16,
    encode,
    to_message,
    to_payload,
)
from tests.hw import example_panel

PAGE = Path(__file__).parents[2] / "docs" / "panel-protocol.md"
byte = st.integers(0, 255)
frames = st.builds(Frame, byte, byte, st.binary(max_size=MAX_PAYLOAD))
stamps = {"session": byte, "time_ms": st.integers(0, 2**32 - 1)}
ids = st.lists(byte, max_size=8).map(tuple)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Hello, byte, byte),
    st.builds(Leds, st.binary(max_size=MAX_PAYLOAD)),
    st.builds(Ack, byte),
    st.builds(
        PanelHello, **stamps, version=byte, held=byte, leds=ids, buttons=ids, name=st.text("abc äé☎", max_size=10)
    ),
    st.builds(Edge, **stamps, event=byte, button=byte, pressed=st.booleans()),
    st.builds(Alive, **stamps),
)


def test_crc() -> None:
    assert crc16(b"123456789") == 0x29B1  # the check value of CRC-16/CCITT-FALSE
    assert f"0x{crc16(b'123456789'):04X}" in PAGE.read_text()


def test_frames_on_the_page() -> None:
    lines = re.findall(r"^00 [0-9a-f ]+ 00$", PAGE.read_text(), re.MULTILINE)
    [hello, alive] = [frame for line in lines for frame in Parser().feed(bytes.fromhex(line))]
    assert to_message(hello) == Hello(version=1, session=7)
    assert to_message(alive) == Alive(session=7, time_ms=1000)


@given(messages, byte)
def test_messages_there_and_back(message: Message, sequence: int) -> None:
    kind, payload = to_payload(message)
    [frame] = Parser().feed(encode(Frame(kind, sequence, payload)))
    assert frame.sequence == sequence
    assert to_message(frame) == message


@given(messages, st.binary(max_size=8))
def test_what_a_later_version_adds_is_passed_over(message: Message, more: bytes) -> None:
    kind, payload = to_payload(message)
    later = to_message(Frame(kind, 0, payload + more))
    if not isinstance(message, Leds | PanelHello):  # those end with what they have
        assert later == message


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_any_bytes_in_any_pieces_never_raise(pieces: list[bytes]) -> None:
    parser = Parser()
    whole = Parser().feed(b"".join(pieces))
    assert [frame for piece in pieces for frame in parser.feed(piece)] == whole


@given(frames)
@example(Frame(0x83, 0, b"\x07"))
@example(Frame(0x81, 0, b"\x07\0\0\0\0\x01\x00\xff"))
def test_any_frame_is_a_message_or_nothing(frame: Frame) -> None:
    to_message(frame)


@given(st.binary(max_size=300), frames, st.integers(0, 400))
def test_the_next_good_frame_after_garbage_is_there_at_once(garbage: bytes, frame: Frame, cut: int) -> None:
    parser = Parser()
    stream = garbage + encode(frame)
    found = parser.feed(stream[:cut]) + parser.feed(stream[cut:])
    assert found[-1:] == [frame]


@given(frames, st.data())
def test_a_damaged_frame_is_none_and_the_next_one_is_whole(frame: Frame, data: st.DataObject) -> None:
    wire = bytearray(encode(frame))
    at = data.draw(st.integers(1, len(wire) - 2))
    how = data.draw(st.sampled_from(["lost", "doubled", "changed", "cut"]))
    match how:
        case "lost":
            del wire[at]
        case "doubled":
            wire.insert(at, wire[at])
        case "changed":
            wire[at] ^= data.draw(st.integers(1, 255))
        case "cut":
            del wire[at:]
    parser = Parser()
    found = parser.feed(bytes(wire) + encode(Frame(1, 2, b"next")))
    assert found == [Frame(1, 2, b"next")]
    assert parser.damaged or how == "cut"


def test_a_stream_without_end_takes_no_memory() -> None:
    parser = Parser()
    for _ in range(1000):
        assert not parser.feed(b"x" * 1000)
    assert len(parser._encoded) < 100
    assert parser.feed(encode(Frame(1, 2))) == [Frame(1, 2)]
    assert parser.damaged == 1


def test_a_payload_that_is_too_long() -> None:
    with pytest.raises(ValueError, match="65 bytes"):
        encode(Frame(1, 1, bytes(65)))


@given(frames)
def test_the_example_panel_speaks_the_same(frame: Frame) -> None:
    panel = example_panel.load()
    wire = encode(frame)
    assert panel.encode(frame.type, frame.sequence, frame.payload) == wire
    assert panel.decode(wire.strip(b"\0")) == (frame.type, frame.payload)
