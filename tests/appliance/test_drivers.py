"""Which devices a configuration makes; none is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance import drivers
from appliance.config import parse
from appliance.errors import ConfigError
from hw.alsa_duplex import AlsaMicrophone, AlsaSpeaker
from hw.camera_auto import AutoCamera
from hw.encoding import EncodingCamera
from hw.files import FileCamera
from hw.mock import MockCamera
from hw.picamera import PiCamera
from hw.turned import TurnedCamera
from hw.v4l2 import V4l2Camera

REST = '[video]\ndriver = "none"\n[gpio]\ndriver = "none"\n'


def sound(text: str) -> tuple[object, object]:
    made = drivers.hardware(parse(f"[audio]\n{text}\n{REST}", "t")).drivers
    return made.microphone and made.microphone(), made.speaker and made.speaker()


def names(text: str) -> tuple[str, str]:
    microphone, speaker = sound(text)
    assert isinstance(microphone, AlsaMicrophone)
    assert isinstance(speaker, AlsaSpeaker)
    return microphone.device_id, speaker.device_id


def test_alsa() -> None:
    assert names('driver = "alsa"') == ("default", "default")
    assert names('driver = "alsa"\ndevice = "usb"') == ("usb", "usb")
    assert names('driver = "alsa"\ndevice = "usb"\nspeaker = "plughw:0"') == ("usb", "plughw:0")


def test_auto_where_alsa_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "alsa_is_installed", lambda: True)
    assert names('driver = "auto"') == ("auto", "auto")
    assert names('driver = "auto"\ndevice = "plughw:1"') == ("plughw:1", "plughw:1")


def test_auto_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "alsa_is_installed", lambda: False)
    assert sound('driver = "auto"') == (None, None)


def camera(text: str) -> Any:
    made = drivers.hardware(parse(f'[audio]\ndriver = "none"\n[gpio]\ndriver = "none"\n[video]\n{text}\n', "t"))
    return made.drivers.camera and made.drivers.camera()


def test_cameras_by_name() -> None:
    assert isinstance(camera('driver = "picamera2"'), PiCamera)
    assert isinstance(camera('driver = "v4l2"'), V4l2Camera)
    assert camera('driver = "v4l2"\ndevice = "/dev/video7"').device_id == "/dev/video7"
    assert isinstance(camera('driver = "mock"'), MockCamera)
    assert camera('driver = "none"') is None


def test_auto_takes_picamera2_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "picamera2_is_installed", lambda: True)
    made = camera("")
    assert isinstance(made, AutoCamera)
    assert [type(each) for each in made._candidates] == [PiCamera, V4l2Camera]
    assert isinstance(camera('device = "/dev/video7"'), V4l2Camera)
    monkeypatch.setattr(drivers, "picamera2_is_installed", lambda: False)
    assert [type(each) for each in camera("")._candidates] == [V4l2Camera]


@pytest.mark.parametrize("rotation", [90, 270])
def test_a_camera_on_its_side_is_turned_in_software(rotation: int) -> None:
    for driver in ("mock", "picamera2", "v4l2", "auto"):
        text = f'driver = "{driver}"\nrotation = {rotation}\nwidth = 640\nheight = 360'
        made = camera(text)
        assert (made.width, made.height) == (360, 640)
        assert parse(f"[video]\n{text}", "t").video.picture_size == (360, 640)


def test_a_camera_upside_down_is_turned_by_the_sensor_where_there_is_one() -> None:
    assert isinstance(camera('driver = "picamera2"\nrotation = 180\nmirror = true'), PiCamera)
    assert isinstance(camera('driver = "v4l2"\nrotation = 180'), TurnedCamera)
    assert isinstance(camera('driver = "v4l2"\nmirror = true'), TurnedCamera)


def test_mock_and_file_cameras_play_one_that_encodes(tmp_path: Path) -> None:
    film = tmp_path / "film"
    film.touch()
    assert isinstance(camera(f'driver = "file"\ncamera_file = "{film}"\nencoder = "hardware"'), EncodingCamera)
    assert isinstance(camera('driver = "mock"\nencoder = "hardware"')._source, EncodingCamera)
    assert isinstance(camera(f'driver = "file"\ncamera_file = "{film}"'), FileCamera)


def test_a_wrong_rotation_is_refused() -> None:
    with pytest.raises(ConfigError, match="a multiple of 90 from 0 to 270"):
        camera("rotation = 45")
