"""Which of a device's formats, sizes and rates is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.v4l2_formats import FFMPEG_NAMES, Choice, EncoderControls, EncoderUse, Offer, choose, nearest_rate

WEBCAM = [
    Offer("YUYV", 640, 480, 30),
    Offer("YUYV", 1280, 720, 10),
    Offer("YUYV", 1920, 1080, 5),
    Offer("MJPG", 640, 480, 30),
    Offer("MJPG", 1280, 720, 30),
    Offer("MJPG", 1920, 1080, 30),
]
H264 = [Offer("H264", 640, 480, 30), Offer("H264", 1280, 720, 30)]
NO_CONTROLS = EncoderControls()


def chosen(
    offers: list[Offer],
    size: tuple[int, int, int] = (1280, 720, 30),
    controls: EncoderControls = NO_CONTROLS,
    use: EncoderUse = "auto",
) -> Choice:
    choice = choose(offers, controls, *size, use)
    assert choice is not None
    return choice


@pytest.mark.parametrize(
    ("size", "offer"),
    [
        ((1280, 720, 30), Offer("MJPG", 1280, 720, 30)),  # USB 2 is too slow for so much raw
        ((640, 480, 30), Offer("YUYV", 640, 480, 30)),  # nothing to decode
        ((1280, 720, 10), Offer("YUYV", 1280, 720, 10)),
        ((640, 360, 30), Offer("YUYV", 640, 480, 30)),
        ((1920, 1080, 60), Offer("MJPG", 1920, 1080, 30)),
        ((1600, 900, 30), Offer("MJPG", 1920, 1080, 30)),  # rather made smaller than larger
    ],
)
def test_the_nearest_that_the_bus_can_carry(size: tuple[int, int, int], offer: Offer) -> None:
    assert chosen(WEBCAM, size) == Choice(offer, False)


@pytest.mark.parametrize(
    ("controls", "use", "passes"),
    [
        (EncoderControls(), "auto", False),
        (EncoderControls(force_keyframe=True), "auto", True),
        (EncoderControls(gop=60), "auto", True),
        (EncoderControls(gop=61), "auto", False),
        (EncoderControls(gop=0), "auto", False),  # no key frame after the first
        (EncoderControls(bitrate=True), "auto", False),
        (EncoderControls(), "hardware", True),
        (EncoderControls(force_keyframe=True), "software", False),
    ],
)
def test_a_device_that_encodes_passes_where_key_frames_can_be_had(
    controls: EncoderControls, use: EncoderUse, passes: bool
) -> None:
    choice = chosen(WEBCAM + H264, controls=controls, use=use)
    assert choice == Choice(H264[1] if passes else WEBCAM[4], passes)


def test_h264_that_is_far_from_what_is_wanted_is_not_worth_it() -> None:
    choice = chosen(WEBCAM + H264, (1920, 1080, 30), EncoderControls(force_keyframe=True))
    assert choice == Choice(WEBCAM[5], False)
    choice = chosen(H264, (1920, 1080, 30), EncoderControls(force_keyframe=True))
    assert choice == Choice(H264[1], True)


def test_a_device_with_nothing_but_h264_is_decoded() -> None:
    assert chosen(H264) == Choice(H264[1], False)


def test_an_infrared_camera_comes_last() -> None:
    assert chosen([Offer("GREY", 1280, 720, 30), Offer("YUYV", 640, 480, 30)]).offer.fourcc == "GREY"
    assert chosen([Offer("GREY", 640, 360, 30), Offer("YUYV", 640, 480, 30)]).offer.fourcc == "YUYV"


def test_formats_that_are_not_known() -> None:
    assert choose([Offer("pRAA", 1280, 720, 30)], EncoderControls(), 1280, 720, 30, "auto") is None
    assert choose([], EncoderControls(), 1280, 720, 30, "hardware") is None


def test_the_rate_that_is_enough() -> None:
    assert nearest_rate([5, 60, 30, 15], 30) == 30
    assert nearest_rate([60, 29.97], 30) == 29.97
    assert nearest_rate([5, 10], 30) == 10
    assert nearest_rate([], 30) == 30


_sides = st.integers(16, 4096)
_offers = st.builds(Offer, st.sampled_from([*FFMPEG_NAMES, "XXXX"]), _sides, _sides, st.floats(0.1, 240))


@given(st.lists(_offers), st.booleans(), st.sampled_from([None, 0, 30, 300]), _sides, _sides, st.integers(1, 60))
def test_one_of_the_known_offers_is_taken(
    offers: list[Offer], force: bool, gop: int | None, width: int, height: int, fps: int
) -> None:
    choice = choose(offers, EncoderControls(force, False, gop), width, height, fps, "auto")
    known = [offer for offer in offers if offer.fourcc in FFMPEG_NAMES]
    assert (choice is None) == (not known)
    if choice is not None:
        assert choice.offer in known
        assert not choice.pass_through or choice.offer.fourcc == "H264"
