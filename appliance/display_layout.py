"""Who is shown where on the unit's own screen. Pure.

    one             two                three, four        more, or a shared screen (or layout "speaker")
    +-----------+   +-----+-----+      +-----+-----+      +-----------+---+
    |           |   |     |     |      |  a  |  b  |      |           | b |
    |     a     |   |  a  |  b  |      +-----+-----+      |     a     +---+
    |           |   |     |     |      |  c  |  d  |      |           | c |
    +-----------+   +-----+-----+      +-----+-----+      +-----------+---+

An upright screen has two below each other, and the small ones at its lower edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hw.placing import Area

Layout = Literal["auto", "grid", "speaker"]

MAX_GRID = 4  # faces that are still large enough across a room
MAX_SMALL = 4  # beside a large one
SMALL_SHARE = 0.22  # of the longer side


@dataclass(frozen=True, slots=True)
class Shown:
    """Somebody to be shown: `key` is unique; a shared screen is shown whole, a face may be cut."""

    key: str
    is_screen: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    key: str
    area: Area
    crop: bool


def arrange(width: int, height: int, users: Sequence[Shown], speaker: str | None, layout: Layout) -> list[Placed]:
    """The places of `users` (in the order of their arrival) on a screen of this size; some may have none.

    The shared screen, else the `speaker` (a key), else the first is the large one where one is.
    """
    if not users:
        return []
    screen = next((user for user in users if user.is_screen), None)
    if len(users) == 1:
        return [Placed(users[0].key, Area(0, 0, width, height), crop=False)]
    if screen is None and (layout == "grid" or (layout == "auto" and len(users) <= MAX_GRID)):
        return _grid(width, height, users)
    large = screen or next((user for user in users if user.key == speaker), users[0])
    return _beside(width, height, large, [user for user in users if user is not large][:MAX_SMALL])


def _grid(width: int, height: int, users: Sequence[Shown]) -> list[Placed]:
    across = math.ceil(math.sqrt(len(users)))
    down = math.ceil(len(users) / across)
    if height > width:
        across, down = down, across
    placed = []
    for number, user in enumerate(users):
        row, column = divmod(number, across)
        x, right = column * width // across, (column + 1) * width // across
        y, bottom = row * height // down, (row + 1) * height // down
        placed.append(Placed(user.key, Area(x, y, right - x, bottom - y), crop=True))
    return placed


def _beside(width: int, height: int, large: Shown, small: Sequence[Shown]) -> list[Placed]:
    upright = height > width
    strip = round(SMALL_SHARE * max(width, height))
    if upright:
        areas = [Area(n * width // len(small), height - strip, width // len(small), strip) for n in range(len(small))]
        rest = Area(0, 0, width, height - strip)
    else:
        tall = min(height // len(small), strip * 3 // 4)
        top = (height - tall * len(small)) // 2
        areas = [Area(width - strip, top + n * tall, strip, tall) for n in range(len(small))]
        rest = Area(0, 0, width - strip, height)
    others = [Placed(user.key, area, crop=True) for user, area in zip(small, areas, strict=True)]
    return [Placed(large.key, rest, crop=False), *others]
