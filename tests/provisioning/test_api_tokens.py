from __future__ import annotations

import stat
from pathlib import Path

import pytest

from provisioning.api_tokens import FILE_NAME, GIVEN_ID, MAX_TOKENS, ApiTokenError, ApiTokens


def test_a_made_token_is_good_and_others_are_not(tmp_path: Path) -> None:
    tokens = ApiTokens(tmp_path, extra=("given",))
    made, token = ApiTokens(tmp_path).create("a name", "read")  # by another program
    found = tokens.find(token)
    assert found is not None
    assert (found.id, found.name, found.scope) == (made.id, "a name", "read")
    given = tokens.find("given")
    assert given is not None
    assert (given.id, given.scope) == (GIVEN_ID, "admin")
    assert tokens.find(token + "x") is None
    assert tokens.find("") is None


def test_the_file_holds_no_token_and_is_private(tmp_path: Path) -> None:
    tokens = ApiTokens(tmp_path / "new")
    _, token = tokens.create("my\nname", "admin")
    file = tmp_path / "new" / FILE_NAME
    assert token not in file.read_text()
    assert [one.name for one in tokens.stored()] == ["my name"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_revoked_token_is_no_longer_good_here_and_in_the_other_program(tmp_path: Path) -> None:
    tokens, other = ApiTokens(tmp_path), ApiTokens(tmp_path)
    kept, _ = tokens.create("kept", "read")
    made, token = tokens.create("", "control")
    assert other.find(token) is not None
    assert other.revoke(made.id)
    assert not other.revoke(made.id)
    assert tokens.find(token) is None
    assert [one.id for one in tokens.stored()] == [kept.id]
    (tmp_path / FILE_NAME).unlink()
    assert tokens.stored() == []


def test_its_last_use_is_known_at_once_and_kept_now_and_then(tmp_path: Path) -> None:
    tokens = ApiTokens(tmp_path)
    _, token = tokens.create("", "read")
    assert tokens.stored()[0].last_used is None
    assert not tokens.is_due(1000)
    tokens.find(token)
    assert tokens.stored()[0].last_used is not None
    assert ApiTokens(tmp_path).stored()[0].last_used is None
    assert tokens.is_due(1000)
    tokens.save_used(1000)
    assert ApiTokens(tmp_path).stored()[0].last_used is not None
    tokens.find(token)
    assert not tokens.is_due(1001)  # cards wear out


def test_there_is_an_end_to_their_number(tmp_path: Path) -> None:
    tokens = ApiTokens(tmp_path)
    for _ in range(MAX_TOKENS):
        tokens.create("", "read")
    with pytest.raises(ApiTokenError, match="revoke one"):
        tokens.create("", "read")


@pytest.mark.parametrize(
    ("header", "good"),
    [
        ("Bearer given", True),
        ("bearer given", True),
        ("Bearer  given ", True),
        ("Bearer wrong", False),
        ("Bearer", False),
        ("Basic given", False),
        ("given", False),
        ("", False),
        (None, False),
    ],
)
def test_the_authorization_header(header: str | None, good: bool) -> None:
    assert (ApiTokens(extra=("given",)).find_bearer(header) is not None) is good


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ApiTokenError, match="file"):
        ApiTokens(tmp_path / "file" / "state").create("", "read")


@pytest.mark.parametrize("damage", [b"", b'[{"id": 1}]', b"\xff", b"{}"])
def test_a_damaged_file_lets_nobody_in_and_is_named_once(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = ApiTokens(tmp_path, extra=("given",))
    _, token = tokens.create("", "admin")
    (tmp_path / FILE_NAME).write_bytes(damage)
    assert tokens.find(token) is None
    assert tokens.find(token) is None
    assert tokens.find("given") is not None
    assert len([record for record in caplog.records if FILE_NAME in record.getMessage()]) == 1
    with pytest.raises(ApiTokenError, match="delete it"):
        tokens.create("", "read")
