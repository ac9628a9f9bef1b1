"""One stream to one receiver: RTP headers round payloads that all legs share, parities, retransmissions. No clock, no
socket.

A header is made once and patched: a packet costs its numbers, the port protects and sends it.
"""

from __future__ import annotations

import random
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from appliance.media.frames import EncodedFrame
from appliance.media.parity import groups, parity

HISTORY_S = 1.0  # a packet older than this is of no use to a receiver any more
RESEND_S = 0.005  # a packet is not sent again sooner
RESEND_SHARE = 0.25  # of a round trip: nor sooner than that
_ONE_BYTE_HEADERS = 0xBEDE  # RFC 8285 section 4.2
_ABS_SEND_TIME_HZ = 1 << 18  # draft-alvestrand-rmcat-remb-03: 6.18 fixed point

_pack_number = struct.Struct("!BH").pack_into  # marker and payload type, sequence number
_pack_timestamp = struct.Struct("!L").pack_into
_pack_short = struct.Struct("!H").pack_into


class PacketPort(Protocol):
    """Protects and sends packets in the order they are put, together where it can."""

    def put(self, header: bytes | bytearray, payload: bytes) -> None: ...
    def flush(self) -> None:
        """What was put is on its way when this returns."""


class PacketNumbers(Protocol):
    """Transport-wide sequence numbers: of all packets of a peer connection that carry one."""

    def sent(self, size_bytes: int, now_s: float) -> int:
        """The number of a packet that goes out now."""


@dataclass(frozen=True, slots=True)
class StreamParameters:
    """What was negotiated for a stream. The ids are those of header extensions, 0: not negotiated."""

    ssrc: int
    payload_type: int
    clock_hz: int
    rtx_ssrc: int = 0
    rtx_payload_type: int | None = None  # None: packets are sent again as they were
    mid: str = ""
    mid_id: int = 0
    abs_send_time_id: int = 0
    audio_level_id: int = 0
    transport_number_id: int = 0
    parity_payload_type: int | None = None  # None: nothing is protected. On the stream of retransmissions


@dataclass(frozen=True, slots=True)
class SentCounts:
    """Of one stream, cumulative. Bytes are of RTP payloads; retransmissions and parities are counted apart."""

    frames: int = 0
    keyframes: int = 0
    packets: int = 0
    bytes: int = 0
    retransmitted_packets: int = 0
    retransmitted_bytes: int = 0
    parity_packets: int = 0
    parity_bytes: int = 0


