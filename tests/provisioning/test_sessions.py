from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from provisioning.sessions import (
    FILE_NAME,
    IDLE_S,
    LONGEST_S,
    MAX_SESSIONS,
    SAVE_EVERY_S,
    Sessions,
    csrf_token,
)


def test_a_session_is_found_by_its_id_and_by_nothing_else() -> None:
    sessions = Sessions(None, 0)
    made = sessions.begin("admin", 0)
    found = sessions.find(made, 1)
    assert found is not None
    assert found.scope == "admin"
    for other in ("", made[:-1], made + "x", found.digest, csrf_token(made)):
        assert sessions.find(other, 1) is None
    assert sessions.begin("admin", 0) != made


def test_a_session_ends_when_it_is_not_used_and_in_any_case_after_a_month() -> None:
    sessions = Sessions(None, 0)
    idle, used = sessions.begin("admin", 0), sessions.begin("admin", 0)
    now_s = 0.0
    while now_s < LONGEST_S - IDLE_S / 2:
        now_s += IDLE_S / 2
        assert (sessions.find(used, now_s) is not None) is (now_s < LONGEST_S)
    assert sessions.find(idle, IDLE_S) is None
    assert sessions.find(used, LONGEST_S) is None


def test_sessions_end_alone_all_but_one_and_with_their_token() -> None:
    sessions = Sessions(None, 0)
    first, second, third = (sessions.begin("read", 0, token_id=token) for token in ("", "", "t"))
    found = sessions.find(first, 0)
    assert found is not None
    assert sessions.is_alive(found, 0)
    sessions.end(found)
    assert not sessions.is_alive(found, 0)
    assert sessions.find(first, 0) is None
    sessions.end_of_token("t")
    assert sessions.find(third, 0) is None
    sessions.end_all(but=sessions.find(second, 0))
    assert sessions.find(second, 0) is not None
    sessions.end_all()
    assert sessions.find(second, 0) is None


def test_the_oldest_makes_room() -> None:
    sessions = Sessions(None, 0)
    made = [sessions.begin("admin", n) for n in range(MAX_SESSIONS + 1)]
    assert sessions.find(made[0], 100) is None
    assert sessions.find(made[1], 100) is not None


def test_a_restart_signs_nobody_out_and_gives_nobody_more_time(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    before = Sessions(file, 1000)
    made = before.begin("control", 1000, token_id="t")
    before.save(before.snapshot(1000 + IDLE_S - 10))
    assert made not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = Sessions(file, 5).find(made, 14)  # the clock starts anew
    assert found is not None
    assert (found.scope, found.token_id) == ("control", "t")
    assert Sessions(file, 5).find(made, 15) is None


def test_ages_go_to_the_disk_now_and_then() -> None:
    sessions = Sessions(None, 0)
    assert not sessions.is_due(SAVE_EVERY_S - 1)
    assert sessions.is_due(SAVE_EVERY_S)
    sessions.snapshot(SAVE_EVERY_S)
    assert not sessions.is_due(SAVE_EVERY_S + 1)


@pytest.mark.parametrize("damage", [b"", b"[1]", b'[{"digest": "x"}]', b"\xff"])
def test_a_damaged_file_signs_everybody_out(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(damage)
    sessions = Sessions(tmp_path / FILE_NAME, 0)
    assert msgspec.json.decode(sessions.snapshot(0)) == []
