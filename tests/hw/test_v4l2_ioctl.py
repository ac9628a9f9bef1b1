"""The layout of V4L2's structures, against the kernel's own header, and what is read out of them."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw import v4l2_ioctl
from hw.v4l2_ioctl import CID_BITRATE, CID_FORCE_KEY_FRAME, CID_GOP_SIZE, CID_H264_I_PERIOD, Control, Node, Size
from tests.hw.v4l2_device import STRUCTS, Device

HEADER = Path("/usr/include/linux/videodev2.h")
NAMES = {
    "QUERYCAP": "VIDIOC_QUERYCAP",
    "ENUM_FMT": "VIDIOC_ENUM_FMT",
    "G_CTRL": "VIDIOC_G_CTRL",
    "S_CTRL": "VIDIOC_S_CTRL",
    "QUERYCTRL": "VIDIOC_QUERYCTRL",
    "ENUM_FRAMESIZES": "VIDIOC_ENUM_FRAMESIZES",
    "ENUM_FRAMEINTERVALS": "VIDIOC_ENUM_FRAMEINTERVALS",
    "CID_BITRATE": "V4L2_CID_MPEG_VIDEO_BITRATE",
    "CID_FORCE_KEY_FRAME": "V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME",
    "CID_GOP_SIZE": "V4L2_CID_MPEG_VIDEO_GOP_SIZE",
    "CID_H264_I_PERIOD": "V4L2_CID_MPEG_VIDEO_H264_I_PERIOD",
    "CAP_VIDEO_CAPTURE": "V4L2_CAP_VIDEO_CAPTURE",
    "CAP_VIDEO_M2M": "V4L2_CAP_VIDEO_M2M",
    "CAP_VIDEO_M2M_MPLANE": "V4L2_CAP_VIDEO_M2M_MPLANE",
    "CAP_STREAMING": "V4L2_CAP_STREAMING",
    "CAP_DEVICE_CAPS": "V4L2_CAP_DEVICE_CAPS",
    "BUF_TYPE_VIDEO_CAPTURE": "V4L2_BUF_TYPE_VIDEO_CAPTURE",
    "FRMSIZE_DISCRETE": "V4L2_FRMSIZE_TYPE_DISCRETE",
    "FRMIVAL_DISCRETE": "V4L2_FRMIVAL_TYPE_DISCRETE",
    "CTRL_FLAG_DISABLED": "V4L2_CTRL_FLAG_DISABLED",
}
KERNEL_STRUCTS = {
    "v4l2_capability": 0,
    "v4l2_fmtdesc": 2,
    "v4l2_control": 27,
    "v4l2_queryctrl": 36,
    "v4l2_frmsizeenum": 74,
    "v4l2_frmivalenum": 75,
}
UNION = {"v4l2_frmsizeenum": "discrete", "v4l2_frmivalenum": "discrete"}


def compiled(tmp_path: Path, lines: list[str]) -> list[int]:
    """What a C program prints that includes the kernel's header."""
    if shutil.which("gcc") is None or not HEADER.exists():
        reason = "gcc or linux/videodev2.h is missing: apt-get install gcc libc6-dev"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    body = "".join(f'printf("%lu\\n", (unsigned long)({line}));' for line in lines)
    source = tmp_path / "layout.c"
    headers = "#include <stdio.h>\n#include <stddef.h>\n#include <linux/videodev2.h>\n"
    source.write_text(headers + "int main(void) {" + body + "}")
    subprocess.run(["gcc", "-o", tmp_path / "layout", source], check=True)
    done = subprocess.run([tmp_path / "layout"], check=True, capture_output=True, text=True)
    return [int(line) for line in done.stdout.split()]


def test_numbers_are_the_kernels(tmp_path: Path) -> None:
    ours = [getattr(v4l2_ioctl, name) for name in NAMES]
    assert ours == [value & 0xFFFFFFFF for value in compiled(tmp_path, list(NAMES.values()))]


