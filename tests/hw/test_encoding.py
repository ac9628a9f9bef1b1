"""The camera that encodes: what it delivers has the shape of a Pi's stream, and it does what it is asked."""

from __future__ import annotations

import threading

import av
import numpy as np
import pytest

from hw import AccessUnit, Camera, HardwareError, Picture, RawPictures
from hw.annexb import NAL_IDR, NAL_PPS, NAL_SEI, NAL_SLICE, NAL_SPS, kind, parse_access_unit
from hw.encoding import MIN_BITRATE_BPS, EncodingCamera
from hw.frame_code import draw_code, read_code
from hw.mock import AbsentCamera, MockCamera
from hw.synthetic import SyntheticCamera
from tests.hw.collect import Collector, lost_is_an_error, luma_of, no_new_threads

WIDTH, HEIGHT, FPS = 320, 192, 30


class HandCamera(AbsentCamera):
    """Noise that costs bits, on the test's own thread."""

    width, height, fps = WIDTH, HEIGHT, FPS

    def __init__(self) -> None:
        super().__init__()
        self._random = np.random.default_rng(1)
        self.number = 0

    def start(self, sink: object, on_lost: object) -> None:
        self.sink = sink

    def show(self, count: int = 1) -> None:
        for _ in range(count):
            planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
            planes[:HEIGHT] = self._random.integers(64, 192, (HEIGHT, WIDTH), np.uint8)
            draw_code(planes[:HEIGHT], self.number)
            assert callable(self.sink)
            self.sink(Picture(av.VideoFrame.from_ndarray(planes, "yuv420p"), self.number / FPS))
            self.number += 1


class Encoded:
    def __init__(self) -> None:
        self.source = HandCamera()
        self.camera = EncodingCamera(self.source)
        self.got: list[Picture | AccessUnit] = []
        self.camera.start(self.got.append, lost_is_an_error)

    def take(self, count: int) -> list[AccessUnit]:
        self.got.clear()
        self.source.show(count)
        return [item for item in self.got if isinstance(item, AccessUnit)]


def test_baseline_one_slice_parameter_sets_before_each_key_frame() -> None:
    encoded = Encoded()
    units = encoded.take(20)
    encoded.camera.request_keyframe()
    units += encoded.take(10)
    assert [unit.keyframe for unit in units] == [True, *[False] * 19, True, *[False] * 9]
    assert [unit.captured_s for unit in units] == [number / FPS for number in range(30)]
    for unit in units:
        nals = parse_access_unit(unit.data)
        kinds = [kind(nal) for nal in nals if kind(nal) != NAL_SEI]
        assert kinds == ([NAL_SPS, NAL_PPS, NAL_IDR] if unit.keyframe else [NAL_SLICE])
        assert all(nal[1] == 66 for nal in nals if kind(nal) == NAL_SPS)  # profile_idc
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    assert [read_code(luma_of(frame)) for frame in frames] == list(range(len(frames)))
    assert len(frames) >= 28


def test_the_bit_rate_follows_while_it_runs() -> None:
    encoded = Encoded()
    rates = {}
    for bps in (2_000_000, 300_000, 1_000_000):
        encoded.camera.set_bitrate(bps)
        encoded.take(30)
        rates[bps] = sum(len(unit.data) * 8 for unit in encoded.take(60)) / 2
    for bps, got_bps in rates.items():
        assert 0.6 * bps < got_bps < 1.4 * bps, rates
    encoded.camera.set_bitrate(1)
    assert encoded.camera.bitrate_bps == MIN_BITRATE_BPS


def test_raw_pictures_while_they_are_wanted() -> None:
    encoded = Encoded()
    encoded.take(2)
    assert len(encoded.got) == 2
    encoded.camera.want_pictures(True)
    encoded.take(2)
    assert [type(item) for item in encoded.got] == [AccessUnit, Picture] * 2
    encoded.camera.want_pictures(False)
    encoded.take(2)
    assert len(encoded.got) == 2


def test_over_a_real_camera_and_its_plug() -> None:
    source = MockCamera(SyntheticCamera(320, 192, 30))
    camera = EncodingCamera(source)
    assert isinstance(camera, Camera)
    assert isinstance(camera, RawPictures)
    units: Collector[Picture | AccessUnit] = Collector()
    lost = threading.Event()
    with no_new_threads():
        camera.start(units, lambda _: lost.set())
        units.wait(5)
        source.unplug()
        assert lost.wait(5)
        with pytest.raises(HardwareError):
            camera.start(units, lost_is_an_error)
        camera.close()
