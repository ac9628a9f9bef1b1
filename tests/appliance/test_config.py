from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.config import MAX_FILE_BYTES, Config, load, parse
from appliance.config_check import check
from appliance.config_schema import keys, sections
from appliance.errors import ConfigError
from appliance.room.signaling_room import Join

SECRET = "eyJhbGciOiJI.s3cret"


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "unit.toml")
    return str(caught.value).splitlines()


# --- what is good


def test_an_rgb_led_may_have_the_pins_of_the_single_ones() -> None:
    assert parse("[gpio]\nrgb_led = [27, 5, 6]", "unit.toml").gpio.rgb_led == (27, 5, 6)


def test_empty_file_gives_the_defaults() -> None:
    assert parse("", "unit.toml") == Config()


def test_defaults_pass_their_own_checks() -> None:
    checked = check(Config, {name: msgspec.to_builtins(getattr(Config(), name)) for name in sections(Config)})
    assert checked.problems == []
    assert Config(**checked.sections) == Config()  # type: ignore[arg-type]


def test_every_table_of_the_design() -> None:
    config = parse(
        """
        [device]
        name = "Haustür"
        [room]
        url = "wss://hub.example:8080/hub/ws"
        room = "front"
        token = "abc.def"
        auto_join = false
        profile = "live"
        [audio]
        driver = "file"
        microphone_file = "/srv/voice.wav"
        noise_suppression = 3
        [video]
        driver = "v4l2"
        device = "/dev/video2"
        width = 640
        height = 360
        fps = 15
        codec = "vp8"
        [gpio]
        driver = "none"
        quality_leds = []
        [network]
        ice_addresses = ["127.0.0.1", "fe80::1"]
        [web]
        host = "::1"
        port = 0
        tls = "off"
        [hub]
        secure = false
        duplicate_login = "reject_new"
        ice_servers = ["stun:stun.example:3478"]
        turn_urls = ["turn:turn.example:3478?transport=udp"]
        turn_secret = "north"
        [mqtt]
        url = "mqtt://anna:pw@broker.example:1883"
        """,
        "unit.toml",
    )
    assert config.device.name == "Haustür"
    assert (config.room.url, config.room.profile) == ("wss://hub.example:8080/hub/ws", "live")
    assert config.audio.microphone_file == "/srv/voice.wav"
    assert (config.video.device, config.video.width, config.video.low_layer) == ("/dev/video2", 640, True)
    assert config.gpio.quality_leds == ()
    assert config.network.ice_addresses == ("127.0.0.1", "fe80::1")
    assert config.hub.turn_urls == ("turn:turn.example:3478?transport=udp",)
    assert config.hub.room_capacity == 8


@pytest.mark.parametrize("room", ["lobby", "a" * 64, "A.b_c~d-9"])
def test_a_room_that_is_good_here_is_good_on_the_wire(room: str) -> None:
    assert parse(f'[room]\nroom = "{room}"', "unit.toml").room.room == room
    assert msgspec.convert({"type": "join", "id": 1, "room": room}, Join).room == room


