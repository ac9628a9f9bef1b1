"""The camera that is there."""

from __future__ import annotations

import pytest

from hw import AccessUnit, Camera, HardwareError, Picture, RawPictures
from hw.camera_auto import AutoCamera
from hw.encoding import EncodingCamera
from hw.mock import AbsentCamera, MockCamera
from hw.synthetic import SyntheticCamera
from tests.hw.collect import Collector, lost_is_an_error, no_new_threads


def test_the_first_that_starts_at_each_opening() -> None:
    port = MockCamera(EncodingCamera(SyntheticCamera(320, 192, 60)), device_id="port")
    usb = MockCamera(SyntheticCamera(320, 192, 60), device_id="usb")
    auto = AutoCamera([port, usb])
    assert isinstance(auto, Camera)
    assert isinstance(auto, RawPictures)
    assert (auto.width, auto.height, auto.fps, auto.device_id) == (320, 192, 60, "auto")
    port.unplug()
    with no_new_threads():
        pictures: Collector[Picture | AccessUnit] = Collector()
        auto.start(pictures, lost_is_an_error)
        assert isinstance(pictures.wait(1)[0], Picture)
        assert auto.device_id == "usb"
        auto.want_pictures(True)
        port.plug_in()
        units: Collector[Picture | AccessUnit] = Collector()
        auto.start(units, lost_is_an_error)
        assert [type(item) for item in units.wait(2)[:2]] == [AccessUnit, Picture]
        assert auto.device_id == "port"
        auto.request_keyframe()
        auto.set_bitrate(400_000)
        assert (port.keyframe_requests, port.bitrates_bps, usb.keyframe_requests) == (1, [400_000], 0)
        auto.close()
        auto.close()
    auto.request_keyframe()
    assert port.keyframe_requests == 1


def test_where_there_is_none_it_says_why_of_each() -> None:
    auto = AutoCamera([AbsentCamera("nothing on the port"), AbsentCamera("nothing on USB")])
    with pytest.raises(HardwareError, match="no camera: nothing on the port; or nothing on USB"):
        auto.start(lambda _: None, lost_is_an_error)
