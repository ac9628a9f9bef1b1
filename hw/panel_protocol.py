"""The front panel's wire, sans-IO: bytes to frames to messages and back. docs/panel-protocol.md is its page.

    frame on the wire   00 | COBS(type, sequence, length, payload, CRC-16) | 00

COBS leaves no zero within a frame, so that whatever was garbage ends at the next zero, and the frame after it is whole.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass

VERSION = 1
MAX_PAYLOAD = 64
_HEADER = struct.Struct("<BBB")
_CRC = struct.Struct("<H")
_MIN_BODY = _HEADER.size + _CRC.size
_MAX_ENCODED = _MIN_BODY + MAX_PAYLOAD + 1  # COBS adds one byte to less than 255

HELLO, LEDS, ACK = 0x01, 0x02, 0x03  # host to panel
PANEL_HELLO, EDGE, ALIVE = 0x81, 0x82, 0x83  # panel to host


@dataclass(frozen=True, slots=True)
class Frame:
    """`payload` of 0 to 64 bytes."""

    type: int
    sequence: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Hello:
    """The host begins a session: who are you? `version` is the highest that it speaks."""

    version: int
    session: int


@dataclass(frozen=True, slots=True)
class Leds:
    """Brightness 0..255 of each LED in the panel's order; also the host's heartbeat."""

    levels: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """All edges before `next_event` have arrived."""

    next_event: int


@dataclass(frozen=True, slots=True)
class PanelHello:
    """The answer to `Hello`: the version that will be spoken, and what the panel has. `held`: buttons that are down."""

    session: int
    time_ms: int
    version: int
    leds: tuple[int, ...]
    buttons: tuple[int, ...]
    held: int
    name: str


@dataclass(frozen=True, slots=True)
class Edge:
    """Edge number `event` of the session, at `time_ms` of the panel's clock."""

    session: int
    time_ms: int
    event: int
    button: int
    pressed: bool


@dataclass(frozen=True, slots=True)
class Alive:
    """The panel's heartbeat. Session 0: it has restarted and waits for `Hello`."""

    session: int
    time_ms: int


FromPanel = PanelHello | Edge | Alive
Message = Hello | Leds | Ack | FromPanel

_STAMP = struct.Struct("<BI")  # session, milliseconds modulo 2^32


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE: polynomial 0x1021, from 0xFFFF; of b"123456789" 0x29B1."""
    return binascii.crc_hqx(data, 0xFFFF)


def encode(frame: Frame) -> bytes:
    """ValueError for a payload of more than 64 bytes."""
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(f"payload of {len(frame.payload)} bytes; allowed are {MAX_PAYLOAD}")
    body = _HEADER.pack(frame.type, frame.sequence, len(frame.payload)) + frame.payload
    return b"\0" + _stuff(body + _CRC.pack(crc16(body))) + b"\0"


class Parser:
    """Any bytes in, good frames out. `damaged` counts what was between zeros and no frame."""

    def __init__(self) -> None:
        self.damaged = 0
        self._encoded = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        frames: list[Frame] = []
        *ended, rest = data.split(b"\0")
        for part in ended:
            self._append(part)
            if self._encoded:
                frame = _frame(bytes(self._encoded))
                if frame is None:
                    self.damaged += 1
                else:
                    frames.append(frame)
            self._encoded.clear()
        self._append(rest)
        return frames

    def _append(self, part: bytes) -> None:
        self._encoded += part[: _MAX_ENCODED + 1 - len(self._encoded)]  # one too many, and it is no frame


def to_payload(message: Message) -> tuple[int, bytes]:
    """Type and payload."""
    match message:
        case Hello(version, session):
            return HELLO, bytes((version, session))
        case Leds(levels):
            return LEDS, levels
        case Ack(next_event):
            return ACK, bytes((next_event,))
        case PanelHello():
            lists = bytes((message.version, message.held, len(message.leds), *message.leds))
            lists += bytes((len(message.buttons), *message.buttons))
            return PANEL_HELLO, _STAMP.pack(message.session, message.time_ms) + lists + message.name.encode()
        case Edge():
            tail = bytes((message.event, message.button, message.pressed))
            return EDGE, _STAMP.pack(message.session, message.time_ms) + tail
        case Alive(session, time_ms):
            return ALIVE, _STAMP.pack(session, time_ms)


def to_message(frame: Frame) -> Message | None:
    """None for a type that is not known and a payload that is too short; what is too long is a later version's."""
    payload = frame.payload
    try:
        match frame.type:
            case 0x01:
                return Hello(payload[0], payload[1])
            case 0x02:
                return Leds(payload)
            case 0x03:
                return Ack(payload[0])
            case 0x81 | 0x82 | 0x83:
                session, time_ms = _STAMP.unpack_from(payload)
                return _from_panel(frame.type, session, time_ms, payload[_STAMP.size :])
    except (IndexError, struct.error):
        pass
    return None


def _from_panel(kind: int, session: int, time_ms: int, rest: bytes) -> FromPanel:
    """Raises IndexError when `rest` is too short."""
    if kind == ALIVE:
        return Alive(session, time_ms)
    if kind == EDGE:
        return Edge(session, time_ms, rest[0], rest[1], rest[2] != 0)
    version, held = rest[0], rest[1]
    leds, rest = _counted(rest[2:])
    buttons, name = _counted(rest)
    return PanelHello(session, time_ms, version, leds, buttons, held, name.decode("utf-8", "replace"))


def _counted(data: bytes) -> tuple[tuple[int, ...], bytes]:
    count = data[0]
    if count >= len(data):
        raise IndexError(count)
    return tuple(data[1 : 1 + count]), data[1 + count :]


def _frame(encoded: bytes) -> Frame | None:
    body = _unstuff(encoded) if len(encoded) <= _MAX_ENCODED else b""
    if len(body) < _MIN_BODY or crc16(body[:-2]) != _CRC.unpack_from(body, len(body) - 2)[0]:
        return None
    kind, sequence, length = _HEADER.unpack_from(body)
    return Frame(kind, sequence, body[3:-2]) if length == len(body) - _MIN_BODY else None


def _stuff(body: bytes) -> bytes:
    """COBS of less than 255 bytes: every zero becomes the distance to the next one."""
    return b"".join(bytes((len(part) + 1,)) + part for part in body.split(b"\0"))


def _unstuff(encoded: bytes) -> bytes:
    """b"" for what is no COBS."""
    parts: list[bytes] = []
    at = 0
    while at < len(encoded):
        end = at + encoded[at]
        if end > len(encoded):
            return b""
        parts.append(encoded[at + 1 : end])
        at = end
    return b"\0".join(parts)
