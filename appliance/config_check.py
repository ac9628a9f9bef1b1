"""Turning parsed TOML into a configuration struct, with every problem found and none of its secrets told."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from appliance.config_schema import Key, keys, sections

C = TypeVar("C", bound=msgspec.Struct)

VALUE_LENGTH = 60  # characters of a wrong value that a message repeats
_USER_INFO = re.compile(r"//\S*@")


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` is the key's path; a list item's index is in `where`, which is the path in words."""

    path: tuple[str, ...]
    where: str
    what: str


@dataclass(slots=True)
class Checked:
    """The struct made of every good key, and what was wrong with the others."""

    sections: dict[str, msgspec.Struct] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def check(config: type[msgspec.Struct], document: Mapping[str, Any]) -> Checked:
    """Check each key of `document` by itself against the sections of `config`. Never raises."""
    structs = sections(config)
    described = {(key.section, key.name): key for key in keys(config)}
    checked = Checked()
    for section, struct in structs.items():
        good: dict[str, Any] = {}
        table = document.get(section, {})
        if not isinstance(table, dict):
            what = f"is {_kind(table)}; allowed is a table: a line [{section}] and its keys below it"
            checked.problems.append(Problem((section,), section, what))
            table = {}
        for name, value in table.items():
            if (key := described.get((section, name))) is None:
                checked.problems.append(_unknown((section, name), described))
            elif problems := _key_problems(struct, key, value):
                checked.problems.extend(problems)
            else:
                good[name] = value
        checked.sections[section] = msgspec.convert(good, struct)
    for name in document:
        if name not in structs:
            checked.problems.append(_unknown((name,), described))
    return checked


def _key_problems(struct: type[msgspec.Struct], key: Key, value: Any) -> list[Problem]:
    """Every key is optional, so a struct of this key alone says whether the value will do."""
    if _fits(struct, key.name, value):
        return []
    path, where = (key.section, key.name), f"{key.section}.{key.name}"
    if key.allowed_item and isinstance(value, list):
        bad = [index for index, item in enumerate(value) if not _fits(struct, key.name, [item])]
        if bad:
            return [
                Problem(
                    path, f"{where}[{index}]", f"= {shown(value[index], key.secret)}; allowed is {key.allowed_item}"
                )
                for index in bad
            ]
    return [Problem(path, where, f"= {shown(value, key.secret)}; allowed is {key.allowed}")]


def _fits(struct: type[msgspec.Struct], name: str, value: Any) -> bool:
    try:
        msgspec.convert({name: value}, struct)
    except (msgspec.ValidationError, ValueError, RecursionError):
        return False
    return True


def _unknown(path: tuple[str, ...], described: Mapping[tuple[str, str], Key]) -> Problem:
    """An unknown key's value is never shown: it may be a secret under a misspelled name."""
    names = list(dict.fromkeys(key.section for key in described.values()))
    if len(path) == 2:
        names = [key.name for key in described.values() if key.section == path[0]]
    near = difflib.get_close_matches(path[-1], names, 1)
    homes = [f"[{key.section}]" for key in described.values() if key.name == path[-1]]
    if near:
        what = f"is unknown; did you mean {near[0]}?"
    elif homes:
        what = f"is unknown; it belongs into {' or '.join(homes)}"
    else:
        what = f"is unknown; allowed {'keys' if len(path) == 2 else 'tables'} are {', '.join(names)}"
    return Problem(path, ".".join(shown_key(part) for part in path), what)


def shown(value: Any, secret: bool = False) -> str:
    """A value as a message may repeat it: short, on one line, without secrets or the user part of a URL."""
    if secret:
        return "(hidden)"
    if isinstance(value, (dict, list)):
        return _kind(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        value = _USER_INFO.sub("//(hidden)@", value)
        line = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in value[:VALUE_LENGTH])
        return f'"{line}"' if len(value) <= VALUE_LENGTH else f'"{line}…"'
    if isinstance(value, int) and value.bit_length() > 64:
        return "a huge integer"
    return str(value)


def shown_key(name: str) -> str:
    """A key in an error message: quoted when it is not a bare key."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) else shown(name)


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list of tables" if value and all(isinstance(item, dict) for item in value) else "a list"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    return "a number" if isinstance(value, (int, float)) else "a date or time"
