"""What udev tells, as recorded on a Raspberry Pi OS (Bookworm) when USB devices were plugged in and pulled out."""

from __future__ import annotations

import socket
import struct
import sys
import time
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw import DeviceChange, DeviceMonitor, HardwareError
from hw.mock import MockMonitor
from hw.udev import CardFacts, Table, UdevMonitor
from tests.hw.collect import Collector, no_new_threads

USB = "/devices/platform/scb/fd500000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0/usb1/1-1/1-1.2"
STICK = CardFacts("Device", "USB PnP Sound Device")


def sound(action: str, node: str) -> dict[str, str]:
    return {
        "ACTION": action,
        "DEVPATH": f"{USB}/1-1.2:1.0/sound/card1{node}",
        "SUBSYSTEM": "sound",
        "SEQNUM": "3344",
        "USEC_INITIALIZED": "8712345678",
        "MAJOR": "116",
    }


def video(action: str, node: int, capabilities: str) -> dict[str, str]:
    return {
        "ACTION": action,
        "DEVPATH": f"{USB}/1-1.2:1.0/video4linux/video{node}",
        "SUBSYSTEM": "video4linux",
        "SEQNUM": "3345",
        "DEVNAME": f"/dev/video{node}",
        "ID_V4L_VERSION": "2",
        "ID_V4L_PRODUCT": "HD Pro Webcam C920",
        "ID_V4L_CAPABILITIES": capabilities,
        "ID_MODEL": "HD_Pro_Webcam_C920",
    }


def test_a_sound_card_has_two_ends() -> None:
    table = Table()
    nodes = ("", "/pcmC1D0p", "/pcmC1D0c", "/controlC1")
    changes = [change for node in nodes if (change := table.feed(sound("add", node), STICK)) is not None]
    assert changes == [
        DeviceChange("playback", "plughw:CARD=Device,DEV=0", "ADD", "USB PnP Sound Device"),
        DeviceChange("recording", "plughw:CARD=Device,DEV=0", "ADD", "USB PnP Sound Device"),
    ]
    assert table.feed(sound("change", ""), STICK) is None


def test_a_card_that_is_gone_is_remembered() -> None:
    """Nothing of it is left in sysfs to ask."""
    table = Table()
    table.feed(sound("add", "/pcmC1D0c"), STICK)
    gone = table.feed(sound("remove", "/pcmC1D0c"), CardFacts())
    assert gone == DeviceChange("recording", "plughw:CARD=Device,DEV=0", "REMOVE", "USB PnP Sound Device")
    assert table.feed(sound("remove", "/pcmC1D0c"), CardFacts()) is None  # nobody knows which


def test_a_camera_is_the_node_that_captures() -> None:
    table = Table()
    assert table.feed(video("add", 0, ":capture:")) == DeviceChange(
        "camera", "/dev/video0", "ADD", "HD Pro Webcam C920"
    )
    assert table.feed(video("add", 1, ":")) is None  # the metadata of the same camera
    assert table.feed(video("add", 10, ":video_output:")) is None
    gone = DeviceChange("camera", "/dev/video0", "REMOVE", "HD Pro Webcam C920")
    assert table.feed(video("remove", 0, ":capture:")) == gone
    assert table.feed(video("remove", 0, ":capture:")) == gone  # one that was there before the unit


@pytest.mark.parametrize(
    ("properties", "facts", "label"),
    [
        ({"ID_V4L_PRODUCT": "", "ID_MODEL": "USB_Camera_2"}, CardFacts(), "USB Camera 2"),
        ({"ID_V4L_PRODUCT": ""}, CardFacts(product="Cam Link 4K"), "Cam Link 4K"),
        ({"ID_V4L_PRODUCT": "", "ID_MODEL": ""}, CardFacts(), "/dev/video0"),
    ],
)
def test_labels_for_people(properties: dict[str, str], facts: CardFacts, label: str) -> None:
    change = Table().feed(video("add", 0, ":capture:") | properties, facts)
    assert change is not None
    assert change.label == label


def test_a_card_without_a_usb_name() -> None:
    change = Table().feed(sound("add", "/pcmC1D3p"), CardFacts("sndrpihifiberry"))
    assert change == DeviceChange("playback", "plughw:CARD=sndrpihifiberry,DEV=3", "ADD", "sndrpihifiberry")


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["ACTION", "DEVPATH", "SUBSYSTEM", "DEVNAME", "ID_V4L_CAPABILITIES", "ID_MODEL"]),
            st.text() | st.sampled_from(["add", "remove", "sound", "video4linux", "/card1/pcmC1D0p", ":capture:"]),
        ),
        max_size=8,
    ),
    st.builds(CardFacts, st.text(), st.text()),
)
def test_any_properties_are_read(events: list[dict[str, str]], facts: CardFacts) -> None:
    table = Table()
    for properties in events:
        change = table.feed(properties, facts)
        assert change is None or (change.device_id and change.label)


# --- the real library, on the real netlink socket


def message(properties: dict[str, str]) -> bytes:
    """A message of udevd to its listeners: libudev's monitor_netlink_header (udev-monitor.c), then the properties."""
    body = b"".join(f"{name}={value}\0".encode() for name, value in properties.items())
    return struct.pack("=8sIIIIIIII", b"libudev\0", _big(0xFEEDCAFE), 40, 40, len(body), 0, 0, 0, 0) + body


