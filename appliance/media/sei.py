"""User data in H.264: supplemental enhancement information, SEI (ITU-T H.264, 7.3.2.3 and annex D). Pure.

A message travels in a NAL unit of type 6 before the slices of its picture, which every decoder skips (U83, U84).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from appliance.media.rbsp import escape, unescape
from hw.annexb import NAL_IDR, NAL_SEI, NAL_SLICE, START_CODE, kind, nal_units

USER_DATA_UNREGISTERED = 5  # D.1.7: its first 16 bytes are a UUID that says whose data this is
CUSTOM = 243  # what vendors of rooms use (D38)
PAYLOAD_TYPES = (USER_DATA_UNREGISTERED, CUSTOM)
UUID_BYTES = 16
X264_UUID = bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef")  # x264 writes its settings into each stream

_SEI_START = b"\x00\x00\x01\x06"


class SeiError(ValueError):
    """This is no SEI NAL unit; the message says why."""


@dataclass(frozen=True, slots=True)
class SeiPayload:
    """`data` of USER_DATA_UNREGISTERED begins with its UUID."""

    payload_type: int
    data: bytes


def sei_nal_unit(messages: Iterable[SeiPayload]) -> bytes:
    """One NAL unit with these messages, without a start code."""
    rbsp = bytearray()
    for message in messages:
        for number in (message.payload_type, len(message.data)):
            rbsp += b"\xff" * (number // 255) + bytes([number % 255])
        rbsp += message.data
    return bytes([NAL_SEI]) + escape(bytes(rbsp) + b"\x80")


def parse_sei_nal_unit(nal: bytes) -> tuple[SeiPayload, ...]:
    """All its messages, of whatever payload type. SeiError for anything that is cut off or no SEI."""
    if not nal or kind(nal) != NAL_SEI:
        raise SeiError("it is no NAL unit of type 6")
    rbsp = unescape(nal[1:]).rstrip(b"\x00")
    if not rbsp.endswith(b"\x80"):
        raise SeiError("it does not end in a stop bit")
    end, at = len(rbsp) - 1, 0
    messages = []
    while at < end:
        payload_type, at = _number(rbsp, at, end)
        size, at = _number(rbsp, at, end)
        if at + size > end:
            raise SeiError(f"a message of {size} bytes with {end - at} left")
        messages.append(SeiPayload(payload_type, rbsp[at : at + size]))
        at += size
    return tuple(messages)


def _number(rbsp: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    while at < end:
        value += rbsp[at]
        at += 1
        if rbsp[at - 1] != 0xFF:
            return value, at
    raise SeiError("a payload type or size is cut off")


def splice(annex_b: bytes, messages: Iterable[SeiPayload]) -> bytes:
    """The access unit with these messages before its first slice."""
    units = list(nal_units(annex_b))
    slices = (index for index, unit in enumerate(units) if NAL_SLICE <= kind(unit) <= NAL_IDR)
    units.insert(next(slices, len(units)), sei_nal_unit(messages))
    return b"".join(START_CODE + unit for unit in units)


def user_messages(annex_b: bytes) -> Iterator[SeiPayload]:
    """The messages of an access unit that an application sent, in order; broken SEI is passed over."""
    if _SEI_START not in annex_b:
        return
    for unit in nal_units(annex_b):
        if kind(unit) == NAL_SEI:
            try:
                messages = parse_sei_nal_unit(unit)
            except SeiError:
                continue
            yield from (message for message in messages if _is_user_data(message))


def _is_user_data(message: SeiPayload) -> bool:
    return message.payload_type in PAYLOAD_TYPES and not message.data.startswith(X264_UUID)
