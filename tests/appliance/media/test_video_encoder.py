"""What the video encoders make: decodable, sized, key frames on request, bit rate changed without a new encoder."""

from __future__ import annotations

import av
import pytest

from appliance.media.frames import VideoCodec
from appliance.media.video_encoder import VideoEncoder, fit, rate_action
from tests.appliance.media.pictures import code, picture
from tests.bench.sources import MovingPictures

CODECS: tuple[VideoCodec, ...] = ("h264", "vp8")
BPS = 300_000


def _encode(
    encoder: VideoEncoder, numbers: range, keyframes: tuple[int, ...] = (), bps: int = BPS, fps: int = 30
) -> list[tuple[bytes, bool]]:
    encoded = []
    for number in numbers:
        made = encoder.encode(
            picture(number), number * 90_000 // fps, keyframe=number in keyframes, bitrate_bps=bps, now_s=number / fps
        )
        assert made is not None
        encoded.append((made.data, made.keyframe))
    return encoded


@pytest.mark.parametrize("codec", CODECS)
def test_every_picture_comes_out_at_once_and_reads_back(codec: VideoCodec) -> None:
    decoder = av.CodecContext.create(codec, "r")
    for number, (data, _) in enumerate(_encode(VideoEncoder(codec, 1280, 720, 30), range(12))):
        (decoded,) = decoder.decode(av.Packet(data))
        assert isinstance(decoded, av.VideoFrame)
        assert code(decoded) == number


@pytest.mark.parametrize("codec", CODECS)
def test_only_the_first_and_the_requested_pictures_are_key_frames(codec: VideoCodec) -> None:
    encoded = _encode(VideoEncoder(codec, 1280, 720, 30), range(70), keyframes=(40,))
    assert [number for number, (_, keyframe) in enumerate(encoded) if keyframe] == [0, 40]


@pytest.mark.parametrize("codec", CODECS)
def test_a_decoder_can_start_at_any_key_frame(codec: VideoCodec) -> None:
    encoded = _encode(VideoEncoder(codec, 1280, 720, 30), range(12), keyframes=(8,))
    decoder = av.CodecContext.create(codec, "r")
    (decoded,) = decoder.decode(av.Packet(encoded[8][0]))
    assert isinstance(decoded, av.VideoFrame)
    assert code(decoded) == 8


def test_h264_is_constrained_baseline_3_1() -> None:
    data, _ = _encode(VideoEncoder("h264", 1280, 720, 30), range(1))[0]
    sps = data.index(b"\x00\x00\x01\x67") + 4
    profile, constraints, level = data[sps : sps + 3]
    assert profile == 66
    assert constraints & 0x40  # constraint_set1_flag
    assert level <= 31


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("size", "format_"), [((321, 193), "yuv420p"), ((320, 192), "rgb24"), ((641, 361), "nv12")])
def test_odd_sizes_and_other_formats_are_taken(codec: VideoCodec, size: tuple[int, int], format_: str) -> None:
    encoder = VideoEncoder(codec, 640, 360, 30)
    frame = picture(5, 640, 400).reformat(*size, format_)
    made = encoder.encode(frame, 0, keyframe=False, bitrate_bps=BPS, now_s=0.0)
    assert made is not None
    (decoded,) = av.CodecContext.create(codec, "r").decode(av.Packet(made.data))
    assert isinstance(decoded, av.VideoFrame)
    assert (decoded.width, decoded.height) == fit(*size, 640, 360)
    assert code(decoded) == 5


@pytest.mark.parametrize("codec", CODECS)
def test_another_size_opens_a_new_encoder_with_a_key_frame(codec: VideoCodec) -> None:
    encoder = VideoEncoder(codec, 1280, 720, 30)
    _encode(encoder, range(3))
    made = encoder.encode(picture(3, 640, 360), 9000, keyframe=False, bitrate_bps=BPS, now_s=0.1)
    assert made is not None
    assert made.keyframe
    assert encoder.opened == 2


def test_h264_follows_a_lower_bit_rate_without_a_new_encoder() -> None:
    encoder = VideoEncoder("h264", 1280, 720, 30)
    high = _encode(encoder, range(90), bps=400_000)
    low = _encode(encoder, range(90, 180), bps=200_000)
    assert encoder.opened == 1
    assert not any(keyframe for _, keyframe in low)
    assert sum(len(data) for data, _ in low[30:]) < 0.7 * sum(len(data) for data, _ in high[30:])


