"""Pictures turned clockwise, then mirrored."""

from __future__ import annotations

from typing import get_args

import av
import numpy as np
import pytest

from hw import AccessUnit, Camera, Picture
from hw.mock import AbsentCamera, MockCamera
from hw.synthetic import SyntheticCamera
from hw.turned import Rotation, Turn, TurnedCamera
from tests.hw.collect import Collector, lost_is_an_error, luma_of, no_new_threads


def corners(frame: av.VideoFrame) -> list[int]:
    """Luma in the middle of each quarter, clockwise from the upper left."""
    luma = luma_of(frame)
    height, width = luma.shape
    at = [(1, 1), (1, 3), (3, 3), (3, 1)]
    return [round(int(luma[height * y // 4, width * x // 4]) / 10) * 10 for y, x in at]


def quarters(width: int = 64, height: int = 32) -> av.VideoFrame:
    """50 | 100 over 200 | 150: counting clockwise."""
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[: height // 2, : width // 2], planes[: height // 2, width // 2 :] = 50, 100
    planes[height // 2 : height, : width // 2], planes[height // 2 : height, width // 2 :] = 200, 150
    return av.VideoFrame.from_ndarray(planes, "yuv420p")


@pytest.mark.parametrize(
    ("rotation", "mirror", "seen"),
    [
        (0, False, [50, 100, 150, 200]),
        (90, False, [200, 50, 100, 150]),
        (180, False, [150, 200, 50, 100]),
        (270, False, [100, 150, 200, 50]),
        (0, True, [100, 50, 200, 150]),
        (90, True, [50, 200, 150, 100]),
        (180, True, [200, 150, 100, 50]),
        (270, True, [150, 100, 50, 200]),
    ],
)
def test_turned_clockwise_then_mirrored(rotation: Rotation, mirror: bool, seen: list[int]) -> None:
    turn = Turn(rotation, mirror)
    for _ in range(2):
        assert corners(turn(quarters())) == seen
    turned = turn(quarters(32, 96))
    assert (turned.width, turned.height) == ((96, 32) if rotation in (90, 270) else (32, 96))
    assert corners(turned) == seen


@pytest.mark.parametrize("rotation", get_args(Rotation))
def test_a_camera(rotation: Rotation) -> None:
    source = MockCamera(SyntheticCamera(320, 192, 60))
    camera = TurnedCamera(source, rotation, False)
    assert isinstance(camera, Camera)
    pictures: Collector[Picture | AccessUnit] = Collector()
    with no_new_threads():
        camera.start(pictures, lost_is_an_error)
        [item] = pictures.wait(1)[:1]
        camera.close()
    assert isinstance(item, Picture)
    assert (item.frame.width, item.frame.height) == (camera.width, camera.height)
    assert {camera.width, camera.height} == {320, 192}


def test_what_its_source_encodes_is_not_passed_on() -> None:
    class Encodes(AbsentCamera):
        def start(self, sink: object, on_lost: object) -> None:
            assert callable(sink)
            sink(AccessUnit(b"", True, 1.0))
            sink(Picture(quarters(), 1.0))

    got: list[Picture | AccessUnit] = []
    TurnedCamera(Encodes(), 90, False).start(got.append, lost_is_an_error)
    assert [type(item) for item in got] == [Picture]
