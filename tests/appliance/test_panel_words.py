"""The panel's list of what happened has words for every event, or says on purpose that it has none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import appliance.app  # noqa: F401  # every event that a unit can put on its bus
from appliance.events import Event
from provisioning.assets import STATIC
from provisioning.languages import DEFAULT, LOCALES

SCRIPT = (STATIC / "panel-events.js").read_text()
WORDS = json.loads((LOCALES / f"{DEFAULT}.json").read_text())


def events(base: type[Event] = Event) -> Iterator[type[Event]]:
    for each in base.__subclasses__():
        if each.__module__.startswith("appliance.") and not each.__name__.startswith("_"):
            yield each
        yield from events(each)


def test_no_event_is_a_line_without_words() -> None:
    told = set(re.findall(r'^  "([a-z-]+)":', SCRIPT, re.MULTILINE))
    assert {each.event_name for each in events()} == told


def test_every_word_is_there() -> None:
    keys = set(re.findall(r'\b(?:say|user|stream|people|because)\("([a-z_]+)"', SCRIPT))
    chosen = set(re.findall(r'say\(fields?\.?\w*(?:\.\w+)? \? "(\w+)" : "(\w+)"', SCRIPT))
    keys |= {key for pair in chosen for key in pair}
    assert len(keys) > 20
    assert {key for key in keys if f"panel.event_{key}" not in WORDS} == set()
