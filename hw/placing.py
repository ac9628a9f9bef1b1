"""Where a picture goes within a place, and which part of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Area:
    """In pixels, from the upper left corner."""

    x: int
    y: int
    width: int
    height: int


def whole(width: int, height: int, place: Area) -> Area:
    """The largest part of `place` that has the proportions of a picture `width` x `height`, in its middle."""
    scale = min(place.width / width, place.height / height)
    shown_width, shown_height = max(1, round(width * scale)), max(1, round(height * scale))
    return Area(
        place.x + (place.width - shown_width) // 2,
        place.y + (place.height - shown_height) // 2,
        shown_width,
        shown_height,
    )


def cropped(width: int, height: int, place: Area) -> Area:
    """The largest middle part of a picture `width` x `height` that has the proportions of `place`."""
    scale = max(place.width / width, place.height / height)
    part_width, part_height = min(width, round(place.width / scale)), min(height, round(place.height / scale))
    return Area((width - part_width) // 2, (height - part_height) // 2, part_width, part_height)


def covering(width: int, height: int, place: Area) -> tuple[int, int]:
    """The smallest size that has the proportions of a picture `width` x `height` and covers `place`."""
    scale = max(place.width / width, place.height / height)
    return max(place.width, round(width * scale)), max(place.height, round(height * scale))
