"""Uploaded logs on the disk: so many, so large, private, and the oldest go first."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.hub import log_store
from appliance.hub.log_store import LogStore


def names(store: LogStore) -> list[str]:
    return [log.name for log in store.list()]


def test_what_was_added_can_be_read(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "logs")
    assert store.list() == []
    assert store.add("anna", "all is well\n") == "00000001-anna.log"
    assert store.add("../../etc/pass wd\n", "ü\ud800") == "00000002-.._.._etc_pass_wd_.log"
    assert [store.read(name) for name in names(store)] == ["all is well\n", "ü?"]
    assert [log.bytes for log in store.list()] == [12, 3]
    assert (tmp_path / "logs" / "00000001-anna.log").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", "../secret", "00000001-anna.log/..", "00000009-anna.log", "secret"])
def test_nothing_else_can_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "secret").write_text("x")
    store = LogStore(tmp_path / "logs")
    store.add("anna", "all is well")
    assert store.read(name) is None


def test_the_oldest_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_store, "MAX_FILES", 3)
    monkeypatch.setattr(log_store, "MAX_BYTES", 100)
    store = LogStore(tmp_path)
    for number in range(5):
        store.add(str(number), "x" * 10)
    assert names(store) == ["00000003-2.log", "00000004-3.log", "00000005-4.log"]
    store.add("big", "x" * 85)
    assert names(store) == ["00000005-4.log", "00000006-big.log"]
    store = LogStore(tmp_path)
    assert store.add("next", "y") == "00000007-next.log"
