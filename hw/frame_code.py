"""A number written into a picture, readable after scaling and hard compression. Pure.

Geometry, as fractions of the picture, so that every size and a browser's canvas read it alike. The strip is the lowest
tenth of the picture over its whole width: two rows of 20 blocks.

- Column c of a picture W wide covers x from c*W/20 to (c+1)*W/20; row r of a picture H high covers y from
  H*(18+r)/20 to H*(19+r)/20.
- Row 0: sync W B W B, then bits 23..8 of the value. Row 1: sync B W B W, then bits 7..0, then the checksum.
  White is 1; the most significant bit comes first.
- The checksum is CRC-8 (polynomial 0x07, start 0xFF) over the three bytes of the value, the highest first.

Reading: the mean luma of the middle half of each block (in both directions); the threshold is half way between the
means of the white and of the black sync blocks. The code is refused when those means are less than 48 apart, when a
block lies closer to the threshold than a fifth of that contrast, and when sync or checksum do not fit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Luma = npt.NDArray[np.uint8]

COLUMNS = 20
ROWS = 2
ROW_PARTS = 20  # a row is this part of the height
VALUES = 1 << 24

_WHITE, _BLACK = 235, 16  # limited range
_SYNC = np.array([[1, 0, 1, 0], [0, 1, 0, 1]], dtype=bool)
_SYNC_COLUMNS = 4
_MIN_CONTRAST = 48.0
_MARGIN = 0.2


def _crc8(value: int) -> int:
    crc = 0xFF
    for byte in value.to_bytes(3, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ 0x107 if crc & 0x80 else crc << 1
    return crc


def _blocks(value: int) -> npt.NDArray[np.bool_]:
    word = value << 8 | _crc8(value)
    payload = np.unpackbits(np.frombuffer(word.to_bytes(4, "big"), dtype=np.uint8)).reshape(ROWS, -1)
    return np.concatenate([_SYNC, payload.astype(bool)], axis=1)


def draw_code(luma: Luma, value: int, *, black: int = _BLACK, white: int = _WHITE) -> None:
    """Write `value` (0..2**24-1, else ValueError) into the strip of `luma` (H, W), in place.

    `white` must be brighter than `black` by more than 48; the nearer they are, the less an encoder may harm them.
    """
    if not 0 <= value < VALUES:
        raise ValueError(f"frame code {value} is outside 0..{VALUES - 1}")
    height, width = luma.shape
    column_of_x = np.arange(width) * COLUMNS // width
    levels = np.where(_blocks(value), np.uint8(white), np.uint8(black))
    for row in range(ROWS):
        top = height * (ROW_PARTS - ROWS + row) // ROW_PARTS
        luma[top : height * (ROW_PARTS - ROWS + row + 1) // ROW_PARTS] = levels[row][column_of_x]


def _middle(index: int, parts: int, size: int) -> slice:
    """The middle half of part `index` of `parts` of `size` pixels; at least one pixel."""
    start = int(size * (index + 0.25) / parts)
    return slice(start, max(start + 1, int(size * (index + 0.75) / parts)))


def read_code(luma: Luma) -> int | None:
    """The value in the strip of `luma` (H, W), or None when there is none that can be trusted."""
    height, width = luma.shape
    if height < ROW_PARTS or width < COLUMNS:
        return None
    means = np.array(
        [
            [
                luma[_middle(ROW_PARTS - ROWS + row, ROW_PARTS, height), _middle(column, COLUMNS, width)].mean()
                for column in range(COLUMNS)
            ]
            for row in range(ROWS)
        ]
    )
    sync = means[:, :_SYNC_COLUMNS]
    white, black = float(sync[_SYNC].mean()), float(sync[~_SYNC].mean())
    contrast, threshold = white - black, (white + black) / 2
    if contrast < _MIN_CONTRAST or (np.abs(means - threshold) < contrast * _MARGIN).any():
        return None
    bits = means > threshold
    if (bits[:, :_SYNC_COLUMNS] != _SYNC).any():
        return None
    word = int.from_bytes(np.packbits(bits[:, _SYNC_COLUMNS:]).tobytes(), "big")
    value, crc = word >> 8, word & 0xFF
    return value if crc == _crc8(value) else None
