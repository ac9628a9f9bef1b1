from __future__ import annotations

import threading
import time
from fractions import Fraction

import av
import numpy as np
import pytest

from appliance.doctor.camera import check_camera, decode, fps, judge
from hw import AccessUnit, HardwareError, OnLost, Picture, PictureSink
from hw.mock import AbsentCamera, MockCamera
from hw.synthetic import SyntheticCamera

LOOK_S = 0.2


def frame_of(level: float, spread: float = 0.0) -> av.VideoFrame:
    """320x180; every pixel has the luma `level`, give or take `spread`."""
    luma = np.clip(np.random.default_rng(1).normal(level, spread, (180, 320)), 0, 255).astype(np.uint8)
    chroma = np.full((90, 320), 128, np.uint8)
    return av.VideoFrame.from_ndarray(np.concatenate([luma, chroma]), format="yuv420p")


def test_a_camera_that_works_is_closed_again() -> None:
    threads = threading.active_count()
    finding = check_camera(MockCamera(SyntheticCamera(320, 180, 30)), look_s=LOOK_S)
    assert finding.status == "ok", finding
    assert (finding.facts["width"], finding.facts["height"]) == (320, 180)
    rate = finding.facts["fps"]
    assert isinstance(rate, float)
    assert 15 < rate < 45
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    ("frame", "status", "words", "remedy"),
    [
        (frame_of(16, 2), "warning", "black", "lens cap"),
        (frame_of(254, 1), "warning", "white", "away from the light"),
        (frame_of(120), "warning", "gray", "before the lens"),
        (frame_of(120, 30), "ok", "brightness 47 %", ""),
        (frame_of(40, 30), "ok", "", ""),  # a dark room is no lens cap
    ],
)
def test_what_is_seen(frame: av.VideoFrame, status: str, words: str, remedy: str) -> None:
    finding = judge(MockCamera(SyntheticCamera(320, 180, 30)), frame, 30.0, "raw")
    assert (finding.status, words in finding.message, remedy in finding.remedy) == (status, True, True), finding


def test_slow_camera() -> None:
    finding = judge(MockCamera(SyntheticCamera(320, 180, 30)), frame_of(120, 30), 7.0, "raw")
    assert (finding.status, "slow" in finding.message) == ("warning", True)


def test_absent_camera() -> None:
    finding = check_camera(AbsentCamera("no camera on this board"))
    assert (finding.status, finding.message) == ("failed", "no camera on this board")
    assert "[video] driver" in finding.remedy


def test_camera_that_opens_and_shows_nothing() -> None:
    camera = MockCamera(SyntheticCamera(320, 180, 30))
    camera.stalled = True
    finding = check_camera(camera, timeout_s=0.1)
    assert "delivers nothing within 0.1 s" in finding.message


def test_camera_that_is_unplugged_meanwhile() -> None:
    camera = MockCamera(SyntheticCamera(320, 180, 30))
    threading.Timer(0.1, camera.unplug).start()
    finding = check_camera(camera, look_s=0.4)
    assert (finding.status, "unplugged" in finding.message) == ("failed", True)


class EncodingCamera:
    """Delivers the units it is given, at 30 a second, again and again; raw pictures beside when `raw`."""

    device_id = "encoder"
    width, height, fps = 320, 180, 30

    def __init__(self, units: list[AccessUnit], *, raw: bool = False) -> None:
        self._units, self._raw = units, raw
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        def run() -> None:
            while True:
                for unit in self._units:
                    sink(unit)
                    if self._raw:
                        sink(Picture(frame_of(16), time.monotonic()))
                    if self._stop.wait(1 / self.fps):
                        return

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def request_keyframe(self) -> None: ...

    def set_bitrate(self, bps: int) -> None: ...

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()


def encode(frames: list[av.VideoFrame]) -> list[AccessUnit]:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 320, 180, "yuv420p", Fraction(1, 30)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    packets = [packet for frame in frames for packet in encoder.encode(frame)] + encoder.encode(None)
    return [AccessUnit(bytes(packet), packet.is_keyframe, 0.0) for packet in packets]


@pytest.mark.parametrize("raw", [False, True])
def test_a_camera_that_encodes(raw: bool) -> None:
    finding = check_camera(EncodingCamera(encode([frame_of(120, 30)] * 3), raw=raw), look_s=LOOK_S)
    assert finding.status == "ok", finding
    assert finding.facts["encoding"] == "H.264"
    assert finding.facts["brightness_percent"] == 47


def test_a_camera_that_encodes_and_gives_no_key_frame() -> None:
    units = encode([frame_of(120, 30)] * 3)[1:]
    assert check_camera(EncodingCamera(units), look_s=LOOK_S).status == "failed"
    garbage = [AccessUnit(b"\0\0\0\1garbage", True, 0.0)]
    assert check_camera(EncodingCamera(garbage), look_s=LOOK_S).status == "failed"
    assert decode([]) is None


def test_rate() -> None:
    assert fps([]) == fps([1.0]) == fps([1.0, 1.0]) == 0.0
    assert fps([0.0, 0.1, 0.2]) == pytest.approx(10.0)


def test_error_at_opening_is_a_hardware_error() -> None:
    class Broken(AbsentCamera):
        def start(self, sink: PictureSink, on_lost: OnLost) -> None:
            on_lost(HardwareError("lost at once"))

    assert check_camera(Broken()).message == "lost at once"
