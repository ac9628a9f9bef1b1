"""The camera's way out: newest picture only, key frames, timestamps; cameras that encode themselves."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast, get_args

import av
import pytest

from appliance.media.frames import CodedFrame, Layer, VideoCodec
from appliance.media.gate import Gate
from appliance.media.ladder import Rung
from appliance.media.merge import KEYFRAME_INTERVAL_S
from appliance.media.pass_through import CameraCalls
from appliance.media.video_out import NEWEST_S, EncoderThread, PictureClock, PicturePace, VideoOut
from hw import AccessUnit, Picture
from tests.appliance.media.pictures import picture

KEY = b"\x00\x00\x01\x67a\x00\x00\x01\x68b\x00\x00\x01\x65c"
DELTA = b"\x00\x00\x01\x41d"


FULL = Rung(1280, 720, 30)


class Encoding:
    """An EncoderThread and what it posts."""

    def __init__(self, codec: VideoCodec = "vp8") -> None:
        self.posted: queue.Queue[tuple[int, CodedFrame]] = queue.Queue()
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.encoder = EncoderThread(
            "encode",
            codec,
            "high",
            FULL,
            300_000,
            self.lock,
            lambda epoch, frame: self.posted.put((epoch, frame)),
            self.ended.set,
        )

    def encode(self, number: int, captured_s: float, epoch: int = 0) -> CodedFrame:
        self.encoder.put(epoch, Picture(picture(number), captured_s))
        got, frame = self.posted.get(timeout=5)
        assert got == epoch
        return frame


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.001)


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


@pytest.mark.parametrize(("camera_fps", "fps", "taken"), [(30, 30, 300), (30, 15, 150), (25, 15, 125), (30.3, 30, 303)])
@pytest.mark.parametrize("jitter_s", [0.0, 0.004])
def test_a_layer_takes_its_rate_of_what_the_camera_delivers(
    camera_fps: float, fps: int, taken: int, jitter_s: float
) -> None:
    pace = PicturePace(fps)
    at_s = [number / camera_fps + jitter_s * (-1) ** (number // 3) for number in range(round(10 * camera_fps))]
    assert sum(map(pace.takes, at_s)) == pytest.approx(taken, rel=0.12)
    assert pace.takes(-100.0)  # a clock that jumped back
    assert not pace.takes(-99.99)
    assert pace.takes(-99.0)


def test_a_picture_that_waits_gives_way_to_a_newer_one(encoding: Encoding) -> None:
    encoding.encode(0, 1.0)
    with encoding.lock:  # the encoder cannot begin
        encoding.encoder.put(0, Picture(picture(1), 2.0))
        wait_until(lambda: encoding.encoder._waiting is None)
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
        if encoding.encode(number, 1.0 + number / 25).keyframe:
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
    posted: queue.Queue[CodedFrame] = queue.Queue()
    ended = threading.Semaphore(0)
    encoders = [
        EncoderThread("encode", codec, "high", FULL, 300_000, lock, lambda _, frame: posted.put(frame), ended.release)
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


def test_an_encoder_survives_pictures_that_cannot_be_encoded(
    encoding: Encoding, caplog: pytest.LogCaptureFixture
) -> None:
    encoding.encode(0, 1.0)
    for garbage in (None, object(), picture(0).planes[0]):
        bad: Any = Picture(cast(Any, garbage), 1.5)
        encoding.encoder.put(0, bad)
        wait_until(lambda: encoding.encoder._waiting is None)
    assert encoding.encode(1, 2.0).keyframe  # of a new encoder
    assert caplog.text.count("cannot be encoded") == 1


class Camera:
    """A camera that encodes: what VideoOut posts and asks of it."""

    def __init__(self) -> None:
        self.posted: list[tuple[int, CodedFrame]] = []
        self.requests = 0
        self.bitrates_bps: list[int] = []
        calls = CameraCalls(self._request, self.bitrates_bps.append)
        self.out = VideoOut(lambda *what: self.posted.append(what), 1_500_000, calls)
        self.out.units_wanted = True
        self.deliver = self.out.new_camera()

    def _request(self) -> None:
        self.requests += 1

    @property
    def sent_s(self) -> list[float]:
        return [frame.captured_s for _, frame in self.posted]


def test_access_units_pass_untouched() -> None:
    camera = Camera()
    camera.deliver(AccessUnit(KEY, True, 2.0))
    camera.deliver(AccessUnit(DELTA, False, 2.5))
    frames = [frame for _, frame in camera.posted]
    assert [frame.keyframe for frame in frames] == [True, False]
    assert [frame.timestamp for frame in frames] == [180_000, 225_000]
    assert [frame.data for frame in frames] == [KEY, DELTA]
    assert camera.out.encodes_itself


def test_a_camera_that_does_not_begin_with_a_key_frame_is_asked_for_one() -> None:
    camera = Camera()
    camera.deliver(AccessUnit(DELTA, False, 2.0))
    camera.deliver(AccessUnit(DELTA, False, 2.1))
    assert (camera.requests, camera.posted) == (1, [])


def test_key_frames_are_asked_of_a_camera_at_most_every_interval_and_until_one_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    camera, now_s = Camera(), 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    camera.deliver(AccessUnit(KEY, True, now_s))
    asked_s = []
    for number in range(1, 61):
        now_s = 100.0 + number / 30
        for _ in range(5):
            camera.out.request_keyframe()
        before = camera.requests
        camera.deliver(AccessUnit(DELTA, False, now_s))
        if camera.requests > before:
            asked_s.append(now_s)
    assert asked_s == pytest.approx([100.5, 101.0, 101.5, 102.0])
    camera.deliver(AccessUnit(KEY, True, now_s))
    for number in range(1, 31):
        now_s = 102.0 + number / 30
        camera.deliver(AccessUnit(DELTA, False, now_s))
    assert camera.requests == 4


def test_a_camera_that_does_not_listen_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    camera, now_s = Camera(), 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    camera.deliver(AccessUnit(KEY, True, now_s))
    camera.out.request_keyframe()
    for number in range(1, 50):
        now_s = 100.0 + number / 30
        camera.deliver(AccessUnit(DELTA, False, now_s))
    assert camera.requests == 3


def test_the_bit_rate_reaches_the_camera_and_each_one_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    camera, now_s = Camera(), 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    told = []
    for number in range(1, 151):  # five seconds, an estimate that swings and falls
        now_s = 100.0 + number / 30
        camera.out.want_bitrate(1_500_000 + number % 7 * 10_000 if number < 100 else 400_000)
        camera.deliver(AccessUnit(KEY, True, now_s))
        told = camera.bitrates_bps
    assert told == [1_510_000, 400_000]
    camera.deliver = camera.out.new_camera()
    camera.deliver(AccessUnit(KEY, True, now_s))
    assert told == [1_510_000, 400_000, 400_000]


def test_access_units_stop_at_the_gate_and_where_nobody_taps() -> None:
    camera = Camera()
    camera.out.gate = Gate(muted=True, epoch=1)
    camera.deliver(AccessUnit(KEY, True, 2.0))
    camera.out.gate = Gate(muted=False, epoch=2, opened_s=3.0)
    camera.deliver(AccessUnit(KEY, True, 2.9))
    camera.out.units_wanted = False
    camera.deliver(AccessUnit(KEY, True, 3.1))
    assert camera.posted == []


def test_after_the_gate_opens_the_first_unit_is_a_key_frame_asked_for_at_once() -> None:
    camera = Camera()
    camera.deliver(AccessUnit(KEY, True, 1.0))
    camera.deliver(AccessUnit(DELTA, False, 1.1))
    camera.out.gate = Gate(muted=True, epoch=1)
    camera.deliver(AccessUnit(DELTA, False, 1.2))
    camera.out.gate = Gate(muted=False, epoch=2, opened_s=1.3)
    camera.deliver(AccessUnit(KEY, True, 1.25))  # of the time when the gate was shut
    camera.deliver(AccessUnit(DELTA, False, 1.4))
    camera.deliver(AccessUnit(DELTA, False, 1.5))
    assert (camera.sent_s, camera.requests) == ([1.0, 1.1], 1)
    camera.deliver(AccessUnit(KEY, True, 1.6))
    camera.deliver(AccessUnit(DELTA, False, 1.7))
    assert camera.sent_s == [1.0, 1.1, 1.6, 1.7]
    assert camera.requests == 1


GARBAGE = [
    AccessUnit(b"", False, 2.0),
    AccessUnit(b"garbage", False, 2.0),
    AccessUnit(KEY[:12], True, 2.0),  # truncated: parameter sets, no picture
    AccessUnit(b"\x00\x00\x01\x65", True, 2.0),
    AccessUnit(b"\x00\x00\x01\x65abc", True, 2.0),  # a key frame that nobody can decode
    AccessUnit(b"\x00\x00\x01\xc1abc", False, 2.0),
    AccessUnit(DELTA, False, float("nan")),
    AccessUnit(DELTA, False, 1e12),
    AccessUnit(cast(Any, None), False, 2.0),
    cast(Any, None),
    cast(Any, [1, 2]),
    Picture(cast(Any, None), 2.0),
    Picture(av.VideoFrame(8, 8, "yuv420p"), 2.0),
]


def test_garbage_is_refused_and_counted_and_what_follows_waits_for_a_key_frame() -> None:
    camera = Camera()
    camera.deliver(AccessUnit(KEY, True, 1.0))
    for number, garbage in enumerate(GARBAGE, 1):
        camera.deliver(garbage)
        assert camera.out.refused == number
    camera.deliver(AccessUnit(DELTA, False, 2.1))  # refers to what was refused
    assert camera.sent_s == [1.0]
    camera.deliver(AccessUnit(KEY, False, 2.2))
    camera.deliver(AccessUnit(DELTA, True, 2.3))
    assert camera.sent_s == [1.0, 2.2, 2.3]
    assert [frame.keyframe for _, frame in camera.posted] == [True, True, False]  # as is, not as said


def test_what_an_old_camera_still_delivers_goes_nowhere() -> None:
    camera = Camera()
    old = camera.deliver
    new = camera.out.new_camera()
    old(AccessUnit(KEY, True, 1.0))
    assert not camera.out.encodes_itself
    new(AccessUnit(KEY, True, 1.1))
    assert camera.sent_s == [1.1]


class Listed:
    """An encoder that lists what it is offered."""

    def __init__(self, put: list[str], codec: VideoCodec, layer: Layer = "high") -> None:
        self.codec, self.layer = codec, layer
        self._put = put

    def put(self, _epoch: int, _picture: Picture) -> None:
        self._put.append(f"{self.codec}-{self.layer}")


@pytest.mark.parametrize(
    ("age_s", "opened_s_ago", "expected"),
    [(0.03, 1.0, ["h264-high"]), (NEWEST_S, 1.0, []), (0.03, 0.01, [])],
    ids=["new", "old", "muted since"],
)
def test_an_encoder_begins_with_the_newest_picture(age_s: float, opened_s_ago: float, expected: list[str]) -> None:
    camera = Camera()
    put: list[str] = []
    now_s = time.monotonic()
    camera.deliver(Picture(picture(0), now_s - age_s))
    camera.out.gate = Gate(opened_s=now_s - opened_s_ago)
    camera.out.begin(cast(Any, Listed(put, "h264")))
    assert put == expected


def test_raw_pictures_of_a_camera_that_encodes_go_to_the_other_encoders_only() -> None:
    camera = Camera()
    put: list[str] = []
    camera.out.encoders = cast(Any, (Listed(put, "h264"), Listed(put, "vp8"), Listed(put, "h264", "low")))
    camera.deliver(AccessUnit(KEY, True, 1.0))
    camera.deliver(Picture(picture(0), 1.0))
    assert put == ["vp8-high", "h264-low"]
    put.clear()
    camera.out.new_camera()(Picture(picture(0), 1.1))
    assert put == ["h264-high", "vp8-high", "h264-low"]
