"""Bodies of RTMP's video and audio messages: H.264 and AAC as FLV has them (Adobe FLV 10.1, E.4). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from hw.annexb import NAL_PPS, NAL_SPS, kind, nal_units

AVC, AAC = 7, 0xAF  # codec id; AAC, "44 kHz, 16 bits, stereo", which its own configuration overrules
_NEVER_SENT = frozenset({9, NAL_SPS, NAL_PPS})  # access unit delimiter; parameter sets stand in the configuration


def video_configuration(annex_b: bytes) -> bytes:
    """The AVC sequence header, of the parameter sets in `annex_b` (ISO 14496-15 5.2.4.1). ValueError without them."""
    units = list(nal_units(annex_b))
    sps = next((unit for unit in units if kind(unit) == NAL_SPS and len(unit) >= 4), None)
    pps = next((unit for unit in units if kind(unit) == NAL_PPS), None)
    if sps is None or pps is None:
        raise ValueError("no parameter sets")
    record = b"\x01" + sps[1:4] + b"\xff\xe1" + struct.pack(">H", len(sps)) + sps
    return bytes([0x10 | AVC]) + b"\x00\x00\x00\x00" + record + b"\x01" + struct.pack(">H", len(pps)) + pps


def video_picture(annex_b: bytes, *, keyframe: bool) -> bytes:
    """One picture that is shown when it is decoded."""
    head = bytes([(0x10 if keyframe else 0x20) | AVC]) + b"\x01\x00\x00\x00"
    return head + _length_prefixed(unit for unit in nal_units(annex_b) if kind(unit) not in _NEVER_SENT)


def audio_configuration(specific: bytes) -> bytes:
    """Of AAC's AudioSpecificConfig."""
    return bytes([AAC, 0]) + specific


def audio_frame(raw: bytes) -> bytes:
    return bytes([AAC, 1]) + raw


def _length_prefixed(units: Iterable[bytes]) -> bytes:
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in units)
