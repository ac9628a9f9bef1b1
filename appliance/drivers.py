"""The configured devices, by the name of their driver: the only file that names concrete ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from appliance.config import Config
from appliance.config_sections import Audio, Video
from appliance.devices import Device, DeviceKind, Drivers
from appliance.errors import ConfigError
from hw import ButtonName, Buttons, Camera, Display, Leds, Microphone, Speaker
from hw.alsa import is_installed as alsa_is_installed
from hw.alsa_cards import AUTO
from hw.alsa_duplex import AlsaDuplex, AlsaMicrophone
from hw.camera_auto import AutoCamera
from hw.encoding import EncodingCamera
from hw.files import FileCamera, FileMicrophone
from hw.gpio import GpioButtons, GpioLeds, is_raspberry_pi
from hw.mock import MockButtons, MockCamera, MockLeds, MockMicrophone, MockSpeaker
from hw.panel import SerialPanel
from hw.picamera import PiCamera
from hw.picamera import is_installed as picamera2_is_installed
from hw.sdl_display import SdlDisplay
from hw.sdl_display import is_installed as sdl_is_installed
from hw.slides import SlideCamera
from hw.synthetic import SyntheticCamera, SyntheticMicrophone
from hw.turned import Rotation, TurnedCamera
from hw.udev import UdevMonitor
from hw.v4l2 import V4l2Camera
from hw.v4l2_devices import cameras


@dataclass(frozen=True, slots=True)
class PanelDevices:
    """A front panel. `trouble` gives what is wrong with it by now, and "" when nothing is."""

    leds: Leds
    buttons: Buttons
    trouble: Callable[[], str] = lambda: ""
    held: Callable[[], tuple[ButtonName, ...]] = lambda: ()


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a configuration names. `speaker` only when it is a mock."""

    drivers: Drivers
    panel: PanelDevices | None = None
    speaker: MockSpeaker | None = None
    display: Display | None = None
    screen: Callable[[], Camera] | None = None  # makes the source of what is shared


def hardware(config: Config) -> Hardware:
    """Makes what `config` names, and opens nothing. Raises `ConfigError` for a file that is missing."""
    camera, (microphone, speaker) = _camera(config), _sound(config)
    others: dict[DeviceKind, Callable[[], Sequence[Callable[[], Device]]]] = {}
    mock_speaker = speaker if isinstance(speaker, MockSpeaker) else None
    if isinstance(microphone, AlsaMicrophone) and config.audio.auto_switch:
        others |= _other_sound(microphone.duplex)
    is_real = camera is not None and config.video.driver not in ("mock", "file")
    if is_real and config.video.auto_switch:
        others["camera"] = lambda: _other_cameras(config.video)
    drivers = Drivers(
        microphone=None if microphone is None else lambda: microphone,
        camera=None if camera is None else lambda: camera,
        speaker=None if speaker is None else lambda: speaker,
        others=others,
        monitor=UdevMonitor() if is_real or isinstance(microphone, AlsaMicrophone) else None,
    )
    return Hardware(drivers, _panel(config), mock_speaker, _display(config), _screen(config))


def _panel(config: Config) -> PanelDevices | None:
    gpio = config.gpio
    if config.panel.port:
        panel = SerialPanel(config.panel.port)
        return PanelDevices(panel.leds, panel.buttons, lambda: panel.trouble, lambda: panel.held)
    match gpio.driver:
        case "mock":
            mock = MockButtons()
            return PanelDevices(MockLeds(), mock, held=lambda: mock.held)
        case "none":
            return None
        case "auto" if not is_raspberry_pi():
            return None
    leds = GpioLeds(
        gpio.mute_led, gpio.connection_led, gpio.quality_leds, gpio.rgb_led, active_low=gpio.leds_active_low
    )
    buttons = GpioButtons(gpio.mute_button, gpio.call_button)
    return PanelDevices(leds, buttons, lambda: leds.trouble or buttons.trouble, lambda: buttons.held)


def _display(config: Config) -> Display | None:
    display = config.display
    if display.driver == "none" or (display.driver == "auto" and not sdl_is_installed()):
        return None
    return SdlDisplay(config.device.name, fullscreen=display.fullscreen, looks_first=not display.is_required)


