from __future__ import annotations

import asyncio
import logging
import stat
import threading
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from provisioning.password import (
    FILE_NAME,
    MAX_LENGTH,
    MAX_WAITING,
    OwnerPassword,
    PasswordBusyError,
    PasswordError,
    checked,
)
from tests.provisioning.owner import FAST


async def test_only_the_password_that_was_set_is_right(tmp_path: Path) -> None:
    password = OwnerPassword(tmp_path / FILE_NAME, FAST)
    assert not password.is_set
    assert not await password.verify("")
    assert not await password.verify("anything at all")
    await password.set("correct horse")
    assert password.is_set
    assert await password.verify("correct horse")
    for wrong in ("correct hors", "Correct horse", "", "x" * 10_000):
        assert not await password.verify(wrong)
    again = OwnerPassword(tmp_path / FILE_NAME, FAST)
    assert again.is_set
    assert await again.verify("correct horse")


async def test_what_is_kept_is_an_argon2id_hash_that_nobody_else_reads(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    await OwnerPassword(file).set("correct horse")  # with the parameters of the product
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in file.read_text()
    assert "correct" not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_hash_of_other_parameters_is_made_anew_at_the_next_log_in(tmp_path: Path) -> None:
    await OwnerPassword(tmp_path / FILE_NAME, FAST).set("correct horse")
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    assert await OwnerPassword(tmp_path / FILE_NAME, stronger).verify("correct horse")
    assert "m=16,t=2" in (tmp_path / FILE_NAME).read_text()


@pytest.mark.parametrize("password", ["", "1234567", "x" * (MAX_LENGTH + 1), "pass\nword", "pass\x00word"])
async def test_a_password_that_cannot_be_is_refused(tmp_path: Path, password: str) -> None:
    with pytest.raises(PasswordError, match="a password has"):
        await OwnerPassword(tmp_path / FILE_NAME, FAST).set(password)
    assert not (tmp_path / FILE_NAME).exists()


async def test_two_keyboards_type_the_same_password() -> None:
    password = OwnerPassword(None, FAST)
    await password.set("cafe\u0301 au lait")  # e and an accent
    assert await password.verify("caf\u00e9 au lait")
    assert checked("\uff41bcdefgh") == "abcdefgh"  # full width


async def test_a_damaged_file_opens_the_unit_to_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE_NAME).write_text('{"password": "plain"}')
    password = OwnerPassword(tmp_path / FILE_NAME, FAST)
    assert password.is_set
    assert not await password.verify("plain")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_disk_that_refuses_keeps_the_old_password(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    password = OwnerPassword(directory / FILE_NAME, FAST)
    await password.set("correct horse")
    (directory / FILE_NAME).unlink()
    directory.rmdir()
    directory.write_text("no directory")
    with pytest.raises(PasswordError, match="cannot be kept"):
        await password.set("battery staple")
    assert await password.verify("correct horse")


class SlowHasher(PasswordHasher):
    """Hashes when it is let."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.go = threading.Event()
        self.begun = threading.Event()
        self.at_once = self.most_at_once = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.set()
        self.go.wait(10)
        self.at_once -= 1
        return super().verify(hash, password)


async def test_one_is_checked_at_a_time_off_the_loop_and_few_wait() -> None:
    hasher = SlowHasher()
    password = OwnerPassword(None, hasher)
    await password.set("correct horse")
    checks = [asyncio.create_task(password.verify("correct horse"), name=f"check {n}") for n in range(MAX_WAITING)]
    assert await asyncio.to_thread(hasher.begun.wait, 5)  # the loop goes on meanwhile
    with pytest.raises(PasswordBusyError, match="try again"):
        await password.verify("correct horse")
    checks[0].cancel()  # a visitor goes away; its thread keeps the turn until it is done
    checks[1].cancel()
    hasher.go.set()
    results = await asyncio.gather(*checks, return_exceptions=True)
    assert results[2:] == [True] * (MAX_WAITING - 2)
    assert hasher.most_at_once == 1
    assert await password.verify("correct horse")
