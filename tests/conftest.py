"""For all tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.rows import TABLE, read_rows, row_ids

# How long an example takes says more about what else runs here than about the code; a hang meets pytest-timeout.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rows = read_rows(TABLE.read_text())
    for item in items:
        unknown = [row for row in row_ids(item) if row not in rows]
        if unknown:
            raise pytest.UsageError(f"{item.nodeid}: {TABLE.name} has no row {', '.join(unknown)}")
