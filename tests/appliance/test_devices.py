"""What is told of devices that come, go and are replaced; and the microphone's own switch, which goes with the gate."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from appliance import devices as devices_module
from appliance.devices import Device, Devices, Drivers
from appliance.events import Bus, Event
from appliance.media.playout import Playout
from appliance.media.uplink import Uplink
from appliance.room.events import (
    AudioTrackEnded,
    CameraChanged,
    PlaybackDeviceChanged,
    RecordingDeviceChanged,
    StreamError,
    StreamErrorCode,
    VideoTrackEnded,
)
from appliance.session import Session
from appliance.unit_events import DevicesChanged
from hw import DeviceChange, HardwareError, MuteSwitch, SoundStats
from hw.mock import AbsentSpeaker, MockMicrophone, MockMonitor, MockSpeaker
from tests.appliance.unit import MockDevices, hub_at, new_session, running, settings, until

NEVER_S = 60.0  # a wait that nobody sits out
TOLD = (RecordingDeviceChanged, CameraChanged, PlaybackDeviceChanged, AudioTrackEnded, VideoTrackEnded, StreamError)


class Watcher:
    """What the devices of a unit tell, and the devices themselves, without a session around them."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.devices: Devices

    def publish(self, event: Event) -> None:
        if isinstance(event, TOLD):
            self.told.append(event)

    def words(self) -> list[str]:
        """Such as "RecordingDeviceChanged REMOVE mock-microphone"."""
        return [
            " ".join(
                [
                    type(event).__name__,
                    *(str(getattr(event, name)) for name in ("state", "code", "device_id") if hasattr(event, name)),
                ]
            )
            for event in self.told
        ]


