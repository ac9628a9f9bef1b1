from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.config_lines import key_lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", {}),
        ("a = 1\nb = 2", {("a",): 1, ("b",): 2}),
        ("# a = 1\n\n[t] # [x]\n\tk='v'\r\nl = 2 # m = 3\n", {("t",): 3, ("t", "k"): 4, ("t", "l"): 5}),
        ('[t]\nk = """\nx = 1\n[y]\n\\""" \n"""\nl = 2', {("t",): 1, ("t", "k"): 2, ("t", "l"): 7}),
        ("k = '''\n''''\nl = ''''x'''\nm = 1", {("k",): 1, ("l",): 3, ("m",): 4}),
        ('k = """a"""""\nl = 1', {("k",): 1, ("l",): 2}),
        ('[t]\nk = [\n 1, # ]\n "]", [\n2], ]\nl = 2', {("t",): 1, ("t", "k"): 2, ("t", "l"): 6}),
        ("t.k = 1\nt.l=2", {("t",): 1, ("t", "k"): 1, ("t", "l"): 2}),
        ("[ a . \"b c\" ]\n'd' = 1", {("a",): 1, ("a", "b c"): 1, ("a", "b c", "d"): 2}),
        (
            "t = { k = 1, l = [ { x = 1 } ], m.n = '}' }\nu = 1",
            {("t",): 1, ("t", "k"): 1, ("t", "l"): 1, ("t", "m"): 1, ("t", "m", "n"): 1, ("u",): 2},
        ),
        ("[[t]]\nk = 1\n[[t]]\nk = 2", {("t",): 1, ("t", "k"): 2}),
        ("d = 1979-05-27 07:32:00\nt = 07:32:00\nf = 6.6e-34\nn = 1", {("d",): 1, ("t",): 2, ("f",): 3, ("n",): 4}),
    ],
)
def test_lines(text: str, lines: dict[tuple[str, ...], int]) -> None:
    tomli.loads(text)
    assert key_lines(text) == lines


# --- texts made from structures: the walk must find the very keys that tomli found

KEYS = st.text(st.characters(codec="utf-8"), max_size=5)
SCALARS = st.one_of(
    st.booleans().map(lambda value: str(value).lower()),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: repr(float(value))),
    st.datetimes().map(lambda value: value.isoformat(" ")),
    st.times().map(lambda value: value.isoformat()),
    st.text(st.characters(codec="utf-8"), max_size=9).map(lambda value: quoted(value)),
    st.text("a'\"#]}=,\n \\", max_size=9).map(lambda value: f'"""{escaped(value)}"""'),
    st.text('a"#]}=,\n \\', max_size=9).map(lambda value: f"'''{value}'''"),
)
GAPS = st.sampled_from(["", " ", "\n", " # ] } , = \n", "\t\n\n"])


def escaped(text: str) -> str:
    return "".join(char if char.isalnum() or char in " \n#]}=,'" else f"\\U{ord(char):08x}" for char in text)


def quoted(text: str) -> str:
    return '"' + escaped(text).replace("\n", "\\n") + '"'


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> str:
    kind = draw(st.sampled_from(["scalar", "list", "table"])) if depth else "scalar"
    if kind == "list":
        gap = draw(GAPS)
        return "[" + "".join(f"{gap}{item}{gap}," for item in draw(st.lists(values(depth - 1), max_size=3))) + gap + "]"
    if kind == "table":
        table = draw(st.dictionaries(KEYS, values(depth - 1), max_size=3))
        return "{" + ", ".join(f"{quoted(key)} = {value}" for key, value in table.items()) + "}"
    scalar: str = draw(SCALARS)
    return scalar


@st.composite
def documents(draw: st.DrawFn) -> str:
    lines = []
    for name, table in draw(st.dictionaries(KEYS, st.dictionaries(KEYS, values(), max_size=4), max_size=4)).items():
        lines.append(f"[{quoted(name)}] # {draw(st.text('a[]=', max_size=4))}")
        lines += [f"{quoted(key)} = {value}{draw(st.sampled_from(['', ' # x = 1']))}" for key, value in table.items()]
    return "\n".join(lines)


def paths(table: Mapping[str, Any], base: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found = set()
    for key, value in table.items():
        found.add((*base, key))
        if isinstance(value, dict):
            found |= paths(value, (*base, key))
    return found


@settings(max_examples=60, deadline=None)
@given(documents())
def test_finds_every_key_on_a_line_that_names_it(text: str) -> None:
    lines = key_lines(text)
    assert set(lines) == paths(tomli.loads(text))
    for path, line in lines.items():
        assert quoted(path[-1]) in text.split("\n")[line - 1]
