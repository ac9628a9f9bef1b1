"""An RTMP publisher without I/O (Adobe RTMP 1.0): bytes of the server in, bytes for it and the state out. Pure.

    hello() --> server's handshake --> connect, createStream, publish --> `is_publishing` --> metadata, video, audio

FFmpeg's own RTMP, which PyAV would open, holds Python's lock while it connects, knows no time-out there and checks no
certificate; so the connection is the caller's (`rtmp_push.py`), and this is what is said over it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.errors import ApplianceError

HANDSHAKE_BYTES = 1536
CHUNK_BYTES = 65_536  # of ours; larger ones only cost others' buffers
MAX_MESSAGE_BYTES = 64 * 1024  # of the server: it has nothing long to say
MAX_CHUNK_STREAMS = 64
MAX_AMF_DEPTH = 8
WINDOW_BYTES = 2_500_000
EXTENDED = 0xFFFFFF

SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_SIZE = 1, 2, 3, 4, 5  # message types, 5.4 and 7.1
AUDIO, VIDEO, AMF0_DATA, AMF0_COMMAND = 8, 9, 18, 20
PING_REQUEST, PING_RESPONSE = 6, 7
_CONTROL_CHUNKS, _COMMAND_CHUNKS, _AUDIO_CHUNKS, _VIDEO_CHUNKS = 2, 3, 4, 6  # chunk stream ids


class RtmpError(ApplianceError):
    """The server refuses, or what it says is no RTMP."""


# --- AMF0


def amf(*values: Any) -> bytes:
    """None, bool, numbers, text and dictionaries of them, one after the other."""
    return b"".join(map(_amf, values))


def _amf(value: Any) -> bytes:
    match value:
        case None:
            return b"\x05"
        case bool():
            return b"\x01" + bytes([value])
        case int() | float():
            return b"\x00" + struct.pack(">d", value)
        case str():
            text = value.encode()
            if len(text) > 0xFFFF:
                return b"\x0c" + struct.pack(">I", len(text)) + text
            return b"\x02" + struct.pack(">H", len(text)) + text
        case Mapping():
            pairs = b"".join(_amf(str(key))[1:] + _amf(item) for key, item in value.items())
            return b"\x03" + pairs + b"\x00\x00\x09"
        case _:
            raise TypeError(f"{value!r} is nothing that AMF0 is asked to say here")


class _Amf:
    """Reads what others say; `RtmpError` for what is not AMF0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def all(self) -> list[Any]:
        values = []
        while self._at < len(self._data):
            values.append(self._value(0))
        return values

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise RtmpError("AMF0 that is cut off")
        self._at += size
        return taken

    def _text(self, length: str) -> str:
        (size,) = struct.unpack(length, self._take(struct.calcsize(length)))
        return self._take(size).decode("utf-8", "replace")

    def _value(self, depth: int) -> Any:
        if depth > MAX_AMF_DEPTH:
            raise RtmpError("AMF0 that is nested too deeply")
        marker = self._take(1)[0]
        match marker:
            case 0:
                return struct.unpack(">d", self._take(8))[0]
            case 1:
                return self._take(1) != b"\x00"
            case 2:
                return self._text(">H")
            case 3:
                return self._pairs(depth)
            case 5 | 6:
                return None
            case 8:
                self._take(4)
                return self._pairs(depth)
            case 10:
                (size,) = struct.unpack(">I", self._take(4))
                if size > len(self._data):
                    raise RtmpError("an AMF0 array that is longer than its message")
                return [self._value(depth + 1) for _ in range(size)]
            case 11:
                return struct.unpack(">dh", self._take(10))[0]
            case 12:
                return self._text(">I")
            case _:
                raise RtmpError(f"AMF0 type {marker} is not understood")

    def _pairs(self, depth: int) -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        while True:
            key = self._text(">H")
            if not key and self._data[self._at : self._at + 1] == b"\x09":
                self._at += 1
                return pairs
            pairs[key] = self._value(depth + 1)


# --- chunks


@dataclass(slots=True)
class _ChunkStream:
    """What the next chunk's header may leave out."""

    timestamp: int = 0
    length: int = 0
    type: int = 0
    is_extended: bool = False
    body: bytearray = field(default_factory=bytearray)


