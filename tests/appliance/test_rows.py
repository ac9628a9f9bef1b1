"""The table of capabilities, the marks of the tests and the report of `make rows`."""

from __future__ import annotations

import re
from pathlib import Path

from tests.rows import TABLE, Row, read_rows, report

TESTS = Path(__file__).parents[1]
MARK = re.compile(r"mark\.row\(([^)]*)\)")


def marked() -> set[str]:
    """The rows that any test says it shows."""
    return {
        row
        for file in TESTS.rglob("test_*.py")
        for arguments in MARK.findall(file.read_text())
        for row in re.findall(r"[A-Z]+\d+", arguments)
    }


def test_every_row_has_a_test() -> None:
    assert marked() == set(read_rows(TABLE.read_text()))


def test_the_table_has_every_row() -> None:
    rows = read_rows(TABLE.read_text())
    for letters, last in (("U", 93), ("TR", 16), ("OR", 10), ("IL", 30), ("RS", 24)):
        assert [row for row in rows if row.rstrip("0123456789") == letters] == [
            f"{letters}{number:02}" for number in range(1, last + 1)
        ]


def test_what_the_report_says() -> None:
    rows = [Row(name, name, "event") for name in ("U01", "U02", "U03")]
    passed = {"U01": {"a": "passed", "b": "skipped"}, "U02": {"a": "passed"}, "U03": {"c": "passed"}}
    assert report(rows, passed) == (["U01 a b passed", "U02 a passed", "U03 c passed"], True)
    failed = passed | {"U02": {"a": "passed", "b": "failed"}}
    assert report(rows, failed) == (["U01 a b passed", "U02 a b failed", "U03 c passed"], False)
    for nothing in ({}, {"c": "skipped"}):
        lines, good = report(rows, passed | {"U03": nothing})
        assert (lines[2].split()[-1], good) == ("missing", False)
