"""The configured devices, by the name of their driver: the only file that names concrete ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.config import Config
from appliance.devices import Drivers
from appliance.errors import ConfigError
from hw.files import FileCamera, FileMicrophone
from hw.mock import MockButtons, MockCamera, MockLeds, MockMicrophone, MockSpeaker
from hw.synthetic import SyntheticCamera, SyntheticMicrophone
from hw.v4l2 import V4l2Camera


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a configuration names. `leds` and `buttons` are None without a front panel."""

    drivers: Drivers
    leds: MockLeds | None = None
    buttons: MockButtons | None = None
    speaker: MockSpeaker | None = None


def hardware(config: Config) -> Hardware:
    """Makes what `config` names, and opens nothing. Raises `ConfigError` for a driver that this version lacks."""
    camera, microphone, speaker = _camera(config), _microphone(config), _speaker(config)
    drivers = Drivers(
        microphone=None if microphone is None else lambda: microphone,
        camera=None if camera is None else lambda: camera,
        speaker=None if speaker is None else lambda: speaker,
    )
    if config.panel.port:
        raise _lacking("panel.port", config.panel.port, "empty")
    match config.gpio.driver:
        case "mock":
            return Hardware(drivers, MockLeds(), MockButtons(), speaker)
        case "none":
            return Hardware(drivers, speaker=speaker)
    raise _lacking("gpio.driver", config.gpio.driver, '"mock" or "none"')


def _camera(config: Config) -> FileCamera | MockCamera | V4l2Camera | None:
    video = config.video
    match video.driver:
        case "mock":
            return MockCamera(SyntheticCamera(video.width, video.height, video.fps, name=config.device.name))
        case "file":
            _check_exists("video.camera_file", video.camera_file)
            return FileCamera(video.camera_file, video.width, video.height, video.fps)
        case "v4l2":
            return V4l2Camera(video.device, video.width, video.height, video.fps)
        case "none":
            return None
    raise _lacking("video.driver", video.driver, '"v4l2", "file", "mock" or "none"')


def _microphone(config: Config) -> FileMicrophone | MockMicrophone | None:
    audio = config.audio
    match audio.driver:
        case "mock":
            return MockMicrophone(SyntheticMicrophone())
        case "file":
            _check_exists("audio.microphone_file", audio.microphone_file)
            return FileMicrophone(audio.microphone_file)
        case "none":
            return None
    raise _lacking("audio.driver", audio.driver, '"file", "mock" or "none"')


def _speaker(config: Config) -> MockSpeaker | None:
    return None if config.audio.driver == "none" else MockSpeaker()


def _check_exists(key: str, file: str) -> None:
    if not Path(file).exists():
        raise ConfigError(f'{key} = "{file}"; there is no such file')


def _lacking(key: str, value: str, allowed: str) -> ConfigError:
    return ConfigError(f'{key} = "{value}"; this version does not have it yet; allowed is {allowed}')
