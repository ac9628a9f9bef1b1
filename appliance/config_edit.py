"""Changing the text of a configuration file: the comments and the order that its owner gave it stay.

Everything here is text in, text out; nothing is checked but the grammar of TOML. Keys are named "section.key".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from appliance.config import Config
from appliance.config_schema import keys
from appliance.errors import ConfigError

Value = bool | int | str | list[int | str]
Changes = Mapping[str, Value | None]  # None: back to the default

SECRETS = tuple(f"{key.section}.{key.name}" for key in keys(Config) if key.secret)


def edit(text: str, changes: Changes) -> str:
    """`text` with these keys set, or taken out where the value is None. Raises `ConfigError` for what is not TOML."""
    document = _document(text)
    for name, value in changes.items():
        section, _, key = name.partition(".")
        if value is None:
            table = document.get(section)
            if isinstance(table, dict):
                table.pop(key, None)
            continue
        if not isinstance(document.get(section), dict):
            document[section] = tomlkit.table()
        document[section][key] = value
    return tomlkit.dumps(document)


def without(text: str, names: Iterable[str]) -> str:
    """`text` without these keys."""
    return edit(text, dict.fromkeys(names))


def value_of(text: str, name: str) -> Any:
    """What stands in `text` under "section.key", or None."""
    section, _, key = name.partition(".")
    table = _document(text).unwrap().get(section)
    return table.get(key) if isinstance(table, dict) else None


def with_secrets_of(text: str, old: str) -> str:
    """`text`, and from `old` every secret that `text` says nothing about."""
    kept = {name: value_of(old, name) for name in SECRETS if value_of(text, name) is None}
    return edit(text, {name: value for name, value in kept.items() if value is not None})


def _document(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as exc:
        raise ConfigError(f"not TOML: {exc}") from exc
