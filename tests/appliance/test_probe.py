from __future__ import annotations

import threading

from appliance.devices import Drivers
from appliance.probe import probe
from hw.mock import AbsentCamera, MockCamera, MockMicrophone, MockSpeaker
from hw.synthetic import SyntheticCamera, SyntheticMicrophone


def test_devices_that_work_are_closed_again() -> None:
    threads = threading.active_count()
    drivers = Drivers(
        microphone=lambda: MockMicrophone(SyntheticMicrophone()),
        camera=lambda: MockCamera(SyntheticCamera(320, 180, 30)),
        speaker=MockSpeaker,
    )
    assert [(kind, error) for kind, _, error in probe(drivers)] == [
        ("microphone", None),
        ("camera", None),
        ("speaker", None),
    ]
    assert threading.active_count() == threads


def test_absent_device() -> None:
    [(kind, device_id, error)] = probe(Drivers(camera=lambda: AbsentCamera("no camera on this board")))
    assert (kind, device_id) == ("camera", AbsentCamera().device_id)
    assert "no camera on this board" in str(error)


def test_device_that_opens_and_stays_silent() -> None:
    camera = MockCamera(SyntheticCamera(320, 180, 30))
    camera.stalled = True
    [(_, _, error)] = probe(Drivers(camera=lambda: camera), timeout_s=0.1)
    assert "delivers nothing within 0.1 s" in str(error)
