"""What a microphone's driver may not deliver."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from appliance.media.plausible import MAX_AHEAD_S, block_fault
from hw import BLOCK_FRAMES, AudioBlock

NOW_S = 1000.0
GOOD = np.zeros(BLOCK_FRAMES, np.int16)


def test_a_block_of_sound() -> None:
    assert block_fault(AudioBlock(GOOD, NOW_S), NOW_S) == ""
    assert block_fault(AudioBlock(GOOD[::-1], NOW_S - 5), NOW_S) == ""
    assert block_fault(AudioBlock(GOOD, NOW_S + MAX_AHEAD_S / 2), NOW_S) == ""


@pytest.mark.parametrize(
    ("delivered", "words"),
    [
        (None, "a NoneType is no sound"),
        (GOOD, "a ndarray is no sound"),
        (AudioBlock(b"\0\0", NOW_S), "samples are a bytes"),  # type: ignore[arg-type]
        (AudioBlock(GOOD[:-1], NOW_S), r"shape \(479,\)"),
        (AudioBlock(GOOD.reshape(-1, 1), NOW_S), r"shape \(480, 1\)"),
        (AudioBlock(GOOD.astype(np.float32), NOW_S), "float32"),
        (AudioBlock(GOOD.astype(">i2"), NOW_S), ">i2"),
        (AudioBlock(GOOD, math.nan), "captured at nan"),
        (AudioBlock(GOOD, math.inf), "captured at inf"),
        (AudioBlock(GOOD, "now"), "captured at 'now'"),  # type: ignore[arg-type]
        (AudioBlock(GOOD, NOW_S + 2 * MAX_AHEAD_S), "captured at 1002.0"),
    ],
)
def test_what_is_none(delivered: object, words: str) -> None:
    assert re.search(words, block_fault(delivered, NOW_S))
