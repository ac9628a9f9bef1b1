"""The camera's way out: newest picture only, key frames, timestamps; cameras that encode themselves."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import get_args

import pytest

from appliance.media.frames import EncodedFrame, VideoCodec
from appliance.media.gate import Gate
from appliance.media.merge import KEYFRAME_INTERVAL_S
from appliance.media.video_out import EncoderThread, PictureClock, VideoOut
from hw import AccessUnit, Picture
from tests.appliance.media.pictures import picture

KEY = b"\x00\x00\x01\x67a\x00\x00\x01\x68b\x00\x00\x01\x65c"
DELTA = b"\x00\x00\x01\x41d"


class Encoding:
    """An EncoderThread and what it posts."""

    def __init__(self, codec: VideoCodec = "vp8") -> None:
        self.posted: queue.Queue[tuple[int, EncodedFrame]] = queue.Queue()
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.encoder = EncoderThread(
            codec,
            (1280, 720),
            30,
            300_000,
            self.lock,
            lambda epoch, frame: self.posted.put((epoch, frame)),
            self.ended.set,
        )

    def encode(self, number: int, captured_s: float, epoch: int = 0) -> EncodedFrame:
        self.encoder.put(epoch, Picture(picture(number), captured_s))
        got, frame = self.posted.get(timeout=5)
        assert got == epoch
        return frame


@pytest.fixture
def encoding() -> Iterator[Encoding]:
    made = Encoding()
    yield made
    made.encoder.stop()
    assert made.ended.wait(5)
    made.encoder.thread.join(5)
    assert not made.encoder.thread.is_alive()


def test_timestamps_are_capture_times_also_after_a_stall(encoding: Encoding) -> None:
    stamps = [encoding.encode(number, at_s).timestamp for number, at_s in enumerate((10.0, 10.04, 10.06, 73.06))]
    assert stamps == [900_000, 903_600, 905_400, 905_400 + 63 * 90_000]


def test_timestamps_grow_whatever_the_capture_times_do() -> None:
    clock = PictureClock()
    assert [clock.stamp(at_s) for at_s in (1.0, 1.0, 0.5, 1.0001)] == [90_000, 90_001, 90_002, 90_009]


def test_a_picture_that_waits_gives_way_to_a_newer_one(encoding: Encoding) -> None:
    encoding.encode(0, 1.0)
    with encoding.lock:  # the encoder cannot begin
        encoding.encoder.put(0, Picture(picture(1), 2.0))
        deadline_s = time.monotonic() + 5
        while encoding.encoder._waiting is not None and time.monotonic() < deadline_s:
            threading.Event().wait(0.001)
        for number in (2, 3, 4):
            encoding.encoder.put(0, Picture(picture(number), 1.0 + number))
    assert encoding.posted.get(timeout=5)[1].captured_s == 2.0
    assert encoding.posted.get(timeout=5)[1].captured_s == 5.0
    assert encoding.posted.empty()


def test_requests_within_the_interval_make_one_key_frame_at_its_end(encoding: Encoding) -> None:
    assert encoding.encode(0, 1.0).keyframe
    made_s = time.monotonic()
    keyframes = []
    number = 0
    while time.monotonic() < made_s + KEYFRAME_INTERVAL_S + 0.2:
        number += 1
        encoding.encoder.request_keyframe()
        if encoding.encode(number, 1.0 + number / 100).keyframe:
            keyframes.append(time.monotonic())
    assert len(keyframes) == 1
    assert keyframes[0] - made_s >= KEYFRAME_INTERVAL_S - 0.05


def test_after_a_flush_the_next_picture_is_a_key_frame_at_once(encoding: Encoding) -> None:
    encoding.encode(0, 1.0)
    assert not encoding.encode(1, 1.1).keyframe
    encoding.encoder.flush()
    assert encoding.encode(2, 1.2, epoch=1).keyframe


def test_two_codecs_share_a_picture() -> None:
    lock = threading.Lock()
    posted: queue.Queue[EncodedFrame] = queue.Queue()
    ended = threading.Semaphore(0)
    encoders = [
        EncoderThread(codec, (1280, 720), 30, 300_000, lock, lambda _, frame: posted.put(frame), ended.release)
        for codec in get_args(VideoCodec)
    ]
    for number in range(20):
        shared = Picture(picture(number), 1.0 + number)
        for encoder in encoders:
            encoder.put(0, shared)
        pair = [posted.get(timeout=5) for _ in encoders]
        assert {frame.timestamp for frame in pair} == {round((1.0 + number) * 90_000)}
        assert {frame.keyframe for frame in pair} == {number == 0}
    for encoder in encoders:
        encoder.stop()
        assert ended.acquire(timeout=5)


class Camera:
    """A camera that encodes: what VideoOut posts and asks of it."""

    def __init__(self) -> None:
        self.posted: list[tuple[VideoCodec, int, EncodedFrame]] = []
        self.requests = 0
        self.out = VideoOut(lambda *what: self.posted.append(what), self._request)
        self.out.units_wanted = True

    def _request(self) -> None:
        self.requests += 1


def test_access_units_pass_untouched() -> None:
    camera = Camera()
    camera.out.on_picture(AccessUnit(KEY, True, 2.0))
    camera.out.on_picture(AccessUnit(DELTA, False, 2.5))
    frames = [frame for codec, _, frame in camera.posted if codec == "h264"]
    assert [frame.keyframe for frame in frames] == [True, False]
    assert [frame.timestamp for frame in frames] == [180_000, 225_000]
    assert frames[1].payloads == (DELTA[3:],)
    assert camera.out.encodes_itself


def test_key_frames_are_asked_of_a_camera_that_encodes_at_most_every_interval() -> None:
    camera = Camera()
    for _ in range(5):
        camera.out.request_keyframe()
        camera.out.on_picture(AccessUnit(DELTA, False, 2.0))
    assert camera.requests == 1


def test_access_units_stop_at_the_gate_and_where_nobody_taps() -> None:
    camera = Camera()
    camera.out.gate = Gate(muted=True, epoch=1)
    camera.out.on_picture(AccessUnit(KEY, True, 2.0))
    camera.out.gate = Gate(muted=False, epoch=2, opened_s=3.0)
    camera.out.on_picture(AccessUnit(KEY, True, 2.9))
    camera.out.units_wanted = False
    camera.out.on_picture(AccessUnit(KEY, True, 3.1))
    assert camera.posted == []
