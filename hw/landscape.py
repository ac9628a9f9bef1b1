"""The synthetic camera's picture: hills that drift under a wandering sun, a clock, a name, a frame code. Pure.

Everything dear is painted once; a picture is then some slice copies (about 0.3 ms at 1280x720). The sky is the same in
every column, so each range of hills is a wide strip with its own sky or mist behind it that is merely shifted.
"""

from __future__ import annotations

import time
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane

from hw import glyphs
from hw.frame_code import VALUES, draw_code
from hw.scenery import SUBSAMPLING, Band, Plane, Planes, Range, Rgb, Sun, rounded, to_planes, yuv_of

_SKY: tuple[tuple[float, Rgb], ...] = ((0.0, (28, 36, 74)), (0.3, (92, 84, 130)), (0.55, (226, 158, 132)))
_PLATE: Rgb = (24, 30, 54)
_CLOCK_INK: Rgb = (244, 240, 232)
_NAME_INK: Rgb = (176, 178, 196)

_CODE_CONTRAST = 72  # of luma: calm to look at, and still read at 60 kbit/s

# Each range's foot color is what stands behind the next one's ridge.
_RANGES = (
    Range(0.44, 0.52, 0.05, 0.62, (150, 116, 140), (186, 144, 148), 8.0, (2, 5, 9)),
    Range(0.62, 0.68, 0.04, 0.76, (92, 82, 118), (120, 104, 130), 18.0, (3, 7, 10)),
    Range(0.76, 0.81, 0.04, 0.90, (40, 50, 80), (24, 32, 58), 36.0, (4, 6, 13)),
)


def _view(plane: VideoPlane) -> Plane:
    """The plane's own memory as (rows, columns)."""
    memory: Plane = np.frombuffer(cast("Any", plane), np.uint8)
    return memory.reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _clock(wall_s: float) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(wall_s))}.{int(wall_s % 1 * 1000):03d}"


class Landscape:
    """`picture(number, t_s, wall_s)` paints one picture; `width` and `height` even, at least 160."""

    def __init__(self, width: int, height: int, name: str) -> None:
        self.width, self.height = width, height
        self._scale = scale = min(width / 1280, height / 720)
        rng = np.random.default_rng(1)
        stops = np.array([stop for stop, _ in _SKY]) * height
        colors = np.array([color for _, color in _SKY], np.float32)
        columns = [np.interp(np.arange(height), stops, colors[:, i]) for i in range(3)]
        sky = np.stack(columns, axis=1).astype(np.float32)
        self._bands = []
        behind: npt.NDArray[np.float32] = sky
        for hills in _RANGES:
            top, bottom = (round(part * height) // 2 * 2 for part in (hills.top, hills.bottom))
            self._bands.append(Band(hills, top, behind[top:bottom], (width, height), rng))
            behind = np.broadcast_to(np.array(hills.foot, np.float32), (height, 3))
        self._sun = Sun((width, height), scale)
        self._sky_end, self._foot = self._bands[0].top, self._bands[-1].bottom
        self._base = to_planes(np.broadcast_to(sky[:, None, :], (height, width, 3)), rng)
        foot = yuv_of(_RANGES[-1].foot)
        for chroma, level in zip(self._base[1:], foot[1:], strict=True):
            chroma[self._foot // 2 :] = level  # the frame code is a pattern in the ground of the nearest hills
        self._code_black = foot[0]
        self._digits, self._clock_at = self._plate(name)

    def _plate(self, name: str) -> tuple[dict[str, Plane], tuple[int, int]]:
        """Paint the clock's plate and the name into the base; the clock's tiles and its (x, y)."""
        scale = self._scale
        plate, ink, name_ink = (yuv_of(color) for color in (_PLATE, _CLOCK_INK, _NAME_INK))
        tiles = {}
        for char in "0123456789:.":
            cover = glyphs.glyph(char, max(7, round(54 * scale)))
            tiles[char] = rounded(plate[0] + (ink[0] - plate[0]) * cover)
        clock_height, clock_width = tiles["0"].shape[0], sum(tiles[char].shape[1] for char in "00:00:00.000")
        label = glyphs.line(name, max(5, round(26 * scale)))
        pad = round(18 * scale) // 2 * 2
        gap = round(10 * scale)
        left, top = round(48 * scale) // 2 * 2, round(44 * scale) // 2 * 2
        right = (left + clock_width + 2 * pad) // 2 * 2
        bottom = (top + gap + clock_height + label.shape[0] + gap) // 2 * 2
        self._box(left, top, right, bottom, plate, radius=28 * scale)
        x, y = left + pad + round(6 * scale), top + gap + clock_height
        spot = self._base[0][y : y + label.shape[0], x : min(right - pad, x + label.shape[1])]
        cover = label[:, : spot.shape[1]]
        spot[:] = rounded(plate[0] + (name_ink[0] - plate[0]) * cover)
        return tiles, (left + pad, top + gap)

    def _box(self, left: int, top: int, right: int, bottom: int, color: tuple[int, int, int], radius: float) -> None:
        y, x = np.mgrid[top:bottom, left:right] + 0.5
        dx = np.maximum(np.abs(x - (left + right) / 2) - (right - left) / 2 + radius, 0)
        dy = np.maximum(np.abs(y - (top + bottom) / 2) - (bottom - top) / 2 + radius, 0)
        cover = np.clip(radius - np.hypot(dx, dy) + 0.5, 0, 1)
        for plane, level, part in zip(self._base, color, SUBSAMPLING, strict=True):
            spot = plane[top // part : bottom // part, left // part : right // part]
            spot[:] = rounded(spot + (level - spot.astype(np.float32)) * cover[::part, ::part])

    def picture(self, number: int, t_s: float, wall_s: float) -> av.VideoFrame:
        """Picture `number` (its frame code, wrapped), `t_s` into the film, showing the local time of `wall_s`."""
        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        planes: Planes = tuple(_view(plane) for plane in frame.planes)  # type: ignore[assignment]
        for plane, base, part in zip(planes, self._base, SUBSAMPLING, strict=True):
            plane[: self._sky_end // part] = base[: self._sky_end // part]
            plane[self._foot // part :] = base[self._foot // part :]
        self._sun.draw(planes, t_s)
        for band in self._bands:
            band.draw(planes, t_s, self._scale)
        x, y = self._clock_at
        for char in _clock(wall_s):
            tile = self._digits[char]
            planes[0][y : y + tile.shape[0], x : x + tile.shape[1]] = tile
            x += tile.shape[1]
        draw_code(planes[0], number % VALUES, black=self._code_black, white=self._code_black + _CODE_CONTRAST)
        return frame
