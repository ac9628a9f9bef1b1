"""RTP payloads back to what an encoder made: H.264 (RFC 6184, modes 0 and 1) and VP8 (RFC 7741). Pure.

Beside the bytes a part says what is known of its picture without decoding: where it begins, whether it is a key frame,
and what can be lost of it without harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hw.annexb import NAL_IDR, NAL_SPS, START_CODE

_STAP_A = 24
_FU_A = 28


class PayloadError(ValueError):
    """This is no payload of the codec. The message says why."""


@dataclass(slots=True)
class Layer:
    """Where a VP8 picture stands among the temporal layers (RFC 7741 section 4.2); indices wrap at 256."""

    tl0: int  # counts the pictures of layer 0
    tid: int
    sync: bool  # refers to layer 0 alone


@dataclass(slots=True)
class Part:
    """One payload without its descriptor. Parts of one picture, joined in order, are what a decoder takes."""

    data: bytes
    starts: bool = False  # surely the first of its picture; a first one need not say so
    opens_keyframe: bool = False  # maybe a key frame, and with this all is there that decoding it needs
    keyframe: bool = False  # of a key frame; only some of its parts say so
    disposable: bool = False  # no other picture refers to this one
    picture_id: int | None = None  # VP8; modulo 128, too, where a sender uses 7 bits
    layer: Layer | None = None


def depacketize_vp8(payload: bytes) -> Part:
    """PayloadError for a descriptor that is cut off, or one without data."""
    try:
        first = payload[0]
        position = 1
        picture_id = tl0 = None
        has_t, tid, sync = False, 0, False
        if first & 0x80:
            extension = payload[1]
            position = 2
            if extension & 0x80:
                picture_id = payload[position]
                position += 1
                if picture_id & 0x80:
                    picture_id = (picture_id & 0x7F) << 8 | payload[position]
                    position += 1
            if extension & 0x40:
                tl0 = payload[position]
                position += 1
            if extension & 0x30:
                has_t = bool(extension & 0x20)
                tid, sync = payload[position] >> 6, bool(payload[position] & 0x20)
                position += 1
        data = payload[position:]
        starts = first & 0x17 == 0x10  # S, and partition 0
        keyframe = starts and not data[0] & 1
    except IndexError:
        raise PayloadError("a VP8 payload descriptor is cut off") from None
    if not data:
        raise PayloadError("a VP8 payload has no data")
    layer = Layer(tl0, tid, sync) if tl0 is not None and has_t else None
    return Part(data, starts, keyframe, keyframe, bool(first & 0x20), picture_id, layer)


def depacketize_h264(payload: bytes) -> Part:
    """Annex B. PayloadError for NAL units that are cut off, and for types of other packetization modes."""
    if len(payload) < 2:
        raise PayloadError("an H.264 payload is shorter than two bytes")
    kind = payload[0] & 0x1F
    if 0 < kind < _STAP_A:
        return _of_units(START_CODE + payload, [(kind, payload[0] & 0x60, payload[1])])
    if kind == _FU_A:
        if len(payload) < 3:
            raise PayloadError("a fragment of a NAL unit is empty")
        header = payload[1]
        if not header & 0x80:
            return Part(payload[2:], disposable=_disposable(header & 0x1F, payload[0] & 0x60))
        unit = bytes([payload[0] & 0xE0 | header & 0x1F])
        return _of_units(START_CODE + unit + payload[2:], [(header & 0x1F, payload[0] & 0x60, payload[2])])
    if kind == _STAP_A:
        return _of_aggregate(payload)
    raise PayloadError(f"an H.264 payload has type {kind}")


def _of_aggregate(payload: bytes) -> Part:
    units: list[tuple[int, int, int]] = []
    pieces: list[bytes] = []
    position = 1
    while position < len(payload):
        start = position + 2
        end = start + int.from_bytes(payload[position:start], "big")
        if start == end or end > len(payload):
            raise PayloadError("an aggregate of NAL units is cut off")
        head = payload[start]
        units.append((head & 0x1F, head & 0x60, payload[start + 1] if end - start > 1 else 0))
        pieces.append(payload[start:end])
        position = end
    return _of_units(START_CODE + START_CODE.join(pieces), units)


def _of_units(data: bytes, units: list[tuple[int, int, int]]) -> Part:
    """`units`: type, nal_ref_idc in place, and the byte after its header, of each."""
    kinds = [kind for kind, _, _ in units]
    slices = [unit for unit in units if 0 < unit[0] <= NAL_IDR]
    # first_mb_in_slice is 0, one bit long, in the first slice of a picture: section 7.3.3.
    # An IDR picture begins with its parameter sets, which may be another packet.
    opens = NAL_SPS in kinds
    starts = opens or bool(slices and slices[0][0] != NAL_IDR and slices[0][2] & 0x80)
    disposable = bool(slices) and all(not importance for _, importance, _ in slices)
    return Part(data, starts, opens, NAL_IDR in kinds, disposable)


def _disposable(kind: int, importance: int) -> bool:
    return 0 < kind <= NAL_IDR and not importance


DEPACKETIZERS: Mapping[str, Callable[[bytes], Part]] = {"VP8": depacketize_vp8, "H264": depacketize_h264}
"""By the codec's name in an SDP."""
