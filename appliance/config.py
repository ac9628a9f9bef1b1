"""The configuration of a unit: one TOML file, every key optional, all of it checked before anything starts.

Each struct is one table; each annotation carries the range, the unit and the help of its key (`config_schema`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import tomli
from msgspec import Meta

from appliance.config_check import Problem, check, shown
from appliance.config_lines import key_lines
from appliance.errors import ConfigError

MAX_FILE_BYTES = 64 * 1024  # every key with its help is 5 KB

_PRINTABLE = r"^[^\x00-\x1f\x7f]*\Z"
_HOST = r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_Pin = Annotated[int, Meta(ge=0, le=27)]
_Line = Annotated[str, Meta(max_length=256, pattern=_PRINTABLE)]
_Address = Annotated[
    str, Meta(max_length=64, pattern=r"^[0-9A-Fa-f.:]+\Z", extra={"allowed": "an IP address in quotes"})
]
_HostName = Annotated[
    str,
    Meta(
        max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\Z", extra={"allowed": "a DNS name in quotes"}
    ),
]
_StunUrl = Annotated[str, Meta(max_length=256, pattern=rf"^stuns?:{_HOST}\Z", extra={"allowed": '"stun:HOST:PORT"'})]
_TurnUrl = Annotated[
    str,
    Meta(
        max_length=256,
        pattern=rf"^turns?:{_HOST}(?:\?transport=(?:udp|tcp))?\Z",
        extra={"allowed": '"turn:HOST:PORT", with "?transport=udp" or "?transport=tcp" behind it or not'},
    ),
]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Device(_Section, frozen=True):
    name: Annotated[
        str, Meta(min_length=1, max_length=64, pattern=_PRINTABLE, description="What others call this unit.")
    ] = "Room appliance"


class Room(_Section, frozen=True):
    url: Annotated[
        str,
        Meta(
            max_length=512,
            pattern=rf"^(?:hub:|wss?://{_HOST}(?:/[!-~]*)?)\Z",
            description="The hub to join: this unit's own, or another one by its address.",
            extra={"allowed": '"hub:", "ws://HOST:PORT" or "wss://HOST:PORT"'},
        ),
    ] = "hub:"
    room: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            pattern=r"^[A-Za-z0-9._~-]+\Z",
            description="The room to join.",
            extra={"allowed": "1 to 64 of the characters A-Z a-z 0-9 . _ ~ -"},
        ),
    ] = "lobby"
    user: Annotated[
        str, Meta(max_length=64, pattern=_PRINTABLE, description="User id in the room; empty: the hub gives one.")
    ] = ""
    token: Annotated[
        str,
        Meta(
            max_length=4096,
            pattern=r"^[!-~]*\Z",
            description="Room token for another unit's hub, as `room-appliance token` prints it.",
            extra={"secret": True, "allowed": "a token of at most 4096 characters"},
        ),
    ] = ""
    fingerprint: Annotated[
        str,
        Meta(
            pattern=r"^([0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31})?\Z",
            description="Trust a wss:// hub with this key and no other; the unit there says it at start.",
            extra={"allowed": 'a SHA-256 fingerprint, 32 pairs of hex digits with ":" between them, or empty'},
        ),
    ] = ""
    auto_join: Annotated[bool, Meta(description="Join at start.")] = True
    profile: Annotated[Literal["rtc", "live"], Meta(description="live: only hosts are heard and seen.")] = "rtc"


class Audio(_Section, frozen=True):
    driver: Annotated[
        Literal["alsa", "auto", "mock", "file", "none"],
        Meta(
            description="auto: ALSA where it is installed, a USB card before others. "
            "mock: a synthetic voice and a speaker that only shows its level."
        ),
    ] = "alsa"
    device: Annotated[
        _Line, Meta(description='ALSA name of the microphone; "usb": the first USB card that has one.')
    ] = "default"
    speaker: Annotated[_Line, Meta(description='ALSA name of the speaker, or "usb"; empty: the same as `device`.')] = ""
    microphone_volume: Annotated[
        int, Meta(ge=-1, le=100, description="On the card's mixer, of its range; -1: as it is.", extra={"unit": "%"})
    ] = -1
    speaker_volume: Annotated[
        int, Meta(ge=-1, le=100, description="On the card's mixer, of its range; -1: as it is.", extra={"unit": "%"})
    ] = -1
    microphone_file: Annotated[
        _Line, Meta(description='Media file that plays as the microphone with driver "file".')
    ] = ""
    auto_switch: Annotated[
        bool, Meta(description="When the microphone or speaker is lost, take another sound card in its place.")
    ] = False
    echo_cancellation: Annotated[bool, Meta(description="Take the speaker's sound out of the microphone's.")] = True
    noise_suppression: Annotated[int, Meta(ge=0, le=3, description="Strength; 0: off.")] = 1
    gain_control: Annotated[bool, Meta(description="Bring quiet and loud voices to one level.")] = True


class Video(_Section, frozen=True):
    driver: Annotated[
        Literal["auto", "picamera2", "v4l2", "mock", "file", "none"],
        Meta(
            description="auto: the camera on a Raspberry Pi's camera port, else the first USB camera or HDMI bridge. "
            "mock: a moving picture with a clock."
        ),
    ] = "auto"
    device: Annotated[
        _Line,
        Meta(
            description='Video device with driver "v4l2" ("/dev/video0"), part of libcamera\'s camera id with '
            '"picamera2"; empty: the first.'
        ),
    ] = ""
    camera_file: Annotated[_Line, Meta(description='Media file to play as the camera with driver "file".')] = ""
    width: Annotated[int, Meta(ge=160, le=1920, multiple_of=2, description="Width.", extra={"unit": "pixels"})] = 1280
    height: Annotated[int, Meta(ge=90, le=1080, multiple_of=2, description="Height.", extra={"unit": "pixels"})] = 720
    fps: Annotated[int, Meta(ge=1, le=60, description="Pictures a second.", extra={"unit": "1/s"})] = 30
    rotation: Annotated[
        int, Meta(ge=0, le=270, multiple_of=90, description="Turns the picture clockwise.", extra={"unit": "degrees"})
    ] = 0
    mirror: Annotated[bool, Meta(description="Swaps left and right.")] = False
    encoder: Annotated[
        Literal["auto", "hardware", "software"],
        Meta(
            description="auto: the H.264 of the Pi or of the camera, where it can be asked for key frames. hardware: "
            "that of the camera in any case; mock and file cameras play one. software: never."
        ),
    ] = "auto"
    codec: Annotated[Literal["h264", "vp8"], Meta(description="Offered first; the far side may choose the other.")] = (
        "h264"
    )
    auto_switch: Annotated[
        bool, Meta(description="When the camera is lost, take another V4L2 camera in its place.")
    ] = False
    low_layer: Annotated[bool, Meta(description="Send a small picture as well, for those who show many.")] = True


class Gpio(_Section, frozen=True):
    driver: Annotated[
        Literal["auto", "gpiozero", "mock", "none"],
        Meta(description="auto: gpiozero on a Raspberry Pi, else none. mock: the virtual front panel at /panel."),
    ] = "auto"
    mute_button: Annotated[_Pin, Meta(description="BCM pin; 0: not connected.")] = 17
    call_button: Annotated[_Pin, Meta(description="BCM pin; 0: not connected.")] = 22
    mute_led: Annotated[_Pin, Meta(description="BCM pin; 0: not connected.")] = 27
    connection_led: Annotated[_Pin, Meta(description="BCM pin; 0: not connected.")] = 5
    quality_leds: Annotated[tuple[_Pin, ...], Meta(max_length=5, description="BCM pins of the bar, best first.")] = (
        6,
        13,
        19,
    )
    rgb_led: Annotated[
        tuple[_Pin, ...],
        Meta(max_length=3, description="BCM pins of red, green and blue of one LED instead of the single ones."),
    ] = ()
    leds_active_low: Annotated[bool, Meta(description="LEDs light when their pin is low (common anode).")] = False


class Panel(_Section, frozen=True):
    port: Annotated[
        _Line, Meta(description='Serial port of a front panel that replaces GPIO, "/dev/serial0"; empty: none.')
    ] = ""


class Wifi(_Section, frozen=True):
    setup_network: Annotated[
        Literal["auto", "off"],
        Meta(
            description="auto: open a set-up network while no known one is in reach. "
            "off: only when both buttons are held for 5 s."
        ),
    ] = "auto"
    country: Annotated[
        str,
        Meta(
            pattern=r"^(?:[A-Z]{2})?\Z",
            description="Country whose radio rules hold, by its code in ISO 3166; empty: as the system has it.",
            extra={"allowed": 'two capital letters, such as "DE", or empty'},
        ),
    ] = ""
    improv_port: Annotated[
        _Line,
        Meta(
            description="Serial port on which a browser at the other end of a USB cable sets the unit up (Improv); "
            "not there: no matter; empty: never."
        ),
    ] = "/dev/ttyGS0"


class Network(_Section, frozen=True):
    ice_addresses: Annotated[
        tuple[_Address, ...], Meta(max_length=16, description="Own addresses that media may use; empty: all.")
    ] = ()
    mdns: Annotated[
        bool, Meta(description="Announce the page and the hub on the local network, and find other hubs.")
    ] = True


class Web(_Section, frozen=True):
    host: Annotated[
        str,
        Meta(
            max_length=253,
            pattern=r"^[A-Za-z0-9_.:-]+\Z",
            description="Address to listen on.",
            extra={"allowed": 'an IP address or host name, such as "0.0.0.0" or "127.0.0.1"'},
        ),
    ] = "0.0.0.0"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0: any free one.")] = 8080
    tls: Annotated[
        Literal["self-signed", "own", "off"],
        Meta(
            description="Browsers give camera and microphone only to https and to localhost. "
            "own: with `certificate` and `key`."
        ),
    ] = "self-signed"
    certificate: Annotated[
        _Line,
        Meta(description='File with the certificate and its chain in PEM, for tls "own"; a renewed one is taken over.'),
    ] = ""
    key: Annotated[_Line, Meta(description="File with the certificate's private key in PEM.")] = ""
    host_names: Annotated[
        tuple[_HostName, ...],
        Meta(max_length=8, description="Further names that this unit answers to, beside its own and its addresses."),
    ] = ()


class Hub(_Section, frozen=True):
    enabled: Annotated[bool, Meta(description="Serve rooms to others.")] = True
    media: Annotated[Literal["mesh"], Meta(description="How media travels between members.")] = "mesh"
    room_capacity: Annotated[int, Meta(ge=2, le=32, description="Members a room.")] = 8
    duplicate_login: Annotated[
        Literal["evict_old", "reject_new"], Meta(description="When a user id logs in a second time.")
    ] = "evict_old"
    secure: Annotated[bool, Meta(description="Nobody enters without a room token.")] = True
    token_ttl: Annotated[
        int,
        Meta(ge=60, le=31_536_000, description="How long a new room token is good.", extra={"unit": "s"}),
    ] = 86_400
    admin: Annotated[bool, Meta(description="Serve the admin API at /admin, behind an API token.")] = True
    ice_servers: Annotated[tuple[_StunUrl, ...], Meta(max_length=8, description="STUN servers for all members.")] = ()
    turn_urls: Annotated[
        tuple[_TurnUrl, ...], Meta(max_length=8, description="TURN servers that share `turn_secret`.")
    ] = ()
    turn_secret: Annotated[
        str,
        Meta(
            max_length=256,
            pattern=_PRINTABLE,
            description="coturn's static-auth-secret; members get credentials that expire.",
            extra={"secret": True},
        ),
    ] = ""


class Mqtt(_Section, frozen=True):
    url: Annotated[
        str,
        Meta(
            max_length=512,
            pattern=rf"^(?:|mqtts?://(?:[^/@\s]+@)?{_HOST}/?)\Z",
            description="Broker; empty: none.",
            extra={
                "secret": True,
                "allowed": '"mqtt://HOST:PORT", "mqtts://HOST:PORT" or empty',
            },  # may hold a password
        ),
    ] = ""
    discovery_prefix: Annotated[
        str,
        Meta(
            max_length=64,
            pattern=r"^[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*\Z",
            description="Home Assistant's discovery topic.",
            extra={"allowed": "a topic of the characters A-Z a-z 0-9 _ - /"},
        ),
    ] = "homeassistant"


class Config(_Section, frozen=True):
    """The whole file. `Config()` is what an empty file gives."""

    device: Device = Device()
    room: Room = Room()
    audio: Audio = Audio()
    video: Video = Video()
    gpio: Gpio = Gpio()
    panel: Panel = Panel()
    wifi: Wifi = Wifi()
    network: Network = Network()
    web: Web = Web()
    hub: Hub = Hub()
    mqtt: Mqtt = Mqtt()


def load(path: Path) -> Config:
    """Read and check a file. Raises `ConfigError`, also when it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as exc:
        raise ConfigError(
            f"{path}: {getattr(exc, 'strerror', None) or exc}; give a TOML file that can be read"
        ) from exc
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: more than {MAX_FILE_BYTES} bytes; this is no configuration file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from exc
    return parse(text, str(path))


