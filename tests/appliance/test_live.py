"""Which change of which key asks for what."""

from __future__ import annotations

from appliance.config import Config
from appliance.config_store import with_values
from appliance.live import Plan, part_of, plan


def change(**values: object) -> Plan:
    return plan(Config(), with_values(Config(), {name.replace("__", "."): value for name, value in values.items()}))


def test_nothing_asks_for_nothing() -> None:
    assert plan(Config(), Config()) == Plan()


def test_what_runs_on() -> None:
    assert change(device__name="x") == Plan(frozenset({"name"}), ("device.name",))
    assert change(room__room="x").parts == {"room"}
    assert change(audio__speaker_volume=3, video__width=640).parts == {"audio", "video"}
    assert change(gpio__mute_led=3).parts == {"panel"}


def test_what_needs_a_new_composition() -> None:
    made = change(web__port=1, gpio__driver="mock", hub__admin=False, panel__port="/dev/x", device__name="y")
    assert set(made.restart) == {"web.port", "gpio.driver", "hub.admin", "panel.port"}
    assert made.live == ("device.name",)
    assert part_of("mqtt", "url") is None
