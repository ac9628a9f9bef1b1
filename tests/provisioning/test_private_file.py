from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from provisioning.private_file import locked, write_private


def test_a_file_is_for_its_owner_alone_and_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "new" / "secret"
    write_private(file, b"one")
    os.chmod(file, 0o644)
    write_private(file, b"two")
    assert file.read_bytes() == b"two"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["secret"]


@pytest.mark.parametrize("step", ["fsync", "replace", "fdopen"])
def test_a_disk_that_fails_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file = tmp_path / "secret"
    write_private(file, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path if step == "replace" else os, step, fail)
    with pytest.raises(OSError, match="No space"):
        write_private(file, b"new")
    monkeypatch.undo()
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


COUNT = """
import sys
from pathlib import Path
from provisioning.private_file import locked, write_private
file = Path(sys.argv[1])
for _ in range(50):
    with locked(file):
        write_private(file, str(int(file.read_bytes()) + 1).encode())
"""


def test_two_programs_that_read_and_write_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "count"
    write_private(file, b"0")
    both = [subprocess.Popen([sys.executable, "-c", COUNT, str(file)]) for _ in range(2)]
    assert [one.wait(30) for one in both] == [0, 0]
    assert file.read_bytes() == b"100"


def test_a_lock_is_free_again_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "file"):
        raise KeyError
    with locked(tmp_path / "file"):
        pass