class _Header:
    """12 bytes and the extensions, patched in place."""

    def __init__(self, parameters: StreamParameters, ssrc: int, payload_type: int) -> None:
        elements = bytearray()
        places: dict[int, int] = {}

        def place(extension_id: int, value: bytes) -> None:
            if extension_id:
                elements.append(extension_id << 4 | len(value) - 1)
                places[extension_id] = 16 + len(elements)
                elements.extend(value)

        mid = parameters.mid.encode()
        if mid:
            place(parameters.mid_id, mid)
        place(parameters.abs_send_time_id, bytes(3))
        place(parameters.audio_level_id, bytes(1))
        place(parameters.transport_number_id, bytes(2))
        elements.extend(bytes(-len(elements) % 4))
        self.payload_type = payload_type
        self.data = bytearray(struct.pack("!BBHLL", 0x90 if elements else 0x80, payload_type, 0, 0, ssrc))
        if elements:
            self.data += struct.pack("!HH", _ONE_BYTE_HEADERS, len(elements) // 4) + elements
        self._send_time_at = places.get(parameters.abs_send_time_id, 0)
        self._level_at = places.get(parameters.audio_level_id, 0)
        self.number_at = places.get(parameters.transport_number_id, 0)

    def stamp(self, timestamp: int, audio_level: int | None, now_s: float) -> None:
        """What the packets of a frame have in common."""
        data = self.data
        _pack_timestamp(data, 4, timestamp)
        if at := self._send_time_at:
            data[at : at + 3] = (int(now_s * _ABS_SEND_TIME_HZ) & 0xFFFFFF).to_bytes(3, "big")
        if self._level_at and audio_level is not None:
            data[self._level_at] = audio_level

    def number(self, number: int, transport_number: int, *, marker: bool) -> bytearray:
        _pack_number(self.data, 1, self.payload_type | 0x80 if marker else self.payload_type, number)
        if self.number_at:
            _pack_short(self.data, self.number_at, transport_number)
        return self.data


class _Sent(NamedTuple):
    """Packets that went out at once, with their header as it was: what is kept for retransmission."""

    number: int  # sequence number of the first
    transport_number: int  # the same
    header: bytes
    frame: EncodedFrame
    start: int
    stop: int
    at_s: float


class RtpStream:
    """Sends frames, whole or in parts. Times are monotonic seconds and never go back."""

    def __init__(
        self,
        parameters: StreamParameters,
        port: PacketPort,
        numbers: PacketNumbers | None = None,
        *,
        number: int | None = None,
        timestamp_origin: int | None = None,
    ) -> None:
        self.rtt_s: float | None = None  # told by the receiver's reports
        self.parity_group = 0  # packets that one parity is for, about; 0: none is sent
        self._parameters = parameters
        self._port = port
        self._numbers = numbers if parameters.transport_number_id else None
        # In the lower half: a wrap soon after the start is taken for an old packet by SRTP receivers.
        self._number = random.randrange(1 << 15) if number is None else number
        self._origin = random.getrandbits(32) if timestamp_origin is None else timestamp_origin
        self._header = _Header(parameters, parameters.ssrc, parameters.payload_type)
        self._rtx_header: _Header | None = None
        if parameters.rtx_payload_type is not None:
            self._rtx_header = _Header(parameters, parameters.rtx_ssrc, parameters.rtx_payload_type)
        self._parity_header: _Header | None = None
        if parameters.parity_payload_type is not None and self._rtx_header is not None:
            self._parity_header = _Header(parameters, parameters.rtx_ssrc, parameters.parity_payload_type)
        self._rtx_number = random.randrange(1 << 15)
        self._history: deque[_Sent] = deque()
        self._newest: tuple[int, float] | None = None  # frame: its timestamp on the wire, when it was captured
        self._resent_s: dict[int, float] = {}
        self._frames = self._keyframes = self._packets = self._bytes = 0
        self._retransmitted_packets = self._retransmitted_bytes = 0
        self._parity_packets = self._parity_bytes = 0

    @property
    def overhead_bytes(self) -> int:
        """Of each packet: RTP header with extensions."""
        return len(self._header.data)

    @property
    def protects(self) -> bool:
        """Whether the receiver can make use of parities."""
        return self._parity_header is not None

    def counts(self) -> SentCounts:
        return SentCounts(
            self._frames,
            self._keyframes,
            self._packets,
            self._bytes,
            self._retransmitted_packets,
            self._retransmitted_bytes,
            self._parity_packets,
            self._parity_bytes,
        )

    def timestamp_of(self, frame: EncodedFrame) -> int:
        """What it carries on this wire."""
        return (self._origin + frame.timestamp) & 0xFFFFFFFF

    def timestamp_at(self, now_s: float) -> int | None:
        """What a frame captured now would carry: with the time, this makes sound and pictures play together.

        None before the first frame.
        """
        if self._newest is None:
            return None
        timestamp, captured_s = self._newest
        return (timestamp + round((now_s - captured_s) * self._parameters.clock_hz)) & 0xFFFFFFFF

    def send(self, frame: EncodedFrame, start: int, stop: int, now_s: float) -> int:
        """The packets from `start` up to `stop` of a frame. Returns the bytes of parities beside them."""
        header, numbers, payloads = self._header, self._numbers, frame.payloads
        timestamp = self.timestamp_of(frame)
        self._newest = timestamp, frame.captured_s
        header.stamp(timestamp, frame.audio_level, now_s)
        data, payload_type, put = header.data, header.payload_type, self._port.put
        first = number = self._number
        first_transport = transport = size = 0
        last = len(payloads) - 1
        for index in range(start, stop):
            payload = payloads[index]
            size += len(payload)
            _pack_number(data, 1, payload_type | 0x80 if index == last else payload_type, number)
            if numbers is not None:
                transport = numbers.sent(len(data) + len(payload), now_s)
                _pack_short(data, header.number_at, transport)
                if index == start:
                    first_transport = transport
            put(data, payload)
            number = (number + 1) & 0xFFFF
        before = self._parity_bytes
        if self.parity_group and self._parity_header is not None:
            self._protect(self._parity_header, frame, first - start, (start, stop), now_s)
        self._port.flush()
        self._number = number
        self._packets += stop - start
        self._bytes += size
        if start == 0:
            self._frames += 1
            self._keyframes += frame.keyframe
        history = self._history
        history.append(_Sent(first, first_transport, bytes(data), frame, start, stop, now_s))
        while history[0].at_s < now_s - HISTORY_S:
            history.popleft()
        return self._parity_bytes - before

    def retransmit(self, lost: Iterable[int], now_s: float, *, spare: bool = False) -> int:
        """Sends again what is asked for and still known, by sequence numbers. Returns the bytes of payloads sent.

        Not what went out again just now. A receiver that asks again before the answer can be there knows why: on a
        lossy link the first copy may be lost as well, and it keeps count of what that costs (`nack.py`). Then it gets
        two where the link has room to `spare` and they are not the same bytes: a third time is a freeze.
        """
        pause_s = max(RESEND_S, RESEND_SHARE * (self.rtt_s or 0.0))
        size = 0
        for number in lost:
            sent = self._find(number)
            if sent is None or now_s - self._resent_s.get(number, float("-inf")) < pause_s:
                continue
            copies = 2 if spare and number in self._resent_s and self._rtx_header is not None else 1
            self._resent_s[number] = now_s
            for _ in range(copies):
                size += self._resend(sent, number, now_s)
                self._retransmitted_packets += 1
        if size:
            self._port.flush()
            self._retransmitted_bytes += size
            self._resent_s = {
                number: at_s for number, at_s in self._resent_s.items() if at_s > now_s - max(HISTORY_S, pause_s)
            }
        return size

    def repeat(self, now_s: float) -> None:
        """What went out last goes out once more, unasked."""
        sent = self._history[-1]
        self.retransmit(((sent.number + at) & 0xFFFF for at in range(sent.stop - sent.start)), now_s)

    def forget(self) -> None:
        """Nothing sent so far is sent again."""
        self._history.clear()

    def _protect(self, header: _Header, frame: EncodedFrame, number: int, sent: tuple[int, int], now_s: float) -> None:
        """Parities of the groups whose last packet was just sent. `number`: of the frame's first packet."""
        payloads = frame.payloads
        header.stamp(self.timestamp_of(frame), None, now_s)
        for first, end in groups(len(payloads), self.parity_group):
            if sent[0] < end <= sent[1]:
                data = parity(number + first, payloads[first:end], ends=end == len(payloads))
                self._put_beside(header, data, now_s)
                self._parity_packets += 1
                self._parity_bytes += len(data)

    def _put_beside(self, header: _Header, payload: bytes, now_s: float, *, marker: bool = False) -> None:
        """On the stream of retransmissions."""
        transport = self._numbers.sent(len(header.data) + len(payload), now_s) if self._numbers is not None else 0
        self._port.put(header.number(self._rtx_number, transport, marker=marker), payload)
        self._rtx_number = (self._rtx_number + 1) & 0xFFFF

    def _find(self, number: int) -> _Sent | None:
        for sent in reversed(self._history):
            if (number - sent.number) & 0xFFFF < sent.stop - sent.start:
                return sent
        return None

    def _resend(self, sent: _Sent, number: int, now_s: float) -> int:
        offset = (number - sent.number) & 0xFFFF
        index = sent.start + offset
        payload = sent.frame.payloads[index]
        marker = index == len(sent.frame.payloads) - 1
        rtx = self._rtx_header
        if rtx is None:
            # The same bytes again, for SRTP encrypts them with the same key stream.
            header = self._header
            kept = bytes(header.data)
            header.data[:] = sent.header
            transport = (sent.transport_number + offset) & 0xFFFF
            self._port.put(header.number(number, transport, marker=marker), payload)
            header.data[:] = kept
            return len(payload)
        rtx.stamp((self._origin + sent.frame.timestamp) & 0xFFFFFFFF, sent.frame.audio_level, now_s)
        payload = number.to_bytes(2, "big") + payload  # RFC 4588 section 4
        self._put_beside(rtx, payload, now_s, marker=marker)
        return len(payload)


def segments(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Datagrams in runs (count, size) that the kernel can cut up: all of one size, the last may be less."""
    if len(sizes) > 1 and sizes[-1] <= sizes[0] and sizes.count(sizes[0]) == len(sizes) - (sizes[-1] < sizes[0]):
        return [(len(sizes), sizes[0])]  # a picture, as a rule
    runs: list[tuple[int, int]] = []
    count = size = 0
    for each in sizes:
        if count and each <= size:
            count += 1
            if each == size:
                continue
            runs.append((count, size))
            count = 0
        else:
            if count:
                runs.append((count, size))
            count, size = 1, each
    if count:
        runs.append((count, size))
    return runs
