"""RTP packets as they come (RFC 3550 section 5.1): what receivers need of them, and no more."""

from __future__ import annotations

import struct
from typing import NamedTuple

_FIXED_BYTES = 12
_ONE_BYTE_HEADERS = 0xBEDE  # RFC 8285 section 4.2
_TWO_BYTE_HEADERS = 0x1000  # section 4.3; the low four bits are the application's
_STOP_ID = 15  # section 4.2: nothing after it is looked at
_unpack_fixed = struct.Struct("!BBHLL").unpack_from


class RtpError(ValueError):
    """Bytes that are no RTP packet: says why."""


class ExtensionIds(NamedTuple):
    """Of header extensions, as negotiated; 0: not negotiated."""

    abs_send_time: int = 0
    transport_number: int = 0


class ReceivedPacket(NamedTuple):
    payload_type: int
    marker: bool
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes  # without padding
    size: int  # of payload and padding, bytes
    abs_send_time: int | None = None  # 24 bit, 6.18 fixed point seconds
    transport_number: int | None = None  # of all packets of the peer connection


def parse_rtp(data: bytes | memoryview, ids: ExtensionIds) -> ReceivedPacket:
    """Raises RtpError. An extension of another length than its own is one that is not there."""
    end = len(data)
    if end < _FIXED_BYTES:
        raise RtpError(f"{end} bytes are no RTP header")
    flags, marked_type, number, timestamp, ssrc = _unpack_fixed(data)
    if flags >> 6 != 2:
        raise RtpError(f"RTP version {flags >> 6}")
    at = _FIXED_BYTES + 4 * (flags & 0x0F)
    if at > end:
        raise RtpError("the list of sources is cut off")
    send_time = transport_number = None
    if flags & 0x10:
        if at + 4 > end:
            raise RtpError("the header extension is cut off")
        profile, start = data[at] << 8 | data[at + 1], at + 4
        at = start + 4 * (data[at + 2] << 8 | data[at + 3])
        if at > end:
            raise RtpError("the header extension is cut off")
        if profile == _ONE_BYTE_HEADERS or profile & 0xFFF0 == _TWO_BYTE_HEADERS:
            send_time, transport_number = _extensions(data, start, at, ids, short=profile == _ONE_BYTE_HEADERS)
    payload_end = end
    if flags & 0x20:
        padding = data[end - 1]
        if not 0 < padding <= end - at:
            raise RtpError(f"{padding} bytes of padding in {end - at}")
        payload_end -= padding
    return ReceivedPacket(
        marked_type & 0x7F,
        marked_type > 0x7F,
        number,
        timestamp,
        ssrc,
        bytes(data[at:payload_end]),
        end - at,
        send_time,
        transport_number,
    )


def _extensions(
    data: bytes | memoryview, at: int, end: int, ids: ExtensionIds, *, short: bool
) -> tuple[int | None, int | None]:
    """The send time and the transport-wide number between `at` and `end`."""
    send_time = transport_number = None
    while at < end:
        head = data[at]
        at += 1
        if head == 0:
            continue  # padding
        if short:
            extension_id, length = head >> 4, (head & 0x0F) + 1
            if extension_id == _STOP_ID:
                break
        else:
            if at == end:
                raise RtpError("a header extension has no length")
            extension_id, length = head, data[at]
            at += 1
        if at + length > end:
            raise RtpError(f"header extension {extension_id} is cut off")
        if extension_id == ids.transport_number and length == 2:
            transport_number = data[at] << 8 | data[at + 1]
        elif extension_id == ids.abs_send_time and length == 3:
            send_time = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
        at += length
    return send_time, transport_number