def _big(number: int) -> int:
    return int.from_bytes(number.to_bytes(4, "big"), sys.byteorder)


def murmur2(text: str, seed: int = 0) -> int:
    """MurmurHash2 of libudev's string_hash32, which its socket filter compares subsystems by."""
    data, multiplier, mask = text.encode(), 0x5BD1E995, 0xFFFFFFFF
    value = seed ^ len(data)
    while len(data) >= 4:
        word = int.from_bytes(data[:4], "little") * multiplier & mask
        word = (word ^ word >> 24) * multiplier & mask
        value = (value * multiplier & mask) ^ word
        data = data[4:]
    if data:
        value = (value ^ int.from_bytes(data, "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return value ^ value >> 15


def tell(properties: dict[str, str]) -> None:
    """As udevd does, to this network namespace; only root may."""
    data = bytearray(message(properties))
    struct.pack_into("=I", data, 24, _big(murmur2(properties["SUBSYSTEM"])))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15) as netlink:  # NETLINK_KOBJECT_UEVENT
        netlink.bind((0, 0))
        netlink.sendto(bytes(data), (0, 2))  # the group of udevd's listeners


@pytest.fixture
def monitor() -> UdevMonitor:
    pytest.importorskip("pyudev")
    return UdevMonitor()


def test_the_monitor_hears_udev(monitor: UdevMonitor) -> None:
    assert isinstance(monitor, DeviceMonitor)
    changes = Collector[DeviceChange]()
    with no_new_threads():
        monitor.start(changes)
        try:
            try:
                tell(video("add", 77, ":capture:"))
            except PermissionError:
                pytest.skip("only root may speak as udevd")
            assert changes.wait(1) == [DeviceChange("camera", "/dev/video77", "ADD", "HD Pro Webcam C920")]
            tell({"ACTION": "add", "DEVPATH": "/x", "SUBSYSTEM": "sound"})  # not all that udev tells
            tell(sound("add", "/pcmC1D0c"))  # no such card: nobody can say which
            tell(video("remove", 77, ":capture:"))
            assert changes.wait(2)[1].state == "REMOVE"
        finally:
            started_s = time.monotonic()
            monitor.close()
            monitor.close()
    assert time.monotonic() - started_s < 1


def test_a_machine_without_pyudev_or_udev(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_udev() -> None:
        raise OSError("no netlink")

    broken = ModuleType("pyudev")
    broken.Context = no_udev  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyudev", broken)
    with pytest.raises(HardwareError, match="udev does not answer: no netlink"):
        UdevMonitor().start(lambda _change: None)
    monkeypatch.setitem(sys.modules, "pyudev", None)
    with pytest.raises(HardwareError, match="device changes need pyudev"):
        UdevMonitor().start(lambda _change: None)


def test_facts_are_read_from_sysfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that was there before is known by name when it goes."""

    class Device:
        subsystem = "sound"
        properties = sound("", "/pcmC1D0p")
        parent = SimpleNamespace(attributes={"id": b"Device\n"})

        def find_parent(self, *_kind: str) -> SimpleNamespace:
            return SimpleNamespace(attributes={"product": b"USB PnP Sound Device\n"})

    ends = socket.socketpair()
    library = ModuleType("pyudev")

    class Monitor:
        fileno = ends[0].fileno

        @classmethod
        def from_netlink(cls, _context: object) -> Monitor:
            return cls()

        def filter_by(self, _subsystem: str) -> None:
            pass

        def start(self) -> None:
            pass

        def poll(self, _timeout_s: float) -> SimpleNamespace:
            ends[0].recv(1)
            gone = SimpleNamespace(attributes={})
            return SimpleNamespace(
                subsystem="sound",
                properties=sound("remove", "/pcmC1D0p"),
                parent=gone,
                find_parent=lambda *_kind: None,
            )

    class Context:
        def list_devices(self, subsystem: str) -> list[Device]:
            return [Device()] if subsystem == "sound" else []

    library.Context, library.Monitor = Context, Monitor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyudev", library)
    changes = Collector[DeviceChange]()
    monitor = UdevMonitor()
    monitor.start(changes)
    ends[1].send(b".")
    assert changes.wait(1) == [DeviceChange("playback", "plughw:CARD=Device,DEV=0", "REMOVE", "USB PnP Sound Device")]
    monitor.close()
    for end in ends:
        end.close()


def test_the_mock_monitor_says_what_a_test_says() -> None:
    monitor, changes = MockMonitor(), Collector[DeviceChange]()
    assert isinstance(monitor, DeviceMonitor)
    monitor.add("camera", "/dev/video0")  # nobody listens
    monitor.start(changes)
    monitor.add("camera", "/dev/video0", "A webcam")
    monitor.remove("playback", "usb")
    monitor.close()
    monitor.add("camera", "/dev/video0")
    assert changes.items == [
        DeviceChange("camera", "/dev/video0", "ADD", "A webcam"),
        DeviceChange("playback", "usb", "REMOVE", "usb"),
    ]
