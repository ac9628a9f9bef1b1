"""What is drawn again of a scene."""

from __future__ import annotations

from dataclasses import replace

import av
import pytest

from hw import Scene, Tile
from hw.scene_change import changed_tiles

FIRST, SECOND, OTHER_SIZE = av.VideoFrame(64, 48), av.VideoFrame(64, 48), av.VideoFrame(32, 48)
A, B = Tile("a", FIRST, 0, 0, 50, 50, label="Anna"), Tile("b", FIRST, 50, 0, 50, 50)
BEFORE = Scene((A, B))


def test_the_same_is_not_drawn_again() -> None:
    assert changed_tiles(BEFORE, Scene((replace(A), B))) == []
    assert changed_tiles(Scene(title="12:34"), Scene(title="12:34")) == []


def test_another_picture_alone_is_drawn_alone() -> None:
    other = replace(B, frame=SECOND)
    assert changed_tiles(BEFORE, Scene((A, other))) == [other]


@pytest.mark.parametrize(
    "after",
    [
        Scene((A,)),
        Scene((B, A)),
        Scene((A, B), title="12:34"),
        Scene((replace(A, label="Ben"), B)),
        Scene((replace(A, label="Ben", frame=SECOND), B)),
        Scene((replace(A, is_marked=True), B)),
        Scene((replace(A, frame=None), B)),
        Scene((replace(A, frame=OTHER_SIZE), B)),
    ],
)
def test_more_than_that_is_drawn_all(after: Scene) -> None:
    assert changed_tiles(BEFORE, after) is None
    assert changed_tiles(after, BEFORE) is None


def test_words_stand_on_the_tiles() -> None:
    before = replace(BEFORE, subtitle="Front door")
    assert changed_tiles(before, replace(before, tiles=(A, replace(B, frame=SECOND)))) is None
