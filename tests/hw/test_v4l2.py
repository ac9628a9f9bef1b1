"""The camera of V4L2 over a device of bytes, whose pictures come out of files that PyAV opens in its place."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import pytest
from av.container import InputContainer

from hw import AccessUnit, Camera, HardwareError, Picture, RawPictures
from hw.encoding import EncodingCamera
from hw.frame_code import read_code
from hw.synthetic import SyntheticCamera
from hw.v4l2 import V4l2Camera
from hw.v4l2_formats import Choice
from hw.v4l2_ioctl import CID_BITRATE, CID_FORCE_KEY_FRAME, Node
from tests.appliance.media.pictures import picture
from tests.hw.collect import Collector, lost_is_an_error, luma_of, no_new_threads
from tests.hw.v4l2_device import Device

COUNT = 12
SIZE: dict[tuple[int, int], list[float]] = {(320, 192): [30.0]}


def test_absent_device(tmp_path: Path) -> None:
    camera = V4l2Camera(str(tmp_path / "video9"))
    assert isinstance(camera, Camera)
    assert isinstance(camera, RawPictures)
    with no_new_threads(), pytest.raises(HardwareError, match=r"camera .*/video9 is not there; plug it in"):
        camera.start(lambda _: None, lost_is_an_error)
    camera.close()


def test_a_device_that_is_no_camera() -> None:
    with no_new_threads(), pytest.raises(HardwareError, match=r"camera /dev/null: Inappropriate ioctl"):
        V4l2Camera("/dev/null").start(lambda _: None, lost_is_an_error)


@pytest.fixture(scope="module")
def mjpeg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures 0..11."""
    path = tmp_path_factory.mktemp("v4l2") / "pictures.mjpeg"
    with av.open(str(path), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=30, width=320, height=192, pix_fmt="yuvj420p")
        for number in range(COUNT):
            frame = picture(number).reformat(format="yuvj420p")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def h264(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[AccessUnit]]:
    """What a camera that encodes made, as one stream; a key frame in its middle."""
    path = tmp_path_factory.mktemp("v4l2") / "units.h264"
    camera = EncodingCamera(SyntheticCamera(320, 192, 60))
    units: Collector[Picture | AccessUnit] = Collector()
    camera.start(units, lost_is_an_error)
    units.wait(COUNT // 2)
    camera.request_keyframe()
    made = [unit for unit in units.wait(COUNT) if isinstance(unit, AccessUnit)]
    camera.close()
    path.write_bytes(b"".join(unit.data for unit in made))
    return path, made


class Fixture:
    """A camera over `device`, whose buffers come from `file`."""

    def __init__(self, folder: Path, device: Device, file: Path, size: tuple[int, int] = (320, 192)) -> None:
        self.path = folder / "video0"
        self.path.touch()
        self.device = device
        self.choices: list[Choice] = []
        self.got: Collector[Picture | AccessUnit] = Collector()
        self.lost: Collector[HardwareError] = Collector()
        self.file = file
        self.camera = V4l2Camera(
            str(self.path),
            *size,
            30,
            open_node=lambda path: Node(path, ioctl=self.device.ioctl),
            open_container=self._open,
        )

    def _open(self, path: str, choice: Choice) -> InputContainer:
        assert path == str(self.path)
        self.choices.append(choice)
        return av.open(str(self.file), "r")

    def run(self) -> list[Picture | AccessUnit]:
        """Until the device delivers no more."""
        with no_new_threads():
            self.camera.start(self.got, self.lost)
            self.lost.wait(1)
            self.camera.close()
        return self.got.items


def codes(items: list[Picture | AccessUnit]) -> list[int | None]:
    return [read_code(luma_of(item)) for item in items]


def test_mjpeg_is_decoded(tmp_path: Path, mjpeg: Path) -> None:
    fixture = Fixture(tmp_path, Device({"MJPG": SIZE}), mjpeg)
    assert codes(fixture.run()) == list(range(COUNT))
    assert not fixture.choices[0].pass_through
    assert "delivers no more" in str(fixture.lost.items[0])


def test_another_size_is_fitted(tmp_path: Path, mjpeg: Path) -> None:
    fixture = Fixture(tmp_path, Device({"MJPG": SIZE}), mjpeg, (640, 360))
    got = fixture.run()
    assert [(item.frame.width, item.frame.height) for item in got if isinstance(item, Picture)] == [(640, 360)] * COUNT


def test_access_units_pass_untouched_and_the_device_is_asked(
    tmp_path: Path, h264: tuple[Path, list[AccessUnit]]
) -> None:
    device = Device({"MJPG": SIZE, "H264": SIZE}, {CID_FORCE_KEY_FRAME: 0, CID_BITRATE: 10_000_000})
    fixture = Fixture(tmp_path, device, h264[0])

    def ask(item: Picture | AccessUnit) -> None:
        fixture.got(item)
        fixture.camera.request_keyframe()
        fixture.camera.set_bitrate(400_000)

    before_s = time.monotonic()
    fixture.camera.start(ask, fixture.lost)
    fixture.lost.wait(1)
    fixture.camera.close()
    assert fixture.choices[0].pass_through
    units = [item for item in fixture.got.items if isinstance(item, AccessUnit)]
    assert [(unit.data, unit.keyframe) for unit in units] == [(unit.data, unit.keyframe) for unit in h264[1]]
    assert all(before_s <= unit.captured_s <= time.monotonic() for unit in units)
    assert set(device.was_set) == {(CID_FORCE_KEY_FRAME, 1), (CID_BITRATE, 400_000)}


def test_a_device_that_refuses_its_controls_is_not_asked_for_ever(
    tmp_path: Path, h264: tuple[Path, list[AccessUnit]], caplog: pytest.LogCaptureFixture
) -> None:
    device = Device({"H264": SIZE}, {CID_FORCE_KEY_FRAME: 0}, refuses=errno.EBUSY)
    fixture = Fixture(tmp_path, device, h264[0])

    def ask(item: Picture | AccessUnit) -> None:
        fixture.got(item)
        fixture.camera.request_keyframe()

    with caplog.at_level("INFO"):
        fixture.camera.start(ask, fixture.lost)
        fixture.lost.wait(1)
    fixture.camera.close()
    assert len(fixture.got.items) == COUNT
    assert caplog.text.count("does not take control") == 1


def test_raw_pictures_beside_the_units_from_the_next_key_frame_on(
    tmp_path: Path, h264: tuple[Path, list[AccessUnit]]
) -> None:
    device = Device({"H264": SIZE}, {CID_FORCE_KEY_FRAME: 0})
    fixture = Fixture(tmp_path, device, h264[0])

    def want(item: Picture | AccessUnit) -> None:
        fixture.got(item)
        fixture.camera.want_pictures(True)

    fixture.camera.start(want, fixture.lost)
    fixture.lost.wait(1)
    fixture.camera.close()
    second = next(number for number, unit in enumerate(h264[1]) if unit.keyframe and number)
    pictures = [item for item in fixture.got.items if isinstance(item, Picture)]
    shown = codes(list(pictures))
    assert len(pictures) >= COUNT - second - 2  # a decoder may keep the last ones
    assert shown == list(range(cast(int, shown[0]), cast(int, shown[0]) + len(shown)))
    assert device.was_set == [(CID_FORCE_KEY_FRAME, 1)]


def test_torn_buffers_cost_themselves_only(tmp_path: Path, mjpeg: Path) -> None:
    data = mjpeg.read_bytes()
    starts = [at for at in range(len(data)) if data.startswith(b"\xff\xd8\xff", at)]
    torn = tmp_path / "torn.mjpeg"
    torn.write_bytes(data[: starts[4] + 30] + b"\xff\xd9" + data[starts[5] :])
    got = codes(Fixture(tmp_path, Device({"MJPG": SIZE}), torn).run())
    assert got[:4] == list(range(4))
    assert got[-5:] == list(range(COUNT - 5, COUNT))


class Still:
    """A container whose device is open and silent, as PyAV has it: nothing yet, try again."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = threading.Event()

    def demux(self, video: int) -> Iterator[object]:
        raise self.error or BlockingIOError(errno.EAGAIN, "try again")

    def close(self) -> None:
        self.closed.set()


def test_a_silent_device_is_closed_at_once(tmp_path: Path, mjpeg: Path) -> None:
    fixture = Fixture(tmp_path, Device({"MJPG": SIZE}), mjpeg)
    still = Still()
    fixture.camera._open_container = cast(Callable[[str, Choice], InputContainer], lambda *_: still)
    with no_new_threads():
        fixture.camera.start(fixture.got, lost_is_an_error)
        started_s = time.monotonic()
        fixture.camera.close()
        assert time.monotonic() - started_s < 0.5
    assert still.closed.is_set()
    fixture.camera.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EBUSY, "Device or resource busy"), "another program uses it"),
        (OSError(errno.EACCES, "Permission denied"), "group video"),
        (OSError(errno.ENODEV, "No such device"), "is it plugged in"),
    ],
)
def test_what_to_do_stands_in_the_error(tmp_path: Path, mjpeg: Path, error: OSError, words: str) -> None:
    fixture = Fixture(tmp_path, Device({"MJPG": SIZE}), mjpeg)

    def fail(_path: str, _choice: Choice) -> InputContainer:
        raise error

    fixture.camera._open_container = fail
    with no_new_threads(), pytest.raises(HardwareError, match=words):
        fixture.camera.start(fixture.got, lost_is_an_error)
    still = Still(error)
    fixture.camera._open_container = cast(Callable[[str, Choice], InputContainer], lambda *_: still)
    fixture.camera.start(fixture.got, fixture.lost)
    [lost] = fixture.lost.wait(1)
    assert words in str(lost)
    fixture.camera.close()


def test_a_thread_that_ends_by_a_bug_says_so(tmp_path: Path, mjpeg: Path, caplog: pytest.LogCaptureFixture) -> None:
    fixture = Fixture(tmp_path, Device({"MJPG": SIZE}), mjpeg)
    still = Still(ZeroDivisionError("a bug of the library"))
    fixture.camera._open_container = cast(Callable[[str, Choice], InputContainer], lambda *_: still)
    with no_new_threads():
        fixture.camera.start(fixture.got, fixture.lost)
        [lost] = fixture.lost.wait(1)
        fixture.camera.close()
    assert "a bug of the library" in str(lost)
    assert "ZeroDivisionError" in caplog.text
    assert still.closed.is_set()


def test_a_device_without_a_known_format(tmp_path: Path, mjpeg: Path) -> None:
    fixture = Fixture(tmp_path, Device({"XXXX": SIZE}), mjpeg)
    with pytest.raises(HardwareError, match=r"its formats \(XXXX\) are not known"):
        fixture.camera.start(fixture.got, lost_is_an_error)
    fixture.device = Device({"MJPG": SIZE}, caps=0x04A00000)
    with pytest.raises(HardwareError, match="delivers no pictures"):
        fixture.camera.start(fixture.got, lost_is_an_error)


def test_without_a_name_the_first_camera_is_taken() -> None:
    with pytest.raises(HardwareError, match="no camera at /dev/video"):
        V4l2Camera(open_node=lambda path: Node("/dev/null")).start(lambda _: None, lost_is_an_error)
