from __future__ import annotations

import stat
from pathlib import Path

import pytest

from appliance.api_tokens import FILE_NAME, ApiTokenError, ApiTokens, create


def test_a_created_token_is_good_and_others_are_not(tmp_path: Path) -> None:
    tokens = ApiTokens(tmp_path, extra=("given",))
    token = create(tmp_path, "a label")
    assert tokens.verify(token)  # made after `tokens`
    assert tokens.verify("given")
    assert not tokens.verify(token + "x")
    assert not tokens.verify("")


def test_the_file_holds_no_token_and_is_private(tmp_path: Path) -> None:
    token = create(tmp_path / "new", "my\nlabel")
    second = create(tmp_path / "new")
    file = tmp_path / "new" / FILE_NAME
    assert token not in file.read_text()
    assert len(file.read_text().splitlines()) == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ApiTokens(tmp_path / "new").verify(second)


def test_a_token_taken_out_of_the_file_is_no_longer_good(tmp_path: Path) -> None:
    tokens = ApiTokens(tmp_path)
    token = create(tmp_path)
    assert tokens.verify(token)
    (tmp_path / FILE_NAME).unlink()
    assert not tokens.verify(token)


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
    assert ApiTokens(extra=("given",)).verify_header(header) is good


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ApiTokenError, match="file"):
        create(tmp_path / "file" / "state")
