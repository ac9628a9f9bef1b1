"""Changing a configuration's text: what its owner wrote stays."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import tomli
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import Config, parse
from appliance.config_edit import SECRETS, edit, value_of, with_secrets_of, without
from appliance.errors import ConfigError

TEXT = """# our door
[device]
name = "Door"  # as on the plate

[room]
token = "secret-token"
# the big one
room = "hall"
"""


def test_comments_and_order_stay() -> None:
    edited = edit(TEXT, {"device.name": "Gate", "video.width": 640})
    assert edited == TEXT.replace('"Door"', '"Gate"') + "\n[video]\nwidth = 640\n"


def test_none_takes_a_key_out() -> None:
    edited = edit(TEXT, {"room.room": None, "hub.admin": None})
    assert parse(edited, "t").room.room == Config().room.room
    assert "# the big one" in edited


def test_lists_are_written() -> None:
    assert parse(edit("", {"gpio.quality_leds": [1, 2], "gpio.rgb_led": []}), "t").gpio.quality_leds == (1, 2)


def test_dotted_and_inline_tables_are_changed_too() -> None:
    assert parse(edit('device.name = "x"\n', {"device.name": "y"}), "t").device.name == "y"
    assert parse(edit('device = {name = "x"}\n', {"device.name": "y"}), "t").device.name == "y"


def test_secrets_are_taken_out_and_carried_over() -> None:
    assert set(SECRETS) >= {"room.token", "room.encryption_secret", "hub.turn_secret", "mqtt.url"}
    exported = without(TEXT, SECRETS)
    assert "secret-token" not in exported
    assert "# our door" in exported
    assert value_of(with_secrets_of(exported, TEXT), "room.token") == "secret-token"
    assert value_of(with_secrets_of('[room]\ntoken = "new"\n', TEXT), "room.token") == "new"
    assert with_secrets_of("", "") == ""


@given(st.text(max_size=60), st.sampled_from([TEXT, "", "[room]\n", "room = 3\n", "[[room]]\n"]))
def test_any_text_is_edited_or_refused(text: str, old: str) -> None:
    pairs: list[tuple[Callable[..., str], tuple[object, ...]]] = [
        (edit, (text, {"room.token": "x", "device.name": None})),
        (edit, (old + text, {"room.token": "x"})),
        (without, (text, SECRETS)),
        (with_secrets_of, (text, TEXT)),
    ]
    for work, arguments in pairs:
        with suppress(ConfigError):
            tomli.loads(work(*arguments))


_NAMES = st.from_regex(r"\A[!-~ ]{1,64}\Z").filter(lambda name: name.isprintable())


@given(_NAMES, st.integers(1, 60), st.lists(st.integers(0, 27), max_size=5, unique=True))
def test_what_was_set_is_what_is_read(name: str, fps: int, leds: list[int]) -> None:
    document = tomli.loads(edit(TEXT, {"device.name": name, "video.fps": fps, "gpio.quality_leds": [*leds]}))
    assert document["device"] == {"name": name}
    assert (document["video"]["fps"], document["gpio"]["quality_leds"]) == (fps, leds)
    assert document["room"] == {"token": "secret-token", "room": "hall"}
