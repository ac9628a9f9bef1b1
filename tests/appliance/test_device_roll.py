"""Each coming and going is told once, whoever notices it first."""

from __future__ import annotations

from appliance.device_roll import MAX_GONE, DeviceRoll
from appliance.events import Event
from appliance.room.events import CameraChanged, PlaybackDeviceChanged, RecordingDeviceChanged


def test_each_once_and_each_kind_by_itself() -> None:
    told: list[Event] = []
    roll = DeviceRoll(told.append)
    roll.gone("camera", "/dev/video0", "A webcam", "it is not there")  # the first try to open it
    roll.gone("camera", "/dev/video0", "A webcam")
    roll.there("camera", "/dev/video0", "A webcam")  # udev
    roll.there("camera", "/dev/video0", "A webcam")  # it works
    roll.there("microphone", "usb", "A headset")
    roll.there("speaker", "usb", "A headset")
    roll.gone("speaker", "usb", "A headset", "Input/output error")
    assert told == [
        CameraChanged(device_id="/dev/video0", state="REMOVE", label="A webcam", message="it is not there"),
        CameraChanged(device_id="/dev/video0", state="ADD", label="A webcam"),
        RecordingDeviceChanged(device_id="usb", state="ADD", label="A headset"),
        PlaybackDeviceChanged(device_id="usb", state="ADD", label="A headset"),
        PlaybackDeviceChanged(device_id="usb", state="REMOVE", label="A headset", message="Input/output error"),
    ]


def test_of_what_has_gone_the_latest_are_remembered() -> None:
    told: list[Event] = []
    roll = DeviceRoll(told.append)
    roll.there("camera", "stays", "A webcam")
    for number in range(3 * MAX_GONE):
        roll.there("camera", f"usb-{number}", "A stick")
        roll.gone("camera", f"usb-{number}", "A stick")
    assert len(roll._told) == MAX_GONE + 1
    told.clear()
    roll.there("camera", "stays", "A webcam")
    roll.gone("camera", f"usb-{3 * MAX_GONE - 1}", "A stick")
    assert told == []
