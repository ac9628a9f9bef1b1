"""What the documents say about the program is what it does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance import cli
from appliance.config import Config, parse
from appliance.config_schema import Key, keys

ROOT = Path(__file__).parents[2]


def as_toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def table_row(key: Key) -> str:
    return f"| `{key.name}` | `{as_toml(key.default)}` | {key.allowed} | {key.help} |"


def test_every_key_stands_in_the_list_of_keys() -> None:
    section = ""
    documented = []
    for line in (ROOT / "docs" / "configuration.md").read_text().splitlines():
        if heading := re.fullmatch(r"## \[(\w+)\]", line):
            section = heading[1]
        elif line.startswith("| `"):
            documented.append((section, line))
    assert documented == [(key.section, table_row(key)) for key in keys(Config)]


@pytest.mark.parametrize("document", ["README.md", "docs/configuration.md"])
def test_configurations_in_the_documents_are_good(document: str) -> None:
    for text in re.findall(r"```toml\n(.*?)```", (ROOT / document).read_text(), re.DOTALL):
        parse(text, document)


def test_commands_of_the_readme_are_the_programs() -> None:
    table = (ROOT / "README.md").read_text().partition("## Commands")[2].partition("##")[0]
    for command in re.findall(r"^\| `(\w[\w-]*)", table, re.MULTILINE):
        if command != "room-appliance":
            with pytest.raises(SystemExit) as caught:
                cli.main([command, "--help"])
            assert caught.value.code == 0, command


def test_links_in_the_documents_lead_somewhere() -> None:
    for document in (
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "docs/calls.md",
        "docs/configuration.md",
        "docs/panel-protocol.md",
    ):
        for target in re.findall(r"(?<!!)\[[^\]]*\]\((?!https?:)([^)#]+)", (ROOT / document).read_text()):
            assert ((ROOT / document).parent / target).exists(), f"{document}: {target}"


def test_every_test_that_a_promise_of_security_names_is_there() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    file = ""
    for name in re.findall(r"`((?:[a-z_]+/)*[a-z_/]*(?:\.py)?(?:::test_\w+\*?)?)`", text):
        path, _, test = name.partition("::")
        if not (test or path.endswith((".py", "/"))):
            continue
        file = path or file
        assert (ROOT / "tests" / file).exists(), name
        if test:
            assert f"def {test.rstrip('*')}" in (ROOT / "tests" / file).read_text(), name
