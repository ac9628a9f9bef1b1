from __future__ import annotations

from itertools import combinations
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.display_layout import MAX_SMALL, Layout, Placed, Shown, arrange
from hw.placing import Area

WIDE = (1920, 1080)


def people(count: int) -> list[Shown]:
    return [Shown(name) for name in "abcdefghij"[:count]]


def areas(placed: list[Placed]) -> dict[str, Area]:
    return {each.key: each.area for each in placed}


def test_one_has_the_whole_screen_and_is_not_cut() -> None:
    assert arrange(*WIDE, people(1), None, "auto") == [Placed("a", Area(0, 0, 1920, 1080), crop=False)]


def test_two_are_side_by_side_or_on_an_upright_screen_below_each_other() -> None:
    assert areas(arrange(*WIDE, people(2), None, "auto")) == {"a": Area(0, 0, 960, 1080), "b": Area(960, 0, 960, 1080)}
    upright = areas(arrange(1080, 1920, people(2), None, "auto"))
    assert upright == {"a": Area(0, 0, 1080, 960), "b": Area(0, 960, 1080, 960)}


def test_four_are_in_two_rows() -> None:
    assert {(area.x, area.y) for area in areas(arrange(*WIDE, people(4), None, "auto")).values()} == {
        (0, 0), (960, 0), (0, 540), (960, 540),
    }  # fmt: skip


@pytest.mark.parametrize(("count", "layout"), [(5, "auto"), (2, "speaker"), (4, "speaker")])
def test_who_speaks_is_large(count: int, layout: Layout) -> None:
    placed = areas(arrange(*WIDE, people(count), "b", layout))
    size = {key: area.width * area.height for key, area in placed.items()}
    assert all(size["b"] > 3 * size[key] for key in size if key != "b")
    silent = areas(arrange(*WIDE, people(count), None, layout))
    assert silent["a"] == placed["b"]


def test_a_shared_screen_is_large_and_whole_whoever_speaks() -> None:
    placed = arrange(*WIDE, [*people(2), Shown("s", is_screen=True)], "b", "grid")
    large = max(placed, key=lambda each: each.area.width * each.area.height)
    assert (large.key, large.crop) == ("s", False)


@given(st.integers(160, 4096), st.integers(160, 4096), st.integers(0, 10), st.sampled_from(get_args(Layout)))
def test_places_lie_on_the_screen_and_not_on_each_other(width: int, height: int, count: int, layout: Layout) -> None:
    placed = arrange(width, height, people(count), "c", layout)
    if layout == "grid" or count <= MAX_SMALL + 1:
        assert len(placed) == count
    for area in areas(placed).values():
        assert 0 <= area.x < area.x + area.width <= width
        assert 0 <= area.y < area.y + area.height <= height
    for one, other in combinations(areas(placed).values(), 2):
        apart = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert apart or one.y + one.height <= other.y or other.y + other.height <= one.y