class _Chunks:
    """Puts the server's messages together: (type, body)."""

    def __init__(self) -> None:
        self.size = 128
        self._buffer = bytearray()
        self._streams: dict[int, _ChunkStream] = {}

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> tuple[int, bytes] | None:
        """None: more bytes are needed. Raises `RtmpError`."""
        while self._buffer:
            header = self._header()
            if header is None:
                return None
            used, number, stream = header
            begun = self._streams.get(number)
            body = begun.body if begun is not None else bytearray()
            part = min(self.size, stream.length - len(body))
            if len(self._buffer) < used + part:
                return None
            if begun is None and len(self._streams) >= MAX_CHUNK_STREAMS:
                raise RtmpError("too many chunk streams")
            stream.body = body + self._buffer[used : used + part]
            del self._buffer[: used + part]
            self._streams[number] = stream
            if len(stream.body) == stream.length:
                whole, stream.body = bytes(stream.body), bytearray()
                return stream.type, whole
        return None

    def abort(self, number: int) -> None:
        if number in self._streams:
            self._streams[number].body = bytearray()

    def _header(self) -> tuple[int, int, _ChunkStream] | None:
        """(its length, chunk stream, the message that it is of), 5.3.1."""
        data = self._buffer
        form, number, at = data[0] >> 6, data[0] & 0x3F, 1
        if number < 2:
            if len(data) < 2 + number:
                return None
            number, at = (64 + data[1], 2) if number == 0 else (64 + data[1] + 256 * data[2], 3)
        size = (11, 7, 3, 0)[form]
        if len(data) < at + size:
            return None
        before = self._streams.get(number)
        if form and before is None:
            raise RtmpError("a chunk that leaves out what was never said")
        stream = _ChunkStream()
        if before is not None:
            stream = _ChunkStream(before.timestamp, before.length, before.type, before.is_extended)
        if form < 3:
            stream.timestamp = int.from_bytes(data[at : at + 3], "big")
            stream.is_extended = stream.timestamp == EXTENDED
        if form < 2:
            stream.length, stream.type = int.from_bytes(data[at + 3 : at + 6], "big"), data[at + 6]
            if stream.length > MAX_MESSAGE_BYTES:
                raise RtmpError(f"a message of {stream.length} bytes; at most {MAX_MESSAGE_BYTES} are taken")
        if before is not None and before.body and (stream.length, stream.type) != (before.length, before.type):
            raise RtmpError("a message that begins within another one")
        at += size
        if stream.is_extended:
            if len(data) < at + 4:
                return None
            at += 4
        return at, number, stream


def chunked(number: int, type_: int, stream_id: int, timestamp_ms: int, body: bytes, *, size: int) -> bytes:
    """One message, in chunks of `size` with a full header and then none (5.3.1.2). Timestamps turn over at 2**32."""
    timestamp_ms %= 1 << 32
    extended = struct.pack(">I", timestamp_ms) if timestamp_ms >= EXTENDED else b""
    head = struct.pack(">B", number) + min(timestamp_ms, EXTENDED).to_bytes(3, "big")
    head += len(body).to_bytes(3, "big") + bytes([type_]) + struct.pack("<I", stream_id) + extended
    parts = [head, body[:size]]
    for start in range(size, len(body), size):
        parts += [bytes([0xC0 | number]), extended, body[start : start + size]]
    return b"".join(parts)


# --- the conversation