def _screen(config: Config) -> Callable[[], Camera] | None:
    screen = config.screen
    size = (screen.width, screen.height, screen.fps)
    if not screen.source:
        return None
    if screen.source.startswith("/dev/"):
        return lambda: V4l2Camera(screen.source, *size, encoder="software")
    _check_exists("screen.source", screen.source)
    if Path(screen.source).is_dir():
        return lambda: SlideCamera(screen.source, *size, slide_s=screen.slide_s)
    return lambda: FileCamera(screen.source, *size)


def _camera(config: Config) -> Camera | None:
    """A camera that turns its pictures in software encodes nothing itself."""
    video = config.video
    rotation = cast(Rotation, video.rotation)
    if video.driver == "none":
        return None
    if video.driver in ("mock", "file"):
        camera = _turned(_played(config), rotation, video.mirror)
        if video.encoder == "hardware":
            camera = EncodingCamera(camera)
        return MockCamera(camera) if video.driver == "mock" else camera
    size = (video.width, video.height, video.fps)

    def picamera(device: str) -> Camera:
        if rotation in (90, 270):
            return _turned(PiCamera(device, *size, encoder="software"), rotation, video.mirror)
        return PiCamera(device, *size, upside_down=rotation == 180, mirror=video.mirror, encoder=video.encoder)

    match video.driver:
        case "picamera2":
            return picamera(video.device)
        case "v4l2":
            return _v4l2(video, video.device)
    if video.device.startswith("/dev/"):
        return _v4l2(video, video.device)
    return AutoCamera([*([picamera(video.device)] if picamera2_is_installed() else []), _v4l2(video, "")])


def _v4l2(video: Video, device: str) -> Camera:
    turns = video.rotation != 0 or video.mirror
    camera = V4l2Camera(device, video.width, video.height, video.fps, encoder="software" if turns else video.encoder)
    return _turned(camera, cast(Rotation, video.rotation), video.mirror)


def _other_cameras(video: Video) -> list[Callable[[], Camera]]:
    """Those of V4L2 that are there now; the configured one fails again, and the next is tried."""
    return [partial(_v4l2, video, device) for device in cameras()]


def _other_sound(duplex: AlsaDuplex) -> dict[DeviceKind, Callable[[], Sequence[Callable[[], Device]]]]:
    return {
        "microphone": lambda: [partial(_itself, end) for end in duplex.other_microphones()],
        "speaker": lambda: [partial(_itself, end) for end in duplex.other_speakers()],
    }


def _itself(device: Device) -> Device:
    return device


def _played(config: Config) -> Camera:
    video = config.video
    if video.driver == "mock":
        return SyntheticCamera(video.width, video.height, video.fps, name=config.device.name)
    _check_exists("video.camera_file", video.camera_file)
    return FileCamera(video.camera_file, video.width, video.height, video.fps)


def _turned(camera: Camera, rotation: Rotation, mirror: bool) -> Camera:
    return TurnedCamera(camera, rotation, mirror) if rotation or mirror else camera


def _sound(config: Config) -> tuple[Microphone | None, Speaker | None]:
    audio = config.audio
    match audio.driver:
        case "alsa":
            return _alsa(audio, audio.device)
        case "auto" if alsa_is_installed():
            return _alsa(audio, AUTO if audio.device == "default" else audio.device)
        case "auto" | "none":
            return None, None
        case "file":
            _check_exists("audio.microphone_file", audio.microphone_file)
            return FileMicrophone(audio.microphone_file), MockSpeaker()
    return MockMicrophone(SyntheticMicrophone()), MockSpeaker()


def _alsa(audio: Audio, device: str) -> tuple[Microphone, Speaker]:
    duplex = AlsaDuplex(
        device,
        audio.speaker or device,
        microphone_volume=None if audio.microphone_volume < 0 else audio.microphone_volume,
        speaker_volume=None if audio.speaker_volume < 0 else audio.speaker_volume,
    )
    return duplex.microphone, duplex.speaker


def _check_exists(key: str, file: str) -> None:
    if not Path(file).exists():
        raise ConfigError(f'{key} = "{file}"; there is no such file')
