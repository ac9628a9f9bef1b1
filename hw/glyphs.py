"""A small stroke font, drawn with soft edges at any size. Pure; needs no font file.

A glyph is a list of polylines on a grid 4 wide and 6 high (y down): "06 20 46|14 34" is an A.
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Coverage = npt.NDArray[np.float32]

_GRID_HEIGHT = 6
_STROKES = {
    "0": "10 30 41 45 36 16 05 01 10",
    "1": "11 20 26|16 36",
    "2": "01 10 30 41 42 06 46",
    "3": "01 10 30 41 42 33 13|33 44 45 36 16 05",
    "4": "36 30 04 44",
    "5": "40 00 03 33 44 45 36 16 05",
    "6": "41 30 10 01 05 16 36 45 44 33 03",
    "7": "00 40 16",
    "8": "13 02 01 10 30 41 42 33 13 04 05 16 36 45 44 33",
    "9": "43 13 02 01 10 30 41 45 36 16 05",
    "A": "06 20 46|14 34",
    "B": "00 06 36 45 44 33 03|33 42 41 30 00",
    "C": "41 30 10 01 05 16 36 45",
    "D": "00 06 36 45 41 30 00",
    "E": "40 00 06 46|03 33",
    "F": "40 00 06|03 33",
    "G": "41 30 10 01 05 16 36 45 43 23",
    "H": "00 06|40 46|03 43",
    "I": "20 26",
    "J": "30 35 26 16 05",
    "K": "00 06|40 03 46",
    "L": "00 06 46",
    "M": "06 00 23 40 46",
    "N": "06 00 46 40",
    "O": "10 30 41 45 36 16 05 01 10",
    "P": "06 00 30 41 42 33 03",
    "Q": "10 30 41 45 36 16 05 01 10|34 46",
    "R": "06 00 30 41 42 33 03|23 46",
    "S": "41 30 10 01 02 13 33 44 45 36 16 05",
    "T": "00 40|20 26",
    "U": "00 05 16 36 45 40",
    "V": "00 26 40",
    "W": "00 16 23 36 40",
    "X": "00 46|40 06",
    "Y": "00 23 40|23 26",
    "Z": "00 40 06 46",
    "-": "13 33",
    "_": "06 46",
    "+": "13 33|22 24",
    ".": "26 26",
    ",": "26 17",
    ":": "22 22|25 25",
    "'": "20 21",
    "!": "20 24|26 26",
    "?": "01 10 30 41 42 23 24|26 26",
    "/": "06 40",
    "(": "20 12 14 26",
    ")": "10 22 24 16",
    "#": "10 16|30 36|02 42|04 44",
    " ": "",
}
_TABULAR = frozenset("0123456789")  # digits keep one width, so that a clock stands still
_SPACE_WIDTH = 2.5


def _segments(char: str) -> list[tuple[float, float, float, float]]:
    segments = []
    for line in _STROKES[char].split("|"):
        points = [(float(point[0]), float(point[1])) for point in line.split()]
        segments += [(*a, *b) for a, b in pairwise(points)]
    return segments


def plain(text: str) -> str:
    """`text` in the letters this font has: upper case, no accents, '?' for what is missing."""
    decomposed = unicodedata.normalize("NFKD", text).upper()
    return "".join(c if c in _STROKES else "?" for c in decomposed if not unicodedata.combining(c))


def glyph(char: str, height: int) -> Coverage:
    """Coverage 0..1 of one character of `plain` text; `height` pixels high, with a margin around."""
    unit = height / _GRID_HEIGHT
    stroke = 0.42 * unit
    margin = max(1, round(1.1 * unit))
    segments = _segments(char)
    xs = [x for x0, _, x1, _ in segments for x in (x0, x1)]
    left, right = (0.0, 4.0) if char in _TABULAR else (min(xs, default=0.0), max(xs, default=_SPACE_WIDTH))
    columns, rows = round((right - left) * unit) + 2 * margin, height + 2 * margin
    x = (np.arange(columns, dtype=np.float32) + 0.5 - margin)[None, :] + left * unit
    y = (np.arange(rows, dtype=np.float32) + 0.5 - margin)[:, None]
    distance = np.full((rows, columns), np.inf, dtype=np.float32)
    for x0, y0, x1, y1 in segments:
        dx, dy = (x1 - x0) * unit, (y1 - y0) * unit
        along = ((x - x0 * unit) * dx + (y - y0 * unit) * dy) / max(dx * dx + dy * dy, 1e-6)
        along = np.clip(along, 0.0, 1.0)
        distance = np.minimum(distance, np.hypot(x - x0 * unit - along * dx, y - y0 * unit - along * dy))
    cover: Coverage = np.clip(stroke - distance + 0.5, 0.0, 1.0)
    return cover


def line(text: str, height: int) -> Coverage:
    """Coverage 0..1 of a line of text, any characters."""
    return np.concatenate([glyph(char, height) for char in plain(text) or " "], axis=1)
