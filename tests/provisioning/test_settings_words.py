"""Each key of the configuration has a name and a help on the settings page, in every language."""

from __future__ import annotations

import json

from appliance.config import Config
from appliance.config_schema import keys
from provisioning.languages import DEFAULT, LOCALES


def test_every_key_and_section_has_its_words() -> None:
    for path in LOCALES.glob("*.json"):
        words = json.loads(path.read_text())
        for key in keys(Config):
            name = f"{key.section}_{key.name}"
            needed = {f"settings.key_{name}", f"settings.help_{name}", f"settings.section_{key.section}"}
            assert not needed - words.keys(), path.name
            if path.stem == DEFAULT:  # one source of the help
                assert words[f"settings.help_{name}"] == key.help


def test_no_words_are_left_of_keys_that_are_gone() -> None:
    words = json.loads((LOCALES / f"{DEFAULT}.json").read_text())
    known = {f"{kind}_{key.section}_{key.name}" for key in keys(Config) for kind in ("key", "help")}
    known |= {f"{kind}_{key.section}" for key in keys(Config) for kind in ("section", "about")}
    named = {
        word.partition(".")[2]
        for word in words
        if word.startswith(("settings.key_", "settings.help_", "settings.section_", "settings.about_"))
    }
    assert named <= known