def _made_bps(encoder: VideoEncoder, bps: list[int]) -> list[float]:
    """Of each second with its bit rate, in pictures that take all they get, 15 a second."""
    pictures, made_bps = MovingPictures(), []
    for second, wanted_bps in enumerate(bps):
        size = 0
        for number in range(second * 15, second * 15 + 15):
            frame = pictures.next(number / 15)
            made = encoder.encode(frame, number * 6000, keyframe=False, bitrate_bps=wanted_bps, now_s=number / 15)
            size += len(made.data) if made is not None else 0
        made_bps.append(8.0 * size)
    return made_bps


def test_h264_makes_what_it_is_to_make() -> None:
    made_bps = _made_bps(VideoEncoder("h264", 640, 360, 15), 8 * [250_000])
    assert 0.85 < sum(made_bps[4:]) / 4 / 250_000 < 1.1


def test_h264_rises_at_once_without_a_new_encoder_up_to_what_it_was_opened_for() -> None:
    encoder = VideoEncoder("h264", 1280, 720, 15)
    made_bps = _made_bps(encoder, 4 * [1_000_000] + 4 * [1_200_000])
    assert encoder.opened == 1
    assert sum(made_bps[5:]) > 1.15 * sum(made_bps[1:4])


@pytest.mark.parametrize("codec", CODECS)
def test_a_stall_and_uneven_capture_times_do_not_spend_the_bit_rate(codec: VideoCodec) -> None:
    encoder = VideoEncoder(codec, 1280, 720, 30)
    size, timestamp = 0, 0
    for number in range(90):
        timestamp += 90_000 * 30 if number == 30 else 3000 + 800 * (-1) ** number
        made = encoder.encode(picture(number), timestamp, keyframe=False, bitrate_bps=BPS, now_s=timestamp / 90_000)
        if made is not None and number > 30:
            size += len(made.data)
    assert size * 8 < 2 * BPS * 1.4


@pytest.mark.parametrize("codec", CODECS)
def test_a_key_frame_fits_the_buffer(codec: VideoCodec) -> None:
    encoded = _encode(VideoEncoder(codec, 1280, 720, 30), range(60), keyframes=(45,), bps=200_000)
    assert encoded[45][1]
    assert len(encoded[45][0]) * 8 <= 0.5 * 200_000


def test_the_bit_rate_of_a_running_encoder_is_changed_where_that_is_possible() -> None:
    assert rate_action("h264", 1000, 1000, 1020, 99) == "keep"
    assert rate_action("h264", 1000, 1000, 600, 0) == "adjust"
    assert rate_action("h264", 1000, 600, 990, 0) == "adjust"
    assert rate_action("h264", 1000, 1000, 1500, 0) == "adjust"
    assert rate_action("vp8", 1000, 1000, 900, 99) == "keep"


@pytest.mark.parametrize("codec", CODECS)
def test_a_new_encoder_for_another_bit_rate_is_rare(codec: VideoCodec) -> None:
    highest = 1600 if codec == "h264" else 1000
    assert rate_action(codec, 1000, highest, 2 * highest, 1.0) == "keep"
    assert rate_action(codec, 1000, highest, 2 * highest, 10.0) == "reopen"
    assert rate_action(codec, 1000, highest, highest * 3 // 2, 3.0) == "keep"
    assert rate_action(codec, 1000, highest, highest * 7 // 4, 3.0) == "reopen"
    assert rate_action(codec, 1000, 1000, 300, 0.2) == "keep"
    assert rate_action(codec, 1000, 1000, 300, 0.5) == "reopen"
    assert rate_action(codec, 1000, 1000, 300, 3.0) == "reopen"


def test_sizes_are_even_and_keep_their_aspect_ratio() -> None:
    assert fit(1280, 720, 1280, 720) == (1280, 720)
    assert fit(1920, 1080, 1280, 720) == (1280, 720)
    assert fit(641, 481, 1280, 720) == (640, 480)
    assert fit(720, 1280, 1280, 720) == (404, 720)
    assert fit(1, 1, 1280, 720) == (2, 2)


def test_the_camera_s_picture_keeps_its_size_and_format() -> None:
    frame = picture(1, 640, 400)
    VideoEncoder("h264", 320, 200, 30).encode(frame, 0, keyframe=True, bitrate_bps=BPS, now_s=0.0)
    assert (frame.width, frame.height, frame.format.name) == (640, 400, "yuv420p")
