"""The configuration of a unit: one TOML file, every key optional, all of it checked before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tomli

from appliance.addresses import is_address
from appliance.config_check import Problem, check, shown
from appliance.config_lines import key_lines
from appliance.config_sections import (
    Audio,
    Call,
    Device,
    Display,
    Gpio,
    Hub,
    Mqtt,
    Network,
    Panel,
    Room,
    Screen,
    Section,
    Video,
    Web,
    Wifi,
)
from appliance.errors import ConfigError

MAX_FILE_BYTES = 64 * 1024  # every key with its help is 5 KB


class Config(Section, frozen=True):
    """The whole file. `Config()` is what an empty file gives."""

    device: Device = Device()
    room: Room = Room()
    audio: Audio = Audio()
    video: Video = Video()
    gpio: Gpio = Gpio()
    panel: Panel = Panel()
    display: Display = Display()
    screen: Screen = Screen()
    wifi: Wifi = Wifi()
    network: Network = Network()
    web: Web = Web()
    hub: Hub = Hub()
    call: Call = Call()
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
    if config.room.is_own and not config.hub.enabled:
        yield conflict("hub.enabled", '= false; room.url "hub:" needs it: set it to true or room.url', "room.url")
    if config.room.encryption != "none" and not config.room.encryption_secret:
        needed = f'= "{config.room.encryption}"; it needs room.encryption_secret'
        yield conflict("room.encryption", needed, "room.encryption_secret")
    if config.audio.driver == "file" and not config.audio.microphone_file:
        yield conflict("audio.driver", '= "file"; it needs audio.microphone_file', "audio.microphone_file")
    if config.video.driver == "file" and not config.video.camera_file:
        yield conflict("video.driver", '= "file"; it needs video.camera_file', "video.camera_file")
    if config.hub.turn_urls and not config.hub.turn_secret:
        yield conflict("hub.turn_urls", "needs hub.turn_secret, coturn's static-auth-secret", "hub.turn_secret")
    if config.hub.turn_secret and not config.hub.turn_urls:
        yield conflict("hub.turn_secret", "needs hub.turn_urls, the servers that know it", "hub.turn_urls")
    for index, address in enumerate(config.network.ice_addresses):
        if not is_address(address):
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
