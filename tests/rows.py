"""`make rows`: runs the tests that show a capability row, and prints each row of docs/capabilities.md with them.

    U14 tests/appliance/room/test_client.py::test_what_the_first_sees_of_the_second passed
    U47 missing

Status 1 when a row failed or has no test that passed. Arguments go to pytest.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TABLE = Path(__file__).parents[1] / "docs" / "capabilities.md"
_LINE = re.compile(r"\| ([A-Z]+\d+) \| (.+?) \| (\w+) \| (?:control|media) \|")
_RANK = ("skipped", "passed", "failed")  # of several runs of one test the worst; one that passed outweighs skips


@dataclass(frozen=True, slots=True)
class Row:
    """`name` is the row's own, of a row of T3 a sentence."""

    id: str
    name: str
    kind: str


def read_rows(text: str) -> dict[str, Row]:
    """By id, in the order of the document."""
    found = (Row(*match.groups()) for line in text.splitlines() if (match := _LINE.fullmatch(line)))
    return {row.id: row for row in found}


def row_ids(item: pytest.Item) -> list[str]:
    return [str(row) for marker in item.iter_markers("row") for row in marker.args]


def report(rows: Iterable[Row], shown: Mapping[str, Mapping[str, str]]) -> tuple[list[str], bool]:
    """The lines, and whether all is well. `shown`: by row, the outcome of each of its tests."""
    lines, good = [], True
    for row in rows:
        tests = shown.get(row.id, {})
        outcomes = set(tests.values())
        status = next((outcome for outcome in ("failed", "passed") if outcome in outcomes), "missing")
        good = good and status == "passed"
        lines.append(" ".join([row.id, *tests, status]))
    return lines, good


@dataclass(slots=True)
class Watch:
    """A plug-in of pytest that writes down what became of the marked tests."""

    shown: dict[str, dict[str, str]] = field(default_factory=dict)
    _ids: dict[str, list[str]] = field(default_factory=dict)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self._ids[item.nodeid] = row_ids(item)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            test = report.nodeid.partition("[")[0]
            for row in self._ids.get(report.nodeid, ()):
                known = self.shown.setdefault(row, {})
                known[test] = max(known.get(test, report.outcome), report.outcome, key=_RANK.index)


def main(arguments: list[str]) -> int:
    watch = Watch()
    status = pytest.main(["-m", "row", "-q", *arguments], plugins=[watch])
    lines, good = report(read_rows(TABLE.read_text()).values(), watch.shown)
    print("\n".join(lines))  # noqa: T201
    return 0 if good and status is pytest.ExitCode.OK else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
