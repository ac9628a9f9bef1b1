"""What is inside an H.264 NAL unit: emulation prevention and Exp-Golomb numbers (ITU-T H.264, 7.3.1 and 9.1). Pure."""

from __future__ import annotations

import re

_EMULATION = re.compile(rb"\x00\x00(?=[\x00-\x03])")


def escape(rbsp: bytes) -> bytes:
    """With a 3 after each two zeros that could be taken for a start code, or for such a 3."""
    return _EMULATION.sub(b"\x00\x00\x03", rbsp) if b"\x00\x00" in rbsp else rbsp


def unescape(data: bytes) -> bytes:
    """Without these; the inverse of `escape`."""
    return data.replace(b"\x00\x00\x03", b"\x00\x00")


def exp_golomb(data: bytes, bit: int) -> tuple[int, int]:
    """The ue(v) at this bit, and the bit after it. ValueError where it does not end within `data`."""
    size = 8 * len(data)
    zeros = 0
    while bit + zeros < size and not data[(bit + zeros) >> 3] >> (7 - (bit + zeros & 7)) & 1:
        zeros += 1
    end = bit + 2 * zeros + 1
    if end > size:
        raise ValueError(f"no Exp-Golomb number at bit {bit} of {len(data)} bytes")
    value = int.from_bytes(data[: (end + 7) >> 3], "big") >> (-end % 8) & ((1 << (zeros + 1)) - 1)
    return value - 1, end
