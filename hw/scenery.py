"""The moving parts of the synthetic picture: ranges of hills and a sun, as yuv420p planes. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]  # Y (H, W), U and V (H/2, W/2)
Rgb = tuple[int, int, int]

SUBSAMPLING = (1, 2, 2)  # of each plane in yuv420p
_SUN: Rgb = (255, 226, 178)
_SUN_PERIOD_S = 24.0


@dataclass(frozen=True, slots=True)
class Range:
    """A range of hills. Parts of the picture's height, colors, pixels a second at 1280x720, waves a period."""

    top: float
    ridge: float
    swell: float
    bottom: float
    crest: Rgb
    foot: Rgb
    speed: float
    waves: tuple[int, ...]


def to_yuv(rgb: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """BT.601, limited range: (..., 3) to (..., 3)."""
    matrix = np.array(
        [[0.2568, 0.5041, 0.0979], [-0.1482, -0.2910, 0.4392], [0.4392, -0.3678, -0.0714]], dtype=np.float32
    )
    result: npt.NDArray[np.float32] = rgb @ matrix.T + np.array([16, 128, 128], dtype=np.float32)
    return result


def yuv_of(rgb: Rgb) -> tuple[int, int, int]:
    y, u, v = to_yuv(np.array(rgb, dtype=np.float32))
    return round(float(y)), round(float(u)), round(float(v))


def rounded(levels: npt.NDArray[np.floating]) -> Plane:
    plane: Plane = np.rint(levels).astype(np.uint8)
    return plane


def dithered(levels: npt.NDArray[np.floating], rng: np.random.Generator) -> Plane:
    """Rounded by chance: slow gradients show no bands."""
    plane: Plane = np.floor(levels + rng.random(levels.shape, dtype=np.float32)).astype(np.uint8)
    return plane


def to_planes(rgb: npt.NDArray[np.float32], rng: np.random.Generator) -> Planes:
    """(H, W, 3) to yuv420p; H and W even."""
    yuv = to_yuv(rgb)
    return dithered(yuv[..., 0], rng), rounded(yuv[::2, ::2, 1]), rounded(yuv[::2, ::2, 2])


class Band:
    """A strip of rows, as wide as its period and one picture more, in the three planes."""

    def __init__(
        self, hills: Range, top: int, behind: npt.NDArray[np.float32], size: tuple[int, int], rng: np.random.Generator
    ) -> None:
        width, height = size
        rows = behind.shape[0]
        self.top, self.bottom = top, top + rows
        self._period = 2 * width
        self._speed = hills.speed
        x = np.arange(self._period) * (2 * np.pi / self._period)
        heights = rng.uniform(0.6, 1.0, len(hills.waves)) / np.sqrt(np.arange(1, len(hills.waves) + 1))
        phases = rng.uniform(0, 2 * np.pi, len(hills.waves))
        waves = np.array([h * np.sin(k * x + p) for h, k, p in zip(heights, hills.waves, phases, strict=True)])
        ridge_y = height * (hills.ridge + hills.swell * waves.sum(axis=0) / heights.sum()) - top
        y = np.arange(rows)[:, None]
        cover = np.clip(y - ridge_y[None, :] + 0.5, 0, 1).astype(np.float32)[..., None]
        depth = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
        body = np.array(hills.crest, np.float32) * (1 - depth) + np.array(hills.foot, np.float32) * depth
        rgb = behind[:, None, :] * (1 - cover) + body[:, None, :] * cover
        self._strips = to_planes(np.concatenate([rgb, rgb[:, :width]], axis=1), rng)

    def draw(self, planes: Planes, t_s: float, scale: float) -> None:
        shift = int(t_s * self._speed * scale) % self._period
        for plane, strip, part in zip(planes, self._strips, SUBSAMPLING, strict=True):
            x, top, width = shift // part, self.top // part, plane.shape[1]
            plane[top : top + strip.shape[0]] = strip[:, x : x + width]


class Sun:
    """A soft disc that wanders over the right half of the sky."""

    def __init__(self, size: tuple[int, int], scale: float) -> None:
        width, height = size
        self._radius = radius = max(4, round(84 * scale)) // 2 * 2
        self._centre = (0.76 * width, 0.21 * height)
        self._reach = (0.22 * width - radius, 0.19 * height - radius)
        self._color = yuv_of(_SUN)
        y, x = np.mgrid[-radius:radius, -radius:radius] + 0.5
        distance = np.hypot(x, y) / radius
        disc = np.clip((0.52 - distance) * radius + 0.5, 0, 1)
        glow = 0.45 * np.clip(1 - distance, 0, 1) ** 2
        alpha = np.maximum(disc, glow)
        self._alphas = tuple((alpha[::part, ::part] * 256).astype(np.int16) for part in SUBSAMPLING)

    def draw(self, planes: Planes, t_s: float) -> None:
        turn = 2 * math.pi * t_s / _SUN_PERIOD_S
        left = round(self._centre[0] + self._reach[0] * math.sin(turn)) // 2 * 2 - self._radius
        top = round(self._centre[1] + self._reach[1] * math.sin(2 * turn)) // 2 * 2 - self._radius
        for plane, alpha, color, part in zip(planes, self._alphas, self._color, SUBSAMPLING, strict=True):
            side = alpha.shape[0]
            spot = plane[top // part : top // part + side, left // part : left // part + side]
            # int16 holds the product: at most 255 * 128.
            spot += (((np.int16(color) - spot) * (alpha >> 1)) >> 7).astype(np.uint8)
