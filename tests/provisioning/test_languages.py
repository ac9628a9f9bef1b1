"""Words of the pages: every language has every word, and a reader gets the one that they ask for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import appliance
from provisioning.assets import STATIC
from provisioning.languages import DEFAULT, LOCALES, NAME_KEY, Languages, best, fill, places
from provisioning.portal import TEMPLATES

FILES = sorted(LOCALES.glob("*.json"))
ENGLISH: dict[str, str] = json.loads((LOCALES / f"{DEFAULT}.json").read_text())


def used() -> dict[str, set[str]]:
    """Key -> the files that name it: `_("key"` in templates and scripts."""
    found: dict[str, set[str]] = {}
    for path in [*TEMPLATES.glob("*.html"), *STATIC.glob("*.js")]:
        for key in re.findall(r"""\b_\(\s*["']([a-z_]+\.[^"'`$]+?)["']\s*[,)]""", path.read_text()):
            found.setdefault(key, set()).add(path.name)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_language_has_every_word(path: Path) -> None:
    words: dict[str, str] = json.loads(path.read_text())
    assert words.keys() == ENGLISH.keys()
    assert words[NAME_KEY]
    for key, text in words.items():
        assert text.strip(), key
        assert places(text) == places(ENGLISH[key]), key


def test_every_word_that_a_page_asks_for_is_there() -> None:
    asked = used()
    assert len(asked) > 100
    assert {key: files for key, files in asked.items() if key not in ENGLISH} == {}


def test_scripts_ask_only_for_the_words_that_their_page_brings() -> None:
    """A page carries `common.` and its own: `panel.js` must not ask for a word of the home page."""
    for key, files in used().items():
        for file in files:
            if not file.endswith(".js") or key.startswith("common."):
                continue
            page = key.partition(".")[0]
            assert file.startswith(page), f"{file} asks for {key}"


def test_every_supervised_part_has_words_in_the_diagnostics() -> None:
    sources = "".join(path.read_text() for path in Path(appliance.__path__[0]).glob("*.py"))
    parts = set(re.findall(r'ChildSpec\(\s*"([a-z-]+)"', sources))
    assert len(parts) > 8
    assert {part for part in parts if f"diagnostics.part_{part}" not in ENGLISH} == set()


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh", "zh"),
        ("ZH-Hant-TW", "zh"),
        ("de-DE,de;q=0.9,zh;q=0.5,en;q=0.4", "zh"),
        ("en;q=0.1,zh;q=0.2", "zh"),
        ("zh;q=0", "en"),
        ("fr, *;q=0.5", "en"),
        ("zh;q=nonsense,en", "en"),
        ("*", "en"),
    ],
)
def test_the_browser_says_what_its_reader_speaks(accepted: str, language: str) -> None:
    assert best(accepted, ["en", "zh"]) == language


@given(st.text(max_size=200))
def test_any_header_gives_a_language(accepted: str) -> None:
    assert best(accepted, ["en", "zh"]) in ("en", "zh")


def test_what_was_asked_for_comes_before_what_was_remembered() -> None:
    languages = Languages()
    assert languages.choose("zh", "en", "en") == "zh"
    assert languages.choose("", "zh", "en") == "zh"
    assert languages.choose("xx", "../en", "zh") == "zh"


def test_another_file_is_another_language(tmp_path: Path) -> None:
    (tmp_path / "en.json").write_text('{"language.name": "English", "a.b": "one {count}"}')
    (tmp_path / "de.json").write_text('{"language.name": "Deutsch"}')
    languages = Languages(tmp_path)
    assert languages.names == {"de": "Deutsch", "en": "English"}
    assert languages.words("de")["a.b"] == "one {count}"  # English helps out


def test_places_are_filled_and_others_stay() -> None:
    assert fill("{a} of {b}", {"a": 1}) == "1 of {b}"
    assert fill("{__class__}", {}) == "{__class__}"
