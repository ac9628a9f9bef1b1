"""The words of the pages: one file of `locales/` a language, `{"key": "words with {places}"}`. Another file there is
another language; `language.name` is what it calls itself. English has every key and helps out where one is missing."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

LOCALES = Path(__file__).parent / "locales"
DEFAULT = "en"
NAME_KEY = "language.name"

_PLACE = re.compile(r"\{(\w+)\}")


class Languages:
    """Reads its files: make it in a thread."""

    def __init__(self, directory: Path = LOCALES) -> None:
        files = {path.stem: path for path in sorted(directory.glob("*.json"))}
        words = {code: msgspec.json.decode(path.read_bytes(), type=dict[str, str]) for code, path in files.items()}
        self._words = {code: words[DEFAULT] | own for code, own in words.items()}

    @property
    def names(self) -> dict[str, str]:
        """What each language calls itself, by code."""
        return {code: words[NAME_KEY] for code, words in self._words.items()}

    def words(self, language: str) -> Mapping[str, str]:
        return self._words[language]

    def choose(self, wished: str, remembered: str, accepted: str) -> str:
        """The language of one page: what was asked for now, before, or by the browser (Accept-Language)."""
        for code in (wished, remembered):
            if code in self._words:
                return code
        return best(accepted, self._words.keys())


def fill(words: str, values: Mapping[str, object]) -> str:
    """`{place}` becomes its value; one that has none stays."""
    return _PLACE.sub(lambda place: str(values.get(place[1], place[0])), words)


def places(words: str) -> set[str]:
    """The names of the places to fill."""
    return set(_PLACE.findall(words))


def best(accepted: str, languages: Collection[str]) -> str:
    """The first of `languages` that an Accept-Language header (RFC 9110, 12.5.4) takes; "zh" serves "zh-CN" too."""
    ranges: list[tuple[float, int, str]] = []
    for index, item in enumerate(accepted.split(",")[:32]):
        tag, _, parameter = item.strip().lower().partition(";")
        ranges.append((-_weight(parameter), index, tag.strip()))
    for weight, _index, tag in sorted(ranges):
        if weight == 0:
            continue
        for code in (tag, tag.partition("-")[0]):
            if code in languages:
                return code
        if tag == "*":
            break
    return DEFAULT


def _weight(parameter: str) -> float:
    found = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", parameter)
    if not found:
        return 0.0 if parameter.strip() else 1.0
    return min(1.0, float(found[1]))
