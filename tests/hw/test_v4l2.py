"""A camera that is not there, or is none, is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from hw import Camera, HardwareError
from hw.v4l2 import V4l2Camera
from tests.hw.collect import lost_is_an_error, no_new_threads


def test_absent_device(tmp_path: Path) -> None:
    camera = V4l2Camera(str(tmp_path / "video9"))
    assert isinstance(camera, Camera)
    with no_new_threads(), pytest.raises(HardwareError, match=r"camera .*/video9 is not there; plug it in"):
        camera.start(lambda _: None, lost_is_an_error)
    camera.close()


def test_a_device_that_is_no_camera() -> None:
    with no_new_threads(), pytest.raises(HardwareError, match=r"camera /dev/null: Inappropriate ioctl"):
        V4l2Camera("/dev/null").start(lambda _: None, lost_is_an_error)
