"""RTP payloads of encoded pictures: H.264 in packetization mode 1 (RFC 6184) and VP8 (RFC 7741). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from hw.annexb import h264_is_keyframe, nal_units

MAX_PAYLOAD_BYTES = 1200  # with RTP, header extensions, SRTP and RTX within 1280 bytes of IPv6 (as libwebrtc)

_STAP_A = 24
_FU_A = 28


def packetize_h264(annex_b: bytes, limit: int = MAX_PAYLOAD_BYTES) -> tuple[bytes, ...]:
    """One access unit: small NAL units together (STAP-A), large ones in equal parts (FU-A), the last may be smaller."""
    return packetize_nal_units(nal_units(annex_b), limit)


def packetize_nal_units(units: Iterable[bytes], limit: int = MAX_PAYLOAD_BYTES) -> tuple[bytes, ...]:
    """As `packetize_h264`, of an access unit that is taken apart already."""
    payloads: list[bytes] = []
    group: list[bytes] = []
    size = 1  # of a STAP-A with `group`
    for unit in units:
        if size + 2 + len(unit) > limit:
            payloads += _aggregate(group)
            group, size = [], 1
        if len(unit) > limit:
            payloads += _fragment(unit, limit)
        else:
            group.append(unit)
            size += 2 + len(unit)
    return (*payloads, *_aggregate(group))


def _aggregate(units: list[bytes]) -> list[bytes]:
    if len(units) < 2:
        return units
    importance = max(unit[0] & 0x60 for unit in units)
    return [bytes([importance | _STAP_A]) + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)]


def _fragment(unit: bytes, limit: int) -> list[bytes]:
    indicator = (unit[0] & 0xE0) | _FU_A
    kind = unit[0] & 0x1F
    body = memoryview(unit)[1:]
    payloads = []
    for start, stop in _parts(len(body), limit - 2):
        flags = (0x80 if start == 0 else 0) | (0x40 if stop == len(body) else 0)
        payloads.append(bytes([indicator, flags | kind]) + body[start:stop])
    return payloads


def _parts(size: int, limit: int) -> list[tuple[int, int]]:
    """As few as can be, of one size but the last: such packets leave with one system call."""
    count = -(-size // limit)
    each = -(-size // count)
    return [(start, min(size, start + each)) for start in range(0, size, each)]


def packetize_vp8(frame: bytes, picture_id: int, limit: int = MAX_PAYLOAD_BYTES) -> tuple[bytes, ...]:
    """One frame in equal parts, the last may be smaller, each with the 15-bit `picture_id`."""
    tail = bytes([0x80]) + (0x8000 | picture_id & 0x7FFF).to_bytes(2, "big")
    body = memoryview(frame)
    return tuple(
        bytes([0x90 if start == 0 else 0x80]) + tail + body[start:stop] for start, stop in _parts(len(body), limit - 4)
    )


def vp8_is_keyframe(frame: bytes) -> bool:
    """RFC 6386 section 9.1: the lowest bit of a frame is 0 in a key frame, and a start code follows its tag."""
    return len(frame) > 5 and not frame[0] & 1 and frame[3:6] == b"\x9d\x01\x2a"


KEYFRAME_TESTS: Mapping[str, Callable[[bytes], bool]] = {"VP8": vp8_is_keyframe, "H264": h264_is_keyframe}
