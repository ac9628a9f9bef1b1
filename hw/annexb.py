"""H.264 byte streams (ITU-T H.264, Annex B): what is in an access unit, and whether it can be sent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

NAL_SLICE = 1
NAL_IDR = 5
NAL_SEI = 6
NAL_SPS = 7
NAL_PPS = 8
START_CODE = b"\x00\x00\x00\x01"
_SHORT_START_CODE = b"\x00\x00\x01"
_PICTURES = frozenset(range(NAL_SLICE, NAL_IDR + 1))  # slices and their partitions: table 7-1
_WITH_BODY = _PICTURES | {NAL_SPS, NAL_PPS}  # an end of sequence has none


class AccessUnitError(ValueError):
    """This is no access unit that a receiver could decode. The message says what is wrong with it."""


def nal_units(annex_b: bytes) -> Iterator[bytes]:
    """The NAL units of an Annex B byte stream, without start codes and trailing zeros; none if it has no start code."""
    start = annex_b.find(_SHORT_START_CODE)
    while start != -1:
        start += len(_SHORT_START_CODE)
        end = annex_b.find(_SHORT_START_CODE, start)
        unit = annex_b[start:] if end == -1 else annex_b[start:end]
        unit = unit.rstrip(b"\x00")  # a NAL unit ends in a one bit; zeros belong to the next start code
        if unit:
            yield unit
        start = end


def kind(nal: bytes) -> int:
    """nal_unit_type of a NAL unit that is not empty."""
    return nal[0] & 0x1F


def h264_is_keyframe(annex_b: bytes) -> bool:
    """Whether this access unit holds an IDR picture."""
    return any(kind(nal) == NAL_IDR for nal in nal_units(annex_b))


def parse_access_unit(annex_b: bytes) -> tuple[bytes, ...]:
    """The NAL units of one access unit; of a key frame they begin with SPS and PPS, whoever joins needs them.

    Raises AccessUnitError for what is empty, not Annex B, without a picture, cut off within a NAL unit's header, or a
    key frame without its parameter sets.
    """
    if not annex_b:
        raise AccessUnitError("it is empty")
    if not annex_b.startswith((START_CODE, _SHORT_START_CODE)):
        raise AccessUnitError("it does not begin with a start code")
    units = tuple(nal_units(annex_b))
    kinds = [kind(unit) for unit in units]
    if any(unit[0] & 0x80 for unit in units):
        raise AccessUnitError("a NAL unit has its forbidden bit set")
    if not _PICTURES.intersection(kinds):
        raise AccessUnitError("there is no picture in it")
    if any(len(unit) < 2 and kind(unit) in _WITH_BODY for unit in units):
        raise AccessUnitError("a NAL unit is cut off after its first byte")
    if NAL_IDR in kinds and not {NAL_SPS, NAL_PPS} <= set(kinds[: kinds.index(NAL_IDR)]):
        raise AccessUnitError("a key frame comes without SPS and PPS")
    return units


def is_keyframe(units: Iterable[bytes]) -> bool:
    """Whether these NAL units hold an IDR picture."""
    return any(kind(unit) == NAL_IDR for unit in units)


class InBand:
    """Gives each key frame the SPS and PPS that its encoder sent once, or in a buffer of their own."""

    def __init__(self) -> None:
        self._sets: dict[int, bytes] = {}

    def __call__(self, annex_b: bytes) -> tuple[bytes, bool] | None:
        """A buffer of the encoder as an access unit (itself when it lacks nothing), and whether it is a key frame.

        None for a buffer without a picture.
        """
        units = tuple(nal_units(annex_b))
        kinds = {kind(unit) for unit in units}
        self._sets |= {kind(unit): unit for unit in units if kind(unit) in (NAL_SPS, NAL_PPS)}
        if not _PICTURES & kinds:
            return None
        if NAL_IDR not in kinds:
            return annex_b, False
        missing = [self._sets[each] for each in (NAL_SPS, NAL_PPS) if each not in kinds and each in self._sets]
        return b"".join(START_CODE + unit for unit in missing) + annex_b, True
