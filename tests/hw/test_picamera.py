"""The Pi's camera: what is made of picamera2's frames and of its encoder's buffers, and what is asked of both."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from pathlib import Path

import av
import pytest

from hw import AccessUnit, Camera, HardwareError, Picture, RawPictures
from hw.annexb import NAL_PPS, NAL_SPS, kind, parse_access_unit
from hw.frame_code import read_code
from hw.picamera import ENCODER_CARD, PiCamera, cameras, has_encoder, is_installed
from hw.picamera_run import KEYFRAME_PERIOD_S, START_BITRATE_BPS
from hw.v4l2_ioctl import CID_BITRATE, CID_FORCE_KEY_FRAME, Node
from tests.hw.collect import Collector, lost_is_an_error, luma_of, no_new_threads
from tests.hw.pi_camera import PORT_ID, Pi
from tests.hw.v4l2_device import Device

SIZE = (320, 192, 60)


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch) -> Pi:
    return Pi(monkeypatch)


def without_encoder(*, upside_down: bool = False, mirror: bool = False) -> PiCamera:
    return PiCamera("", *SIZE, upside_down=upside_down, mirror=mirror, find_encoder=lambda: False)


def with_encoder() -> PiCamera:
    return PiCamera("", *SIZE, find_encoder=lambda: True)


def take(camera: PiCamera, count: int) -> list[Picture | AccessUnit]:
    got: Collector[Picture | AccessUnit] = Collector()
    with no_new_threads():
        camera.start(got, lost_is_an_error)
        items = got.wait(count)
        camera.close()
    return items


def test_a_pi_without_encoder_delivers_pictures(pi: Pi) -> None:
    camera = without_encoder()
    assert isinstance(camera, Camera)
    assert isinstance(camera, RawPictures)
    before_s = time.monotonic()
    items = take(camera, 4)
    assert [read_code(luma_of(item)) for item in items] == [0, 1, 2, 3]
    times_s = [item.captured_s for item in items]
    assert before_s - 0.02 < times_s[0]
    assert times_s == sorted(times_s)
    assert times_s[-1] < time.monotonic()
    assert camera.device_id == PORT_ID
    assert pi.opened.number == 1
    assert pi.opened.closed
    assert pi.opened.configuration["controls"] == {"FrameDurationLimits": (16666, 16666), "AfMode": 2}


def test_padded_rows_and_another_size_than_asked_for(pi: Pi) -> None:
    pi.picamera2.granted = ((400, 240), 448)
    [item, *_] = take(without_encoder(), 1)
    assert isinstance(item, Picture)
    assert (item.frame.width, item.frame.height) == (320, 192)
    assert read_code(luma_of(item)) == 0


@pytest.mark.parametrize(
    ("upside_down", "mirror", "flips"),
    [
        (False, False, {"hflip": False, "vflip": False}),
        (True, False, {"hflip": True, "vflip": True}),
        (False, True, {"hflip": True, "vflip": False}),
        (True, True, {"hflip": False, "vflip": True}),
    ],
)
def test_the_sensor_turns_and_mirrors(pi: Pi, upside_down: bool, mirror: bool, flips: dict[str, bool]) -> None:
    take(without_encoder(upside_down=upside_down, mirror=mirror), 1)
    assert pi.opened.configuration["transform"] == flips


def test_the_encoders_units_with_the_sensors_times(pi: Pi) -> None:
    camera = with_encoder()
    before_s = time.monotonic()
    items = take(camera, 5)
    assert all(isinstance(item, AccessUnit) for item in items)
    units = [item for item in items if isinstance(item, AccessUnit)]
    assert [unit.keyframe for unit in units] == [True, False, False, False, False]
    assert {NAL_SPS, NAL_PPS} <= {kind(nal) for nal in parse_access_unit(units[0].data)}
    times_s = [unit.captured_s for unit in units]
    assert times_s == sorted(set(times_s))
    assert before_s - 0.02 < times_s[0] < times_s[-1] < time.monotonic()
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    assert read_code(luma_of(frames[0])) == 0
    [encoder] = pi.encoder.made
    assert encoder.settings == (START_BITRATE_BPS, True, KEYFRAME_PERIOD_S * 60, 60, "baseline")


def test_key_frames_and_bit_rate_are_set_in_picamera2s_thread(pi: Pi) -> None:
    camera = with_encoder()
    got: Collector[Picture | AccessUnit] = Collector()
    camera.start(got, lost_is_an_error)
    got.wait(2)
    camera.request_keyframe()
    camera.set_bitrate(400_000)
    got.wait(len(got.items) + 3)
    camera.close()
    assert sorted(pi.controls) == [(CID_BITRATE, 400_000), (CID_FORCE_KEY_FRAME, 1)]
    camera.request_keyframe()
    camera.set_bitrate(1)


def test_controls_that_are_refused_cost_nothing_and_are_told_once(
    pi: Pi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refused: Collector[int] = Collector()

    def refuse(_fd: int, cid: int, _value: int) -> None:
        refused(cid)
        raise OSError("Invalid argument")

    monkeypatch.setattr("hw.picamera_run.set_control", refuse)
    camera = with_encoder()
    camera.start(got := Collector[Picture | AccessUnit](), lost_is_an_error)
    for count in (1, 2):
        camera.request_keyframe()
        refused.wait(count)
    got.wait(4)
    camera.close()
    assert [record.levelname for record in caplog.records if "does not take" in record.message] == ["WARNING"]


def test_raw_pictures_beside_the_units_while_they_are_wanted(pi: Pi) -> None:
    camera = with_encoder()
    camera.want_pictures(True)
    items = take(camera, 5)
    assert isinstance(items[0], AccessUnit)
    assert [type(item) for item in items[1:]] == [Picture, AccessUnit] * 2
    camera.want_pictures(False)
    assert {type(item) for item in take(camera, 4)} == {AccessUnit}


def test_an_encoder_that_does_not_start_leaves_the_work_to_this_unit(pi: Pi, caplog: pytest.LogCaptureFixture) -> None:
    pi.encoder.fails = True
    assert {type(item) for item in take(with_encoder(), 2)} == {Picture}
    assert "encoding in software: No such process" in caplog.text


def test_an_encoder_that_gives_nothing_is_not_taken_again(pi: Pi, caplog: pytest.LogCaptureFixture) -> None:
    pi.encoder.silent = True
    camera = with_encoder()
    camera.start(lambda _: None, lost_is_an_error)
    running = camera._running
    assert running is not None
    deadline_s = time.monotonic() + 10
    while running.frames < 30 and time.monotonic() < deadline_s:
        threading.Event().wait(0.01)
    camera.close()  # as a stalled camera is
    assert "gave nothing" in caplog.text
    assert {type(item) for item in take(camera, 2)} == {Picture}


def test_encoder_software_leaves_the_hardware_alone(pi: Pi) -> None:
    camera = PiCamera("", *SIZE, encoder="software", find_encoder=lambda: True)
    assert {type(item) for item in take(camera, 2)} == {Picture}
    assert pi.encoder.made == []


def test_a_machine_without_the_encoder_that_was_asked_for_says_so(pi: Pi, caplog: pytest.LogCaptureFixture) -> None:
    take(PiCamera("", *SIZE, encoder="hardware", find_encoder=lambda: False), 1)
    assert "no H.264 encoder" in caplog.text


def test_cameras_that_are_not_there(pi: Pi) -> None:
    with pytest.raises(HardwareError, match=r"camera ov5647 is not there; libcamera finds .*imx708"):
        PiCamera("ov5647").start(lambda _: None, lost_is_an_error)
    assert cameras() == [PORT_ID]
    pi.picamera2.found = pi.picamera2.found[:1]  # USB cameras are V4L2's
    with pytest.raises(HardwareError, match=r"libcamera finds no camera: .* ribbon cable"):
        without_encoder().start(lambda _: None, lost_is_an_error)
    assert cameras() == []


def test_a_camera_that_is_busy(pi: Pi) -> None:
    pi.picamera2.busy = True
    with no_new_threads(), pytest.raises(HardwareError, match=r"Device busy; does another program use it"):
        without_encoder().start(lambda _: None, lost_is_an_error)
    pi.picamera2.busy = False
    take(without_encoder(), 1)


def test_a_format_that_is_not_known(pi: Pi) -> None:
    pi.picamera2.format = "MJPEG"
    with no_new_threads(), pytest.raises(HardwareError, match=r"delivers MJPEG, which is not known here$"):
        without_encoder().start(lambda _: None, lost_is_an_error)


def test_without_picamera2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(HardwareError, match="apt install python3-picamera2"):
        without_encoder().start(lambda _: None, lost_is_an_error)
    with pytest.raises(HardwareError, match="picamera2 does not load"):
        cameras()


def test_whether_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not is_installed()


def test_a_frame_that_is_none_loses_the_camera_once(pi: Pi) -> None:
    camera = without_encoder()
    got: Collector[Picture | AccessUnit] = Collector()
    lost: Collector[HardwareError] = Collector()
    with no_new_threads():
        camera.start(got, lost)
        got.wait(1)
        pi.opened.configuration["main"] = {"size": (160, 160), "stride": 160, "format": "YUV420"}
        [error] = lost.wait(1)
        camera.close()
    assert "bytes are less than" in str(error)
    assert len(lost.items) == 1


def test_libcamera_that_hangs_holds_up_the_closing_for_a_second_at_most(pi: Pi) -> None:
    camera = without_encoder()
    camera.start(lambda _: None, lost_is_an_error)
    hung = pi.picamera2.hangs = threading.Event()
    started_s = time.monotonic()
    camera.close()
    assert time.monotonic() - started_s < 1.2
    with pytest.raises(HardwareError, match="still holds it"):
        camera.start(lambda _: None, lost_is_an_error)
    hung.set()
    assert camera._closing is not None
    camera._closing.join(5)
    take(camera, 1)


def test_the_encoder_of_a_pi_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "video11"
    assert not has_encoder(str(path))
    path.touch()
    assert has_encoder(str(path), open_node=lambda path: Node(path, ioctl=Device(card=ENCODER_CARD).ioctl))
    assert not has_encoder(str(path), open_node=lambda path: Node(path, ioctl=Device(card="A webcam").ioctl))
    assert not has_encoder("/dev/null")