def test_the_device_of_these_tests_is_laid_out_as_the_kernels(tmp_path: Path) -> None:
    questions, ours = [], []
    for name, number in KERNEL_STRUCTS.items():
        structure = STRUCTS[number]
        questions.append(f"sizeof(struct {name})")
        ours.append(ctypes.sizeof(structure))
        for field in structure._fields_:
            member = re.sub("^union$", UNION.get(name, "union"), field[0])
            questions.append(f"offsetof(struct {name}, {member})")
            ours.append(getattr(structure, field[0]).offset)
    assert ours == compiled(tmp_path, questions)


@pytest.fixture
def node(tmp_path: Path) -> Callable[[Device], Node]:
    path = tmp_path / "video0"
    path.touch()
    return lambda device: Node(str(path), ioctl=device.ioctl)


def test_what_a_device_is(node: Callable[[Device], Node]) -> None:
    capability = node(Device()).capability()
    assert (capability.driver, capability.card, capability.bus) == ("uvcvideo", "A webcam", "usb-1")
    assert capability.captures
    assert not node(Device(caps=0x04A00000)).capability().captures  # metadata of the same camera
    assert not node(Device(caps=0x04008001)).capability().captures  # a codec


def test_what_it_offers(node: Callable[[Device], Node]) -> None:
    yuyv: dict[tuple[int, int], list[float]] = {(640, 480): [30, 15], (1280, 720): [10]}
    opened = node(Device({"YUYV": yuyv, "MJPG": [160, 1920, 16, 120, 1080, 8], "H264": {}}))
    assert list(opened.formats()) == ["YUYV", "MJPG", "H264"]
    assert list(opened.sizes("YUYV")) == [Size(640, 480, 640, 480, 1, 1), Size(1280, 720, 1280, 720, 1, 1)]
    assert list(opened.rates("YUYV", 640, 480)) == [30, 15]
    assert list(opened.sizes("MJPG")) == [Size(160, 120, 1920, 1080, 16, 8)]
    assert list(opened.rates("MJPG", 640, 480)) == [60, 5]
    assert list(opened.sizes("H264")) == []


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [((1280, 720), (1280, 720)), ((1, 1), (160, 120)), ((9999, 9999), (1920, 1080)), ((650, 365), (640, 360))],
)
def test_the_nearest_size_of_a_range(wanted: tuple[int, int], nearest: tuple[int, int]) -> None:
    assert Size(160, 120, 1920, 1080, 16, 8).nearest(*wanted) == nearest


def test_controls(node: Callable[[Device], Node]) -> None:
    device = Device(values={CID_BITRATE: 10_000_000, CID_GOP_SIZE: 60})
    opened = node(device)
    assert opened.control(CID_BITRATE) == Control(-5, 25_000_000, 10_000_000)
    assert opened.control(CID_FORCE_KEY_FRAME) is None
    assert (opened.get(CID_GOP_SIZE), opened.get(CID_H264_I_PERIOD)) == (60, None)
    opened.set(CID_BITRATE, 400_000)
    assert device.was_set == [(CID_BITRATE, 400_000)]
    device.refuses = errno.EBUSY
    with pytest.raises(OSError, match="busy"):
        opened.set(CID_BITRATE, 1)
    opened.close()
    opened.close()


def test_a_file_that_is_no_device() -> None:
    node = Node("/dev/null")
    with pytest.raises(OSError, match="ioctl"):
        node.capability()
    assert list(node.formats()) == []
    node.close()


@given(st.integers(0, 255), st.data())
def test_any_answer_of_a_driver_ends(seed: int, data: st.DataObject) -> None:
    """A driver that answers everything, with anything, for ever."""

    def ioctl(_fd: int, _request: int, buffer: bytearray) -> int:
        size = len(buffer)
        buffer[:] = (data.draw(st.binary(max_size=8)) + bytes([seed]) * size)[:size]
        return 0

    node = Node("/dev/null", ioctl=ioctl)
    try:
        node.capability()
        [size.nearest(640, 480) for size in node.sizes("YUYV")]
        list(node.rates("YUYV", 640, 480))
        node.control(CID_BITRATE)
    finally:
        node.close()
