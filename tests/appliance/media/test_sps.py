"""What an SPS says about the order of pictures."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.sps import in_order
from hw.annexb import NAL_SPS, START_CODE, kind, nal_units
from tests.appliance.media.pictures import code, coded_pictures, decoded, without_vui

X264 = coded_pictures("h264", 1)[0]
BARE = without_vui(X264)
HIGH = bytes.fromhex("67640028acb402802dc8")  # as a Pi's encoder writes it: 1280x720, no VUI


def _sps(unit: bytes) -> bytes:
    return next(nal for nal in nal_units(unit) if kind(nal) == NAL_SPS)


def test_what_says_it_already_stays_as_it_is() -> None:
    assert in_order(_sps(X264)) == _sps(X264)


@pytest.mark.parametrize("sps", [_sps(BARE), HIGH])
def test_what_does_not_is_made_to(sps: bytes) -> None:
    changed = in_order(sps)
    assert changed != sps
    assert changed.startswith(sps[:-1])
    assert in_order(changed) == changed


@pytest.mark.parametrize("unit", [X264, BARE])
def test_pictures_decode_as_before(unit: bytes) -> None:
    units = [in_order(nal) if kind(nal) == NAL_SPS else nal for nal in nal_units(unit)]
    (frame,) = decoded("h264", b"".join(START_CODE + nal for nal in units))
    assert (code(frame), frame.width, frame.height) == (0, 320, 192)


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(b"\x67\x64\x00\x28".__add__)))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert in_order(in_order(data)) == in_order(data)
