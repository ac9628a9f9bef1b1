"""The file of the token secret: made once, private, rotated whole, followed by a hub that runs."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import ConfigError
from appliance.hub import token_secret
from appliance.hub.token_secret import follow, forget_previous, load_or_create_keys, load_or_create_secret, rotate
from appliance.hub.tokens import TokenKeys, TokenSigner
from tests.appliance.hub.wire import until

GOOD = b"ab" * 32
NOW_S = 1_800_000_000.0


def test_the_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "token-secret"
    secret = load_or_create_secret(path)
    assert len(secret) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_secret(path) == secret
    assert {file.name for file in path.parent.iterdir()} == {"token-secret", ".token-secret.lock"}
    assert load_or_create_secret(tmp_path / "other") != secret


def test_two_that_start_at_once_agree(tmp_path: Path) -> None:
    path = tmp_path / "token-secret"
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(load_or_create_secret, [path] * 32))) == 1


def test_a_secret_that_others_can_read_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "token-secret"
    secret = load_or_create_secret(path)
    path.chmod(0o644)
    assert load_or_create_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [b"", b"abcd", b"not hex at all", b"\xff\xfe", b"ab" * 31, GOOD + b"\nab", GOOD + b"\nx 1", GOOD + b"\n" + GOOD],
)
def test_a_damaged_secret_is_named_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token-secret"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"token-secret: .*; delete it"):
        load_or_create_secret(path)
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/token-secret"):
        load_or_create_secret(tmp_path / "file" / "token-secret")


# --- rotation


def test_the_file_keeps_both_secrets_and_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "token-secret"
    old = load_or_create_secret(path)
    keys = rotate(path, 600, NOW_S)
    assert (keys.previous, keys.previous_until) == (old, NOW_S + 600)
    assert keys.secret != old
    assert load_or_create_keys(path) == keys
    assert load_or_create_secret(path) == keys.secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_of_two_rotations_only_the_last_two_secrets_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "token-secret"
    load_or_create_keys(path)
    second = rotate(path, 600, NOW_S)
    third = rotate(path, 60, NOW_S)
    assert third.good(NOW_S) == (third.secret, second.secret)


def test_a_secret_that_leaked_is_kept_for_no_time(tmp_path: Path) -> None:
    path = tmp_path / "token-secret"
    load_or_create_keys(path)
    keys = rotate(path, 0, NOW_S)
    assert load_or_create_keys(path) == TokenKeys(keys.secret)
    rotate(path, 600, NOW_S)
    keys = forget_previous(path)
    assert load_or_create_keys(path) == keys == TokenKeys(keys.secret)


def test_a_rotation_that_cannot_be_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token-secret"
    keys = load_or_create_keys(path)

    def full(_path: Path, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(token_secret, "write_private", full)
        with pytest.raises(ConfigError, match="token-secret: No space left"):
            rotate(path, 60, NOW_S)
    assert load_or_create_keys(path) == keys


@given(data=st.one_of(st.binary(max_size=300), st.text("0123456789abcdef \n.-e", max_size=300).map(str.encode)))
def test_any_content_is_a_secret_or_named(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("state") / "token-secret"
    path.write_bytes(data)
    path.chmod(0o600)
    try:
        keys = load_or_create_keys(path)
    except ConfigError:
        return
    assert all(len(secret) >= 32 for secret in keys.good(NOW_S))


# --- a hub that runs


@asynccontextmanager
async def following(path: Path, signer: TokenSigner) -> AsyncIterator[None]:
    task = asyncio.create_task(follow(path, signer), name="follow")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_running_hub_follows_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_secret, "LOOK_S", 0.01)
    path = tmp_path / "token-secret"
    signer = TokenSigner(load_or_create_keys(path))
    async with following(path, signer):
        new = rotate(path, 600, NOW_S)
        await until(lambda: signer.keys == new)
        forgotten = forget_previous(path)
        await until(lambda: signer.keys == forgotten)


async def test_a_damaged_file_is_said_and_the_next_good_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(token_secret, "LOOK_S", 0.01)
    path = tmp_path / "token-secret"
    signer = TokenSigner(load_or_create_keys(path))
    before = signer.keys
    async with following(path, signer):
        path.write_bytes(b"nonsense")
        await until(lambda: "stays as it was" in caplog.text)
        assert signer.keys is before
        path.unlink()
        path.write_bytes(GOOD)
        await until(lambda: signer.keys == TokenKeys(bytes.fromhex(GOOD.decode())))