def parse(text: str, name: str) -> Config:
    """Check a text; `name` stands for the file in messages.

    Raises `ConfigError` with one line for each problem: `name:line: section.key = value; allowed is ...`.
    """
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as exc:
        where = f"{name}:{exc.lineno}" if getattr(exc, "lineno", None) else name
        raise ConfigError(f"{where}: not TOML: {getattr(exc, 'msg', None) or exc}") from exc
    except (ValueError, RecursionError) as exc:  # an integer of thousands of digits, lists nested a thousand deep
        raise ConfigError(f"{name}: not a configuration: a number is too long or lists are nested too deep") from exc
    checked = check(Config, document)
    config = Config(**checked.sections)  # type: ignore[arg-type]
    bad = {problem.path for problem in checked.problems}
    problems = checked.problems + [p for p, keys in _conflicts(config) if not bad.intersection(keys)]
    if not problems:
        return config
    lines = key_lines(text)
    found = sorted(((_line(lines, problem.path), problem) for problem in problems), key=lambda pair: pair[0])
    raise ConfigError(
        "\n".join(f"{name}:{line}: {problem.where} {problem.what}" for line, problem in found),
        tuple((".".join(problem.path), problem.what) for _, problem in found),
    )


def _line(lines: dict[tuple[str, ...], int], path: tuple[str, ...]) -> int:
    return next((lines[path[:depth]] for depth in range(len(path), 0, -1) if path[:depth] in lines), 1)


