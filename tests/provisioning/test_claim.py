from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning import claim
from provisioning.claim import ALPHABET, CODE_LENGTH, REOPENED_S, Claim, ClaimError, is_well_formed, new_secrets

CODES = st.builds(lambda: new_secrets().code)


def test_each_unit_has_a_code_of_its_own_that_lasts_and_that_nobody_else_reads(tmp_path: Path) -> None:
    first = claim.load_or_create(tmp_path / "one")
    assert claim.load_or_create(tmp_path / "one") == first
    assert claim.load_or_create(tmp_path / "two") != first
    assert stat.S_IMODE((tmp_path / "one" / claim.FILE_NAME).stat().st_mode) == 0o600
    assert first.shown.replace("-", "") == first.code
    assert is_well_formed(first.shown)


def test_what_is_drawn_is_random() -> None:
    drawn = [new_secrets() for _ in range(500)]
    assert len({one.code for one in drawn}) == len({one.key for one in drawn}) == 500
    assert {character for one in drawn for character in one.code[:-1]} == set(ALPHABET)


@given(code=CODES)
def test_a_code_is_read_as_people_write_it(code: str) -> None:
    unit = Claim(claim.ClaimSecrets(code, new_secrets().key), is_claimed=False)
    sloppy = code.lower().replace("0", "o").replace("1", "l")
    for written in (code, sloppy, f" {sloppy[:4]} - {sloppy[4:]}\n", unit.code):
        assert is_well_formed(written)
        assert unit.matches(written)
    assert not unit.matches(code[:-1])
    assert not unit.matches("")


@given(code=CODES, place=st.integers(0, CODE_LENGTH - 1), other=st.sampled_from(ALPHABET))
def test_one_wrong_character_is_seen_without_asking_the_unit(code: str, place: int, other: str) -> None:
    wrong = code[:place] + other + code[place + 1 :]
    assert is_well_formed(wrong) is (wrong == code)


@given(st.text())
def test_whatever_is_typed_is_told_apart(text: str) -> None:
    unit = Claim(new_secrets(), is_claimed=False)
    assert unit.matches(text) is (claim.normalized(text) == claim.normalized(unit.code))
    is_well_formed(text)


def test_the_code_opens_a_unit_once_and_again_only_in_set_up_mode() -> None:
    unit = Claim(new_secrets(), is_claimed=False)
    assert unit.is_open(0)
    unit.close()
    assert unit.is_open(0)  # nobody owns it yet
    unit.claimed()
    assert not unit.is_open(1)
    unit.reopen(1)
    assert unit.is_open(1 + REOPENED_S - 0.1)
    assert not unit.is_open(1 + REOPENED_S)
    unit.reopen(5000)
    unit.close()
    assert not unit.is_open(5001)
    unit.reopen(6000)
    unit.claimed()
    assert not unit.is_open(6001)


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"code": "4F7K2M9XB"}', b'{"code": "no", "key": "no"}', b"\xff"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / claim.FILE_NAME).write_bytes(damage)
    made = claim.load_or_create(tmp_path)
    assert claim.load_or_create(tmp_path) == made
    assert "a new claim code" in caplog.text
    assert made.code not in caplog.text


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClaimError, match="file"):
        claim.load_or_create(tmp_path / "file" / "state")