# --- what is wrong


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[video]\nfps = 90", "unit.toml:2: video.fps = 90; allowed is an integer from 1 to 60 (1/s)"),
        ("[video]\nfps = 30.0", "unit.toml:2: video.fps = 30.0; allowed is an integer from 1 to 60 (1/s)"),
        ("[video]\nfps = true", "unit.toml:2: video.fps = true; allowed is an integer from 1 to 60 (1/s)"),
        (
            "[video]\nwidth = 641",
            "unit.toml:2: video.width = 641; allowed is an even integer from 160 to 1920 (pixels)",
        ),
        ('video.codec = "av1"', 'unit.toml:1: video.codec = "av1"; allowed is "h264" or "vp8"'),
        ("[hub]\nsecure = 1", "unit.toml:2: hub.secure = 1; allowed is true or false"),
        ("[device]\nname = ''", 'unit.toml:2: device.name = ""; allowed is text of 1 to 64 characters'),
        ("[device]\nname = 'a\tb'", 'unit.toml:2: device.name = "a\\x09b"; allowed is text of 1 to 64 characters'),
        ("[device]\nname = [1]", "unit.toml:2: device.name = a list; allowed is text of 1 to 64 characters"),
        ("[device]\nname = 1979-05-27", "unit.toml:2: device.name = 1979-05-27; allowed is text of 1 to 64 characters"),
        (
            "[room]\nroom = 'a b'",
            'unit.toml:2: room.room = "a b"; allowed is 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -',
        ),
        (
            '[room]\nroom = "lobby\\n"',
            'unit.toml:2: room.room = "lobby\\x0a"; allowed is 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -',
        ),
        (
            "[room]\nurl = 'http://x'",
            'unit.toml:2: room.url = "http://x"; allowed is "hub:", "ws://HOST:PORT" or "wss://HOST:PORT"',
        ),
        (
            "[gpio]\nquality_leds = [6, 99]",
            "unit.toml:2: gpio.quality_leds[1] = 99; allowed is an integer from 0 to 27",
        ),
        (
            "[gpio]\nquality_leds = [6, 7, 8, 9, 10, 11]",
            "unit.toml:2: gpio.quality_leds = a list; allowed is a list of at most 5, each an integer from 0 to 27",
        ),
        (
            "[gpio]\nrgb_led = [16, 20]",
            "unit.toml:2: gpio.rgb_led = [16, 20]; allowed are three pins: red, green, blue",
        ),
        ("[gpio]\nrgb_led = [16, 17, 20]", "unit.toml:2: gpio.rgb_led = 17; this pin is already gpio.mute_button"),
        ("[gpio]\nmute_led = 17", "unit.toml:2: gpio.mute_led = 17; this pin is already gpio.mute_button"),
        (
            "[network]\nice_addresses = ['127.0.0.1', '1.2.3']",
            'unit.toml:2: network.ice_addresses[1] = "1.2.3"; allowed is an IP address',
        ),
        ("[vidoe]", "unit.toml:1: vidoe is unknown; did you mean video?"),
        ("[video]\nfsp = 1", "unit.toml:2: video.fsp is unknown; did you mean fps?"),
        ("[video]\nport = 1", "unit.toml:2: video.port is unknown; it belongs into [panel] or [web]"),
        ("fps = 1", "unit.toml:1: fps is unknown; it belongs into [video] or [screen]"),
        ("[wifi]\nzzz = 1", "unit.toml:2: wifi.zzz is unknown; allowed keys are setup_network, country, improv_port"),
        ("room = 5", "unit.toml:1: room is a number; allowed is a table: a line [room] and its keys below it"),
        ("[[web]]", "unit.toml:1: web is a list of tables; allowed is a table: a line [web] and its keys below it"),
        (
            "[hub]\nenabled = false",
            'unit.toml:2: hub.enabled = false; room.url "hub:" needs it: set it to true or room.url',
        ),
        ('[audio]\ndriver = "file"', 'unit.toml:2: audio.driver = "file"; it needs audio.microphone_file'),
        ('[video]\ndriver = "file"', 'unit.toml:2: video.driver = "file"; it needs video.camera_file'),
        (
            "[hub]\nturn_urls = ['turn:a']",
            "unit.toml:2: hub.turn_urls needs hub.turn_secret, coturn's static-auth-secret",
        ),
        ("[hub]\nturn_secret = 'x'", "unit.toml:2: hub.turn_secret needs hub.turn_urls, the servers that know it"),
    ],
)
def test_problem(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_every_problem_is_told_in_the_order_of_the_lines() -> None:
    found = problems("[web]\nport = 'x'\n[vidoe]\n[video]\nfps = 0\nheight = 99999\n[audio]\ndrivre = 'alsa'\n")
    assert [line.split(" ")[0:2] for line in found] == [
        ["unit.toml:2:", "web.port"],
        ["unit.toml:3:", "vidoe"],
        ["unit.toml:5:", "video.fps"],
        ["unit.toml:6:", "video.height"],
        ["unit.toml:8:", "audio.drivre"],
    ]


def test_a_key_that_is_wrong_alone_is_not_said_to_conflict_as_well() -> None:
    assert len(problems("[gpio]\nmute_led = 99\ncall_button = 99")) == 2
    assert problems('[audio]\ndriver = "file"\nmicrophone_file = 5') == [
        "unit.toml:3: audio.microphone_file = 5; allowed is text of 0 to 256 characters"
    ]


@pytest.mark.parametrize(
    "text",
    [
        f"[room]\ntoken = '{SECRET} '",
        f"[room]\ntoken = ['{SECRET}']",
        f"[room]\ntoken = {{ x = '{SECRET}' }}",
        f"[room]\ntokne = '{SECRET}'",
        f"[hub]\nturn_secret = '{SECRET}'",
        f"[hub]\nturn_secret = '{SECRET}\t'",
        f"[hub]\nturn_secret = '{SECRET}",
        f"room = '{SECRET}'",
        f"secret = '{SECRET}'",
        f"[mqtt]\nurl = 'mqtt://anna:{SECRET}@broker:x'",
        f"[mqtt]\nurl = 'mqtt://anna:{SECRET}/@broker:1'",
        f"[room]\nurl = 'ws://anna:{SECRET}@broker:1/'",
    ],
)
def test_secrets_are_never_told(text: str) -> None:
    assert "s3cret" not in "".join(problems(text))


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a = ", "unit.toml:1: not TOML: "),
        ("[web]\nport = 1\nport = 2", "unit.toml:3: not TOML: "),
        ("[web]\n[web]", "unit.toml:2: not TOML: "),
        ("[web]\nport: 80", "unit.toml:2: not TOML: "),
        ("a = " + "[" * 5000 + "]" * 5000, "unit.toml: not a configuration: "),
        ("[web]\nport = 1" + "0" * 5000, "unit.toml: not a configuration: "),
    ],
)
def test_not_toml(text: str, start: str) -> None:
    [problem] = problems(text)
    assert problem.startswith(start)


