"""How many blocks the speaker gets: the lock-step thread's one decision. Its shell is in test_alsa.py."""

from __future__ import annotations

import pytest

from hw.alsa_duplex import blocks_due

PERIOD = 480


@pytest.mark.parametrize(
    ("queued", "heard", "due"),
    [
        (0, True, 1),
        (2 * PERIOD, True, 1),
        (3 * PERIOD, True, 1),
        (3 * PERIOD + 1, True, 0),  # no room: the speaker would be late for good
        (0, False, 3),
        (PERIOD, False, 2),
        (2 * PERIOD - 1, False, 1),
        (2 * PERIOD, False, 1),
        (2 * PERIOD + 1, False, 0),
        (4 * PERIOD, False, 0),
    ],
)
def test_blocks_due(queued: int, heard: bool, due: int) -> None:
    assert blocks_due(queued, heard) == due


def test_a_microphone_that_stops_leaves_the_speaker_running() -> None:
    """Looked at each 20 ms, with nothing heard, the queue neither runs dry nor over."""
    queued = 3 * PERIOD
    for _ in range(100):
        queued -= 2 * PERIOD
        assert queued > 0
        queued += blocks_due(queued, False) * PERIOD
        assert queued <= 4 * PERIOD
