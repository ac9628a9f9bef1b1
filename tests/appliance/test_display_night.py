from __future__ import annotations

import datetime

import pytest

from appliance.display_night import is_night, seconds_to_next_minute


@pytest.mark.parametrize(
    ("night", "now", "expected"),
    [
        ("22:00-06:30", "21:59", False),
        ("22:00-06:30", "22:00", True),
        ("22:00-06:30", "03:00", True),
        ("22:00-06:30", "06:29", True),
        ("22:00-06:30", "06:30", False),
        ("12:00-13:00", "11:59", False),
        ("12:00-13:00", "12:30", True),
        ("12:00-13:00", "13:00", False),
        ("00:00-00:00", "15:00", True),
        ("", "03:00", False),
    ],
)
def test_the_night(night: str, now: str, expected: bool) -> None:
    assert is_night(night, datetime.time.fromisoformat(now)) is expected


@pytest.mark.parametrize("night", ["22-6", "24:00-06:00", "22:00", "22:00-06:00 "])
def test_what_is_no_night(night: str) -> None:
    with pytest.raises(ValueError, match="no time"):
        is_night(night, datetime.time(3))


def test_the_clock_is_right_at_each_minute() -> None:
    now = datetime.datetime(2026, 11, 28, 23, 59, 59, 999_000, tzinfo=datetime.UTC)
    assert 0 < seconds_to_next_minute(now) < 0.002
    assert seconds_to_next_minute(now.replace(second=0, microsecond=0)) == 60.0