# --- files


def test_load(tmp_path: Path) -> None:
    file = tmp_path / "unit.toml"
    file.write_text("[web]\nport = 8443\n")
    assert load(file).web.port == 8443


def test_load_says_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    missing, binary, huge = tmp_path / "missing.toml", tmp_path / "binary.toml", tmp_path / "huge.toml"
    binary.write_bytes(b"[web]\n# caf\xe9\n")
    huge.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    for file, words in (
        (missing, f"{missing}: No such file or directory; give a TOML file"),
        (tmp_path, f"{tmp_path}: Is a directory; give a TOML file"),
        (binary, f"{binary}:2: not UTF-8; save the file as UTF-8"),
        (huge, f"{huge}: more than {MAX_FILE_BYTES} bytes"),
        (tmp_path / "nul\0", "embedded null"),
    ):
        with pytest.raises(ConfigError, match=re.escape(words)):
            load(file)


# --- the schema speaks for itself


def test_every_key_has_help_and_says_what_is_allowed() -> None:
    for key in keys(Config):
        assert key.help.endswith("."), key
        assert key.allowed, key


def test_secrets_are_marked() -> None:
    assert {f"{key.section}.{key.name}" for key in keys(Config) if key.secret} == {
        "room.token",
        "room.encryption_secret",
        "hub.turn_secret",
        "mqtt.url",
    }


# --- whatever comes: a Config or a ConfigError whose every line names the file and a line


def check_outcome(text: str) -> None:
    try:
        config = parse(text, "unit.toml")
    except ConfigError as exc:
        lines = str(exc).split("\n")
        for line in lines:
            assert re.match(r"unit\.toml(:[0-9]+)?: \S", line), line
            assert line.isprintable(), line
            assert len(line) < 1000
            number = re.match(r"unit\.toml:([0-9]+):", line)
            assert number is None or 1 <= int(number[1]) <= text.count("\n") + 1
    else:
        assert isinstance(config, Config)


@settings(deadline=None)
@given(st.text(max_size=200))
@example("\ufeff[web]")
@example("[web]\r\nport = 1\r\n")
@example('"\x00" = 1')
@example("[web]\nport = nan")
@example("[web]\nport = -9223372036854775809")
@example("a\u2028b = 1")
@example('"a\\u2028\\n" = 1')
def test_any_text(text: str) -> None:
    check_outcome(text)


TOML_CHARS = st.text(st.sampled_from("[]{}=,.\"'#\n\\ atruefalse0123-:_port"), max_size=60)


@settings(deadline=None)
@given(TOML_CHARS)
def test_any_text_of_tomls_own_characters(text: str) -> None:
    check_outcome(text)


def as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, str):
        return '"' + "".join(char if char.isalnum() else f"\\U{ord(char):08x}" for char in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(name)} = {as_toml(item)}" for name, item in value.items()) + "}"
    return str(value)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.integers(-10, 1000),
        st.floats(),
        TEXTS,
        st.sampled_from(["hub:", "mock", "file", "ws://h:1/", "turn:h", "127.0.0.1", "off", "mqtt://a:b@c"]),
        st.dates(),
        st.times(),
        st.datetimes(timezones=st.none() | st.just(dt.UTC)),
    ),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
KEY_NAMES = {name: [key.name for key in keys(Config) if key.section == name] for name in sections(Config)}


@st.composite
def structures(draw: st.DrawFn) -> str:
    lines = []
    for name in draw(st.lists(st.sampled_from(list(KEY_NAMES)) | TEXTS, max_size=4, unique=True)):
        lines.append(f"[{as_toml(name)}]")
        known = st.sampled_from(KEY_NAMES.get(name, ["port"]))
        lines += [
            f"{as_toml(key)} = {as_toml(value)}"
            for key, value in draw(st.dictionaries(known | TEXTS, VALUES, max_size=4)).items()
        ]
    return "\n".join(lines)


@settings(deadline=None)
@given(structures())
def test_any_structure(text: str) -> None:
    check_outcome(text)