class RtmpPublisher:
    """One stream to one server. Each method gives the bytes to be sent; the order of the calls is theirs."""

    def __init__(self, app: str, tc_url: str, key: str) -> None:
        self.is_publishing = False
        self._app, self._tc_url, self._key = app, tc_url, key
        self._handshake: bytearray | None = bytearray()
        self._chunks = _Chunks()
        self._stream_id = 0
        self._size = 128
        self._received = self._acknowledged = 0
        self._window = WINDOW_BYTES

    def hello(self) -> bytes:
        """C0 and C1."""
        return b"\x03" + bytes(8) + os.urandom(HANDSHAKE_BYTES - 8)

    def receive(self, data: bytes) -> bytes:
        """What to answer. Raises `RtmpError` when the server refuses, ends the stream or makes no sense."""
        answer = b""
        self._received += len(data)
        if self._handshake is not None:
            self._handshake += data
            if self._handshake and self._handshake[0] != 3:
                raise RtmpError("the server does not speak RTMP")
            if len(self._handshake) < 1 + 2 * HANDSHAKE_BYTES:
                return b""
            answer = bytes(self._handshake[1 : 1 + HANDSHAKE_BYTES]) + self._connect()  # C2 is S1
            data = bytes(self._handshake[1 + 2 * HANDSHAKE_BYTES :])
            self._handshake = None
        self._chunks.feed(data)
        while (message := self._chunks.next()) is not None:
            answer += self._understand(*message)
        if self._received - self._acknowledged >= self._window:
            self._acknowledged = self._received
            answer += self._control(ACKNOWLEDGEMENT, struct.pack(">I", self._received % (1 << 32)))
        return answer

    def metadata(self, values: Mapping[str, Any]) -> bytes:
        return self._send(_COMMAND_CHUNKS, AMF0_DATA, 0, amf("@setDataFrame", "onMetaData", dict(values)))

    def video(self, timestamp_ms: int, body: bytes) -> bytes:
        return self._send(_VIDEO_CHUNKS, VIDEO, timestamp_ms, body)

    def audio(self, timestamp_ms: int, body: bytes) -> bytes:
        return self._send(_AUDIO_CHUNKS, AUDIO, timestamp_ms, body)

    def goodbye(self) -> bytes:
        """The stream ends here."""
        ended = self._command("FCUnpublish", 6, None, self._key)
        return ended + self._command("deleteStream", 7, None, self._stream_id)

    # --- inside

    def _connect(self) -> bytes:
        about = {
            "app": self._app,
            "type": "nonprivate",
            "flashVer": "FMLE/3.0 (compatible; room-appliance)",
            "tcUrl": self._tc_url,
        }
        return self._command("connect", 1, about)

    def _understand(self, type_: int, body: bytes) -> bytes:
        if type_ in (SET_CHUNK_SIZE, ABORT, WINDOW_SIZE):
            if len(body) < 4:
                raise RtmpError("a control message that is cut off")
            value = int.from_bytes(body[:4], "big")
            if type_ == ABORT:
                self._chunks.abort(value)
            elif type_ == SET_CHUNK_SIZE:
                self._chunks.size = max(1, min(value & 0x7FFFFFFF, EXTENDED))
            else:
                self._window = max(1024, value)
        elif type_ == USER_CONTROL and body[:2] == struct.pack(">H", PING_REQUEST):
            return self._control(USER_CONTROL, struct.pack(">H", PING_RESPONSE) + body[2:6])
        elif type_ == AMF0_COMMAND:
            return self._answered(_Amf(body).all())
        return b""

    def _answered(self, command: list[Any]) -> bytes:
        match command:
            case ["_result", 1.0, *_]:
                self._size = CHUNK_BYTES
                return (
                    self._control(SET_CHUNK_SIZE, struct.pack(">I", CHUNK_BYTES))
                    + self._command("releaseStream", 2, None, self._key)
                    + self._command("FCPublish", 3, None, self._key)
                    + self._command("createStream", 4, None)
                )
            case ["_result", 4.0, _, float() as stream_id, *_] if 0 <= stream_id < 1 << 32:
                self._stream_id = int(stream_id)
                return self._command("publish", 5, None, self._key, "live")
            case ["_error", 1.0 | 4.0 | 5.0, *rest]:
                raise RtmpError(f"the server refuses: {_why(rest)}")
            case ["onStatus", _, *rest]:
                status = next((item for item in rest if isinstance(item, dict)), {})
                if status.get("code") == "NetStream.Publish.Start":
                    self.is_publishing = True
                elif status.get("level") == "error" or status.get("code") == "NetStream.Unpublish.Success":
                    raise RtmpError(f"the server refuses: {_why(rest)}")
            case ["close", *_]:
                raise RtmpError("the server closes the stream")
        return b""

    def _command(self, name: str, transaction: int, *arguments: Any) -> bytes:
        stream_id = self._stream_id if name == "publish" else 0
        body = amf(name, transaction, *arguments)
        return chunked(_COMMAND_CHUNKS, AMF0_COMMAND, stream_id, 0, body, size=self._size)

    def _control(self, type_: int, body: bytes) -> bytes:
        return chunked(_CONTROL_CHUNKS, type_, 0, 0, body, size=128)

    def _send(self, number: int, type_: int, timestamp_ms: int, body: bytes) -> bytes:
        return chunked(number, type_, self._stream_id, timestamp_ms, body, size=self._size)


def _why(rest: list[Any]) -> str:
    """In one line of printable text: it is shown to people."""
    about = next((item for item in rest if isinstance(item, dict)), {})
    words = " ".join(str(about.get(name, "")) for name in ("code", "description"))
    return "".join(letter if letter.isprintable() else " " for letter in words).strip()[:200] or "without a reason"
