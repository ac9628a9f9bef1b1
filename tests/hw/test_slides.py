from __future__ import annotations

import logging
import queue
from pathlib import Path

import av
import numpy as np
import pytest

from hw import AccessUnit, HardwareError, Picture
from hw.fit import Fit
from hw.slides import SlideCamera


def write_picture(path: Path, luma: int, width: int = 64, height: int = 48) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), luma, np.uint8), format="rgb24")
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png")
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


class Shown:
    def __init__(self, directory: Path, **options: float) -> None:
        self.pictures: queue.Queue[Picture] = queue.Queue()
        self.lost: queue.Queue[HardwareError] = queue.Queue()
        self.camera = SlideCamera(directory, 128, 96, 50, **options)

    def put(self, picture: Picture | AccessUnit) -> None:
        assert isinstance(picture, Picture)
        self.pictures.put(picture)

    def until_luma(self, luma: int) -> None:
        while True:
            frame = self.pictures.get(timeout=5).frame
            assert (frame.width, frame.height, frame.format.name) == (128, 96, "yuv420p")
            if abs(int(frame.to_ndarray(format="gray")[48, 64]) - luma) < 6:
                return


def test_pictures_come_one_after_the_other_and_again(tmp_path: Path) -> None:
    for number, luma in enumerate((60, 120, 200)):
        write_picture(tmp_path / f"{number}.png", luma)
    shown = Shown(tmp_path, slide_s=0.2)
    shown.camera.start(shown.put, shown.lost.put)
    try:
        for luma in (60, 120, 200, 60):
            shown.until_luma(luma)
        (tmp_path / "1.png").unlink()
        write_picture(tmp_path / "3.png", 240)
        shown.until_luma(240)
    finally:
        shown.camera.close()


def test_what_is_no_picture_is_left_out_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_picture(tmp_path / "b.png", 100)
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture either")
    shown = Shown(tmp_path, slide_s=0.2)
    with caplog.at_level(logging.WARNING):
        shown.camera.start(shown.put, shown.lost.put)
        try:
            for _ in range(3):
                shown.until_luma(100)
        finally:
            shown.camera.close()
    assert ["a.png" in record.message for record in caplog.records] == [True]


def test_what_was_left_out_and_is_no_more_is_forgotten(tmp_path: Path) -> None:
    write_picture(tmp_path / "z.png", 100)
    camera, fit = SlideCamera(tmp_path, 128, 96, 50), Fit(128, 96)
    for number in range(20):
        broken = tmp_path / f"{number}.png"
        broken.write_bytes(b"no picture")
        camera._next([], fit)
        broken.unlink()
    assert len(camera._refused) == 1


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_a_directory_without_a_picture_is_refused(tmp_path: Path, name: str) -> None:
    if name == "empty":
        (tmp_path / name).mkdir()
    shown = Shown(tmp_path / name)
    with pytest.raises(HardwareError, match=name):
        shown.camera.start(shown.put, shown.lost.put)


def test_the_last_picture_that_goes_is_a_lost_source(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", 100)
    shown = Shown(tmp_path, slide_s=0.2)
    shown.camera.start(shown.put, shown.lost.put)
    (tmp_path / "a.png").unlink()
    assert "none that can be read" in str(shown.lost.get(timeout=5))
    shown.camera.close()
