"""On which line a TOML text sets each key: tomli tells values apart from nothing else.

Only for text that tomli has accepted: the walk trusts its syntax (TOML 1.0) and stays iterative, however deep it nests.
"""

from __future__ import annotations

import re

import tomli

Path = tuple[str, ...]

_KEY = re.compile(r"""[ \t]*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})' + r"|'''.*?'''(?:'{0,2})" + r"""|"(?:[^"\\]|\\.)*"|'[^']*'""", re.DOTALL
)
_COMMENT = re.compile(r"#[^\n]*")
_SPACE = re.compile(r"[ \t]*")
_PLAIN = re.compile(r"[^\s,\]}#]*(?: [0-9][^\s,\]}#]*)?")  # numbers, booleans, dates: these may hold one blank
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")


def key_lines(text: str) -> dict[Path, int]:
    """Line (from 1) of every table header and key, by its path; of an array of tables the first one counts.

    Keys inside inline tables are found, tables inside arrays are not: they have the line of the array's key.
    """
    lines: dict[Path, int] = {}
    table: Path = ()
    at = 0
    while (at := _skip(_BLANK, text, at)) < len(text):
        if text[at] == "[":
            start = at
            while text[at] == "[":
                at += 1
            table, at = _dotted_key(text, at)
            _note(lines, (), table, text, start)
            at += 2 if text[start : start + 2] == "[[" else 1
        else:
            start = at
            path, at = _dotted_key(text, at)
            _note(lines, table, path, text, start)
            at = _value(lines, table + path, text, at + 1)
    return lines


def _value(lines: dict[Path, int], path: Path, text: str, at: int) -> int:
    """Step over one value, noting the keys of inline tables outside arrays; gives where it ends."""
    opened: list[tuple[str, Path]] = []  # each open bracket with the path of its table
    arrays = 0
    while True:
        at = _skip(_BLANK if opened else _SPACE, text, at)
        char = text[at : at + 1]
        if opened and opened[-1][0] == "{" and char not in "},":
            start = at
            key, at = _dotted_key(text, at)
            path = opened[-1][1] + key
            if not arrays:
                _note(lines, opened[-1][1], key, text, start)
            at = _skip(_BLANK, text, at + 1)
            char = text[at]
        if char and char in "{[":
            opened.append((char, path))
            arrays += char == "["
            at += 1
            continue
        if opened and char in "]}":
            opened.pop()
            arrays -= char == "]"
            at += 1
        elif opened and char == ",":
            at += 1
        elif found := _STRING.match(text, at):
            at = found.end()
        else:
            at = _skip(_PLAIN, text, at)
        if not opened:
            return at


def _dotted_key(text: str, at: int) -> tuple[Path, int]:
    """The parts of a dotted key and where it ends."""
    parts: list[str] = []
    while True:
        found = _KEY.match(text, at)
        assert found is not None  # tomli has read the same key
        part, at = found[1], found.end()
        parts.append(next(iter(tomli.loads(f"{part} = 0"))) if part[0] in "\"'" else part)
        if text[at : at + 1] != ".":
            return tuple(parts), at
        at += 1


def _note(lines: dict[Path, int], table: Path, key: Path, text: str, at: int) -> None:
    line = text.count("\n", 0, at) + 1
    for depth in range(1, len(key) + 1):
        lines.setdefault(table + key[:depth], line)


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found is not None else at
