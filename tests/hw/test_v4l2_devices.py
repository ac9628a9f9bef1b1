"""Which devices are cameras, and what they offer."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from hw.v4l2_devices import cameras, encoder_controls, offers
from hw.v4l2_formats import EncoderControls, Offer
from hw.v4l2_ioctl import CID_BITRATE, CID_FORCE_KEY_FRAME, CID_GOP_SIZE, CID_H264_I_PERIOD, Node
from tests.hw.v4l2_device import Device, Sizes

VGA: Sizes = {(640, 480): [30.0]}


def opener(devices: dict[str, Device | OSError]) -> Callable[[str], Node]:
    def open_node(path: str) -> Node:
        device = devices[Path(path).name]
        if isinstance(device, OSError):
            raise device
        return Node(path, ioctl=device.ioctl)

    return open_node


def test_cameras_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    devices: dict[str, Device | OSError] = {
        "video0": Device({"pRAA": {}}, driver="unicam"),
        "video1": Device({"YUYV": VGA}, driver="bcm2835-isp"),
        "video2": PermissionError(errno.EACCES, "Permission denied"),
        "video3": Device({"UVCH": {}}, caps=0x04A00000),
        "video4": Device({"XXXX": VGA}),
        "video10": Device({"H264": VGA}, driver="bcm2835-codec", caps=0x04008000),
        "video11": Device({"YUYV": VGA, "XXXX": VGA}),
        "video9": Device({"MJPG": VGA}),
    }
    for name in devices:
        (tmp_path / name).touch()
    found = cameras(tmp_path, open_node=opener(devices))
    assert [Path(path).name for path in found] == ["video9", "video11"]


def test_a_machine_without_any(tmp_path: Path) -> None:
    assert list(cameras(tmp_path)) == []
    (tmp_path / "video0").touch()
    assert list(cameras(tmp_path)) == []


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "video0").touch()
    return str(tmp_path / "video0")


def test_offers(path: str) -> None:
    device = Device(
        {"YUYV": {(640, 480): [30, 15], (0, 0): [1]}, "MJPG": [160, 1920, 2, 120, 1080, 2], "XXXX": VGA, "NV12": {}}
    )
    node = Node(path, ioctl=device.ioctl)
    assert offers(node, 1280, 720, 15) == [
        Offer("YUYV", 640, 480, 15),
        Offer("MJPG", 1280, 720, 60),
        Offer("NV12", 1280, 720, 15),
    ]
    node.close()


def test_controls_of_an_encoder(path: str) -> None:
    def controls(values: dict[int, int]) -> EncoderControls:
        node = Node(path, ioctl=Device(values=values).ioctl)
        try:
            return encoder_controls(node)
        finally:
            node.close()

    assert controls({}) == EncoderControls()
    assert controls({CID_FORCE_KEY_FRAME: 0, CID_BITRATE: 1}) == EncoderControls(True, True, None)
    assert controls({CID_GOP_SIZE: 12}).gop == 12
    assert controls({CID_GOP_SIZE: 12, CID_H264_I_PERIOD: 30}).gop == 30
