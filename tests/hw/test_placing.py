from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hw.placing import Area, covering, cropped, whole

sides = st.integers(16, 4096)


@given(sides, sides, sides, sides)
def test_a_whole_picture_lies_in_its_place_in_its_own_proportions(width: int, height: int, w: int, h: int) -> None:
    place = Area(7, 11, w, h)
    shown = whole(width, height, place)
    assert place.x <= shown.x
    assert place.y <= shown.y
    assert shown.x + shown.width <= place.x + w
    assert shown.y + shown.height <= place.y + h
    assert w - shown.width <= 1 or h - shown.height <= 1
    assert abs(shown.width * height - shown.height * width) <= max(width, height)


@given(sides, sides, sides, sides)
def test_a_cut_picture_has_the_proportions_of_its_place(width: int, height: int, w: int, h: int) -> None:
    part = cropped(width, height, Area(7, 11, w, h))
    assert part.x >= 0
    assert part.y >= 0
    assert part.x + part.width <= width
    assert part.y + part.height <= height
    assert part.width == width or part.height == height
    assert abs(part.width * h - part.height * w) <= max(w, h)


@given(sides, sides, sides, sides)
def test_a_covering_picture_leaves_nothing_of_its_place_free_and_keeps_its_proportions(
    width: int, height: int, w: int, h: int
) -> None:
    shown_width, shown_height = covering(width, height, Area(7, 11, w, h))
    assert shown_width >= w
    assert shown_height >= h
    assert shown_width == w or shown_height == h
    assert abs(shown_width * height - shown_height * width) <= max(width, height)