def _conflicts(config: Config) -> Iterator[tuple[Problem, set[tuple[str, ...]]]]:
    """Keys that are right alone and wrong together, each with the keys it took into account."""

    def conflict(path: str, what: str, *others: str) -> tuple[Problem, set[tuple[str, ...]]]:
        return Problem(_path(path), path, what), {_path(path), *map(_path, others)}

    if config.web.tls == "own" and not (config.web.certificate and config.web.key):
        needed = '= "own"; it needs web.certificate and web.key'
        yield conflict("web.tls", needed, "web.certificate", "web.key")
    if config.room.url == "hub:" and not config.hub.enabled:
        yield conflict("hub.enabled", '= false; room.url "hub:" needs it: set it to true or room.url', "room.url")
    if config.audio.driver == "file" and not config.audio.microphone_file:
        yield conflict("audio.driver", '= "file"; it needs audio.microphone_file', "audio.microphone_file")
    if config.video.driver == "file" and not config.video.camera_file:
        yield conflict("video.driver", '= "file"; it needs video.camera_file', "video.camera_file")
    if config.hub.turn_urls and not config.hub.turn_secret:
        yield conflict("hub.turn_urls", "needs hub.turn_secret, coturn's static-auth-secret", "hub.turn_secret")
    if config.hub.turn_secret and not config.hub.turn_urls:
        yield conflict("hub.turn_secret", "needs hub.turn_urls, the servers that know it", "hub.turn_urls")
    for index, address in enumerate(config.network.ice_addresses):
        if not _is_address(address):
            problem, keys = conflict("network.ice_addresses", f"= {shown(address)}; allowed is an IP address")
            yield Problem(problem.path, f"{problem.where}[{index}]", problem.what), keys
    if len(config.gpio.rgb_led) not in (0, 3):
        yield conflict("gpio.rgb_led", f"= {list(config.gpio.rgb_led)}; allowed are three pins: red, green, blue")
    taken: dict[int, str] = {}
    for path, pin in _pins(config.gpio):
        if pin and pin in taken:
            yield conflict(path, f"= {pin}; this pin is already gpio.{taken[pin]}")
        taken.setdefault(pin, path.removeprefix("gpio."))


def _path(words: str) -> tuple[str, ...]:
    return tuple(words.split("."))


def _pins(gpio: Gpio) -> Iterator[tuple[str, int]]:
    """Key and number of each pin that is used."""
    yield from (("gpio.mute_button", gpio.mute_button), ("gpio.call_button", gpio.call_button))
    if gpio.rgb_led:
        yield from (("gpio.rgb_led", pin) for pin in gpio.rgb_led)
        return
    yield from (("gpio.mute_led", gpio.mute_led), ("gpio.connection_led", gpio.connection_led))
    yield from (("gpio.quality_leds", pin) for pin in gpio.quality_leds)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
