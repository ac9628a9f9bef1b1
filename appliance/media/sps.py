"""Sequence parameter sets of H.264 as browsers leave them alone (ITU-T H.264, 7.3.2.1 and annex E). Pure.

Chromium writes into a received SPS, where it does not say so, that pictures come in the order in which they are shown.
In an encrypted picture the SPS is authenticated, so that it has to say it before: none of our senders reorders.
"""

from __future__ import annotations

from appliance.media.rbsp import escape, exp_golomb, unescape

_WITH_CHROMA = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))  # profiles, 7.3.2.1.1


class _Bits:
    """Reads bits; `out` has those that were read since the start."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> int:
        end = self.at + count
        if end > 8 * len(self.data):
            raise ValueError("an SPS that is cut off")
        value = int.from_bytes(self.data[: -(-end // 8)], "big") >> (-end % 8) & ((1 << count) - 1)
        self.at = end
        return value

    def number(self) -> int:
        value, self.at = exp_golomb(self.data, self.at)
        return value

    def until_now(self) -> str:
        """What was read, in binary."""
        whole = int.from_bytes(self.data, "big")
        return f"{whole:0{8 * len(self.data)}b}"[: self.at]


def in_order(sps: bytes) -> bytes:
    """This NAL unit, saying that nothing is reordered: itself where it does. ValueError for what is no SPS."""
    bits = _Bits(unescape(sps))
    bits.take(8)
    profile = bits.take(8)
    bits.take(16)
    bits.number()
    if profile in _WITH_CHROMA:
        _skip_chroma(bits)
    bits.number()
    order_type = bits.number()
    if order_type == 0:
        bits.number()
    elif order_type == 1:
        bits.take(1)
        bits.number(), bits.number()
        for _ in range(min(255, bits.number())):
            bits.number()
    references = bits.number()
    bits.take(1)
    bits.number(), bits.number()
    if not bits.take(1):  # frame_mbs_only_flag
        bits.take(1)
    bits.take(1)
    if bits.take(1):  # cropping
        for _ in range(4):
            bits.number()
    before = bits.until_now()
    if not bits.take(1):  # vui_parameters_present_flag
        return _rebuilt(before + "1" + "0" * 8, references)
    _skip_vui(bits)
    before = bits.until_now()
    if bits.take(1):  # bitstream_restriction_flag
        bits.take(1)
        for _ in range(4):
            bits.number()
        if bits.number() == 0 and bits.number() <= references:
            return sps
    return _rebuilt(before, references)


def _rebuilt(before: str, references: int) -> bytes:
    """`before` the bitstream_restriction_flag, and the restriction; defaults of E.2.1 beside what is meant."""
    said = before + "11" + "".join(map(_ue, (2, 1, 16, 16, 0, references))) + "1"
    said += "0" * (-len(said) % 8)
    return escape(int(said, 2).to_bytes(len(said) // 8, "big"))


def _ue(value: int) -> str:
    text = f"{value + 1:b}"
    return "0" * (len(text) - 1) + text


def _skip_chroma(bits: _Bits) -> None:
    chroma = bits.number()
    if chroma == 3:
        bits.take(1)
    bits.number(), bits.number()
    bits.take(1)
    if bits.take(1):  # scaling matrices
        for index in range(8 if chroma != 3 else 12):
            if bits.take(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.number()
            following = (last + (-(code // 2) if code % 2 == 0 else (code + 1) // 2)) % 256
        last = following or last


def _skip_vui(bits: _Bits) -> None:
    """Up to bitstream_restriction_flag (E.1.1)."""
    if bits.take(1) and bits.take(8) == 255:  # aspect_ratio_idc: extended
        bits.take(32)
    if bits.take(1):  # overscan
        bits.take(1)
    if bits.take(1):  # video signal type
        bits.take(4)
        if bits.take(1):
            bits.take(24)
    if bits.take(1):  # chroma location
        bits.number(), bits.number()
    if bits.take(1):  # timing
        bits.take(65)
    has_hrd = False
    for _ in range(2):  # of NAL units, of slices
        if bits.take(1):
            has_hrd = True
            _skip_hrd(bits)
    if has_hrd:
        bits.take(1)
    bits.take(1)  # pic_struct_present_flag


def _skip_hrd(bits: _Bits) -> None:
    count = bits.number() + 1
    bits.take(8)
    for _ in range(min(32, count)):
        bits.number(), bits.number()
        bits.take(1)
    bits.take(20)
