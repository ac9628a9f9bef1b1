"""The table of vendors' names: none is missing, and each of ours is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.names import DATA, PAGE, VENDORS, Name, find, page, read_names
from tests.rows import TABLE, read_rows

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT.parent / "shared" / "reference" / "capabilities.md"
)  # what was read in the vendors' pages, where it is there
NAMED = ("method", "event", "field", "enum", "code")
COUNTS = {"TRTC": 67, "NERTC": 87, "SPARK": 111, "QN": 20, "RTM": 17}
NAMES = read_names(DATA.read_text())


def test_every_vendor_is_there_with_all_its_names() -> None:
    assert {vendor: sum(name.vendor == vendor for name in NAMES) for vendor in VENDORS} == COUNTS
    assert len({name.id for name in NAMES}) == len(NAMES)
    assert {name.kind for name in NAMES} == set(NAMED)


@pytest.mark.skipif(not PAGES.exists(), reason="what was read in the vendors' pages is not beside this tree")
def test_none_of_the_pages_names_is_missing() -> None:
    vendors, kinds = "|".join(VENDORS), "|".join(NAMED)
    found = re.findall(rf"^\| ((?:{vendors})-\w+) \| ({kinds}) \|", PAGES.read_text(), re.MULTILINE)
    assert {(name.id, name.kind) for name in NAMES} == set(found)


def test_each_of_our_names_is_there() -> None:
    rows = read_rows(TABLE.read_text())
    for name in NAMES:
        find(name.ours)
        assert name.row in rows


@pytest.mark.parametrize(
    "ours",
    ["Nothing", "RoomClient.fly", "PeerJoined.weight", 'Role["king"]', 'Kicked.reason["tired"]', "LeaveReason.BORED"],
)
def test_a_name_that_is_not_there_is_found_out(ours: str) -> None:
    with pytest.raises(LookupError):
        find(ours)


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text() == page(NAMES), "run python -m tests.names"
    assert page([Name("RTM-E06", "event", "TokenDidExpired", "TokenExpired", "U74")]).endswith(
        "| event | `TokenDidExpired` | `TokenExpired`, `token-expired` | U74 |\n"
    )