@asynccontextmanager
async def watching(drivers: Drivers) -> AsyncIterator[Watcher]:
    watcher, uplink, playout = Watcher(), Uplink(), Playout()
    watcher.devices = Devices(drivers, uplink, playout, watcher.publish, lambda: None)
    task = asyncio.create_task(watcher.devices.run(), name="devices under test")
    try:
        yield watcher
    finally:
        task.cancel()
        await asyncio.wait({task})
        await asyncio.gather(uplink.close(), playout.close())
        await watcher.devices.closed()
        if not task.cancelled():
            task.result()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is lost is not tried again by itself."""
    monkeypatch.setattr(devices_module, "REOPEN_DELAYS_S", (NEVER_S,))


@pytest.mark.usefixtures("patient")
@pytest.mark.row("U66", "U67", "U68", "U69", "U70", "OR04")
async def test_a_device_that_goes_is_gone_first_and_its_track_ended_then() -> None:
    mocks = MockDevices()
    async with watching(mocks.drivers) as watcher:
        await until(lambda: len(watcher.devices.working) == 3)
        assert sorted(watcher.words()) == [
            "CameraChanged ADD mock-camera",
            "PlaybackDeviceChanged ADD mock-speaker",
            "RecordingDeviceChanged ADD mock-microphone",
        ]
        watcher.told.clear()
        for device in (mocks.microphone, mocks.camera, mocks.speaker):
            before = len(watcher.told)
            device.unplug()
            await until(lambda count=before: len(watcher.told) > count)  # type: ignore[misc]
        assert watcher.words() == [
            "RecordingDeviceChanged REMOVE mock-microphone",
            "AudioTrackEnded mock-microphone",
            "CameraChanged REMOVE mock-camera",
            "VideoTrackEnded mock-camera",
            "PlaybackDeviceChanged REMOVE mock-speaker",
        ]
        assert isinstance(ended := watcher.told[1], AudioTrackEnded)
        assert ended.stream == "main"
        assert watcher.devices.lost == {"microphone", "camera", "speaker"}


@pytest.mark.usefixtures("patient")
async def test_what_appears_is_tried_at_once() -> None:
    mocks, monitor = MockDevices(), MockMonitor()
    mocks.camera.unplug()
    async with watching(replace(mocks.drivers, monitor=monitor)) as watcher:
        await until(lambda: "camera" in watcher.devices.lost and len(watcher.devices.working) == 2 and monitor.is_open)
        watcher.told.clear()
        mocks.camera.plug_in()
        monitor.add("camera", "mock-camera", "A webcam")
        await until(lambda: "camera" in watcher.devices.working)
        assert watcher.told == [CameraChanged(device_id="mock-camera", state="ADD", label="A webcam")]
    assert not monitor.is_open


@pytest.mark.usefixtures("patient")
@pytest.mark.row("U66", "U67", "U68")
async def test_every_device_is_told_not_only_those_in_use() -> None:
    mocks, monitor = MockDevices(), MockMonitor()
    async with watching(replace(mocks.drivers, monitor=monitor)) as watcher:
        await until(lambda: len(watcher.devices.working) == 3 and monitor.is_open)
        watcher.told.clear()
        monitor.add("recording", "plughw:CARD=Jabra,DEV=0", "Jabra SPEAK")
        monitor.add("playback", "plughw:CARD=Jabra,DEV=0", "Jabra SPEAK")
        monitor.remove("recording", "plughw:CARD=Jabra,DEV=0", "Jabra SPEAK")
        monitor.remove("camera", "/dev/video8", "Another")
        await until(lambda: len(watcher.told) == 4)
        assert watcher.told[0] == RecordingDeviceChanged(
            device_id="plughw:CARD=Jabra,DEV=0", state="ADD", label="Jabra SPEAK"
        )
        assert watcher.words()[1:] == [
            "PlaybackDeviceChanged ADD plughw:CARD=Jabra,DEV=0",
            "RecordingDeviceChanged REMOVE plughw:CARD=Jabra,DEV=0",
            "CameraChanged REMOVE /dev/video8",
        ]
        assert len(watcher.devices.working) == 3
        assert all(stats.openings == 1 for stats in watcher.devices.stats())


@pytest.mark.usefixtures("patient")
async def test_one_in_use_that_only_udev_misses() -> None:
    """Some drivers notice nothing for seconds."""
    mocks, monitor = MockDevices(), MockMonitor()
    async with watching(replace(mocks.drivers, monitor=monitor)) as watcher:
        await until(lambda: len(watcher.devices.working) == 3 and monitor.is_open)
        watcher.told.clear()
        monitor.remove("camera", "mock-camera")
        await until(lambda: len(watcher.told) == 2)
        assert watcher.words() == ["CameraChanged REMOVE mock-camera", "VideoTrackEnded mock-camera"]
        [camera] = [stats for stats in watcher.devices.stats() if stats.kind == "camera"]
        assert (camera.works, camera.losses, camera.openings) == (False, 1, 1)
        assert "unplugged" in camera.error


async def test_a_machine_that_tells_nothing_is_tried(caplog: pytest.LogCaptureFixture) -> None:
    class Deaf(MockMonitor):
        def start(self, sink: Callable[[DeviceChange], None]) -> None:
            raise HardwareError("device changes: nobody tells")

    caplog.set_level("INFO")
    async with watching(replace(MockDevices().drivers, monitor=Deaf())) as watcher:
        await until(lambda: len(watcher.devices.working) == 3)
        await until(lambda: "nobody tells" in caplog.text)


@pytest.mark.usefixtures("patient")
@pytest.mark.row("U41", "RS21")
async def test_resume_tries_it_now() -> None:
    mocks = MockDevices()
    mocks.speaker.unplug()
    async with watching(mocks.drivers) as watcher:
        await until(lambda: "speaker" in watcher.devices.stream_errors)
        await until(lambda: {"microphone", "camera"} <= watcher.devices.working)  # they tell nothing more
        error = watcher.devices.stream_errors["speaker"]
        assert (error.code, error.stream, error.kind) == (StreamErrorCode.PLAYBACK_NOT_ALLOWED, "playout", "speaker")
        watcher.told.clear()
        watcher.devices.resume("speaker")  # in vain: it is told again
        assert not watcher.devices.stream_errors
        await until(lambda: watcher.told)
        assert watcher.words() == ["StreamError playback-not-allowed"]
        mocks.speaker.plug_in()
        watcher.devices.resume("speaker")
        await until(lambda: "speaker" in watcher.devices.working)
        assert not watcher.devices.stream_errors


async def test_a_speaker_that_refuses_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_module, "REOPEN_DELAYS_S", (0.01,))
    drivers = Drivers(speaker=lambda: AbsentSpeaker("speaker hw:0: Device or resource busy"))
    async with watching(drivers) as watcher:
        await until(lambda: watcher.devices.stats()[0].openings > 5)
        assert watcher.words() == ["PlaybackDeviceChanged REMOVE absent", "StreamError playback-not-allowed"]
        assert isinstance(error := watcher.told[1], StreamError)
        assert "busy" in error.message


def standing_in(*devices: Device) -> Callable[[], Sequence[Callable[[], Device]]]:
    return lambda: [lambda device=device: device for device in devices]  # type: ignore[misc]


@pytest.mark.usefixtures("patient")
async def test_another_device_takes_the_place_of_a_lost_one() -> None:
    mocks, dead, other = MockDevices(), MockMicrophone(device_id="dead"), MockMicrophone(device_id="other")
    dead.unplug()
    drivers = replace(mocks.drivers, others={"microphone": standing_in(dead, other)})
    async with watching(drivers) as watcher:
        await until(lambda: len(watcher.devices.working) == 3)
        watcher.told.clear()
        mocks.microphone.unplug()
        await until(lambda: watcher.devices.stats()[0].device_id == "other" and watcher.devices.stats()[0].works)
        assert watcher.words() == [
            "RecordingDeviceChanged REMOVE mock-microphone",
            "AudioTrackEnded mock-microphone",
            "RecordingDeviceChanged REMOVE dead",
            "RecordingDeviceChanged ADD other",
        ]
        mocks.microphone.plug_in()
        watcher.devices.resume("microphone")  # back to the configured one
        await until(lambda: watcher.devices.stats()[0].device_id == "mock-microphone")
        await until(lambda: "microphone" in watcher.devices.working)
        assert "RecordingDeviceChanged ADD mock-microphone" in watcher.words()
        assert not watcher.devices.stream_errors


@pytest.mark.usefixtures("patient")
async def test_a_stand_in_that_is_lost_makes_way_for_the_configured_one() -> None:
    mocks, other = MockDevices(), MockMicrophone(device_id="other")
    async with watching(replace(mocks.drivers, others={"microphone": standing_in(other)})) as watcher:
        await until(lambda: len(watcher.devices.working) == 3)
        mocks.microphone.unplug()
        await until(lambda: "RecordingDeviceChanged ADD other" in watcher.words())
        mocks.microphone.plug_in()
        other.unplug()
        await until(lambda: watcher.words()[-1] == "RecordingDeviceChanged ADD mock-microphone")
        assert not watcher.devices.stream_errors


@pytest.mark.usefixtures("patient")
async def test_the_loop_does_not_wait_while_others_are_looked_for() -> None:
    mocks, other = MockDevices(), MockMicrophone(device_id="other")
    asked, found = threading.Event(), threading.Event()

    def slow() -> Sequence[Callable[[], Device]]:
        asked.set()
        assert found.wait(5)
        return [lambda: other]

    async with watching(replace(mocks.drivers, others={"microphone": slow})) as watcher:
        await until(lambda: len(watcher.devices.working) == 3)
        mocks.microphone.unplug()
        await until(asked.is_set)
        assert watcher.devices.working == {"camera", "speaker"}
        found.set()
        await until(lambda: "RecordingDeviceChanged ADD other" in watcher.words())


@pytest.mark.usefixtures("patient")
@pytest.mark.row("U41", "RS22")
async def test_nothing_takes_its_place() -> None:
    mocks = MockDevices()
    async with watching(replace(mocks.drivers, others={"camera": list, "microphone": list})) as watcher:
        await until(lambda: len(watcher.devices.working) == 3)
        watcher.told.clear()
        mocks.camera.unplug()
        await until(lambda: len(watcher.told) == 3)
        assert watcher.words() == [
            "CameraChanged REMOVE mock-camera",
            "VideoTrackEnded mock-camera",
            "StreamError device-auto-recover-failed",
        ]
        assert isinstance(error := watcher.told[-1], StreamError)
        assert (error.stream, error.kind) == ("main", "camera")
        mocks.camera.plug_in()
        watcher.devices.resume("camera")
        assert not watcher.devices.stream_errors
        await until(lambda: "camera" in watcher.devices.working)


async def test_what_works_is_told_with_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_module, "REOPEN_DELAYS_S", (0.05,))
    devices, bus = MockDevices(), Bus()
    session = Session(settings("ws://127.0.0.1:9/hub/ws", auto_join=False), devices.drivers, bus)
    async with running(session):
        await until(lambda: bus.latest(DevicesChanged) == DevicesChanged(microphone=True, camera=True, speaker=True))
        devices.speaker.unplug()
        await until(lambda: bus.latest(DevicesChanged) == DevicesChanged(microphone=True, camera=True, speaker=False))


async def test_what_a_sound_card_measures() -> None:
    class Card(MockSpeaker):
        stats = SoundStats(period_frames=480, buffer_frames=1920, xruns=3, latency_ms=30.0, drift_ppm=-12.5)
        label = "A card"

    async with watching(replace(MockDevices().drivers, speaker=Card)) as watcher:
        await until(lambda: len(watcher.devices.working) == 3)
        microphone, _, speaker = watcher.devices.stats()
        assert (speaker.label, speaker.sound) == ("A card", Card.stats)
        assert (microphone.label, microphone.sound) == ("mock-microphone", None)
        assert isinstance(added := next(e for e in watcher.told if isinstance(e, PlaybackDeviceChanged)), Event)
        assert added.label == "A card"


class SwitchedMicrophone(MockMicrophone):
    def __init__(self) -> None:
        super().__init__()
        self.switched: list[bool] = []

    def set_muted(self, muted: bool) -> None:
        self.switched.append(muted)


async def test_the_switch_follows_the_gate() -> None:
    microphone = SwitchedMicrophone()
    assert isinstance(microphone, MuteSwitch)
    async with hub_at() as (_, url):
        session = Session(settings(url), Drivers(microphone=lambda: microphone), Bus())
        await session.gates.set("audio", True)
        async with running(session):
            await until(lambda: session.has("audio"))
            assert microphone.switched[-1:] == [True]  # muted before it was there
            await session.gates.set("audio", False)
            assert microphone.switched[-1:] == [False]
            await session.gates.set("audio", True)
            microphone.unplug()
            await until(lambda: not session.has("audio"))
            microphone.switched.clear()
            microphone.plug_in()
            await until(lambda: session.has("audio"))
            assert microphone.switched[-1:] == [True]


async def test_a_microphone_without_a_switch_is_muted_by_the_gate() -> None:
    devices = MockDevices()
    assert not isinstance(devices.microphone, MuteSwitch)
    async with hub_at() as (_, url):
        session, _ = new_session(url, devices)
        async with running(session):
            await until(lambda: session.has("audio"))
            await session.gates.set("audio", True)
            assert session.is_muted("audio")


async def test_devices_are_exchanged_for_others_and_for_none_without_a_word_of_a_loss() -> None:
    ours, others = MockDevices(), MockDevices()
    async with watching(ours.drivers) as watcher:
        await until(lambda: watcher.devices.working == {"microphone", "camera", "speaker"})
        others.microphone.device_id, others.camera.device_id = "microphone 2", "camera 2"
        watcher.devices.replace(replace(others.drivers, camera=None), ("microphone", "camera"))
        await until(
            lambda: watcher.devices.microphone is not None and watcher.devices.microphone.device_id == "microphone 2"
        )
        await until(lambda: watcher.devices.working == {"microphone", "speaker"})
        assert not watcher.devices.lost
        watcher.devices.replace(others.drivers, ["camera"])
        await until(lambda: "camera" in watcher.devices.working)
        assert watcher.devices.camera is not None
        assert watcher.devices.camera.device_id == "camera 2"
        assert not [event for event in watcher.told if isinstance(event, StreamError)]
