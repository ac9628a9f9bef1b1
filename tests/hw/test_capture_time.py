"""When a picture was taken."""

from __future__ import annotations

import pytest

from hw.capture_time import capture_time


@pytest.mark.parametrize(
    ("stamp_s", "ahead_s", "captured_s"),
    [
        (99.9, 0.0, 99.9),
        (100.0, 0.0, 100.0),
        (None, 0.0, 100.0),
        (98.9, 0.0, 100.0),  # another clock's
        (0.0, 0.0, 100.0),
        (100.1, 0.0, 100.0),  # of the future
        (1.7e9, 0.0, 100.0),  # wall clock
        (3699.95, 3600.0, 99.95),  # slept for an hour since it started
    ],
)
def test_stamps_that_can_be_believed(stamp_s: float | None, ahead_s: float, captured_s: float) -> None:
    assert capture_time(stamp_s, 100.0, ahead_s) == pytest.approx(captured_s)
