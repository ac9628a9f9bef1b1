"""Drivers that misbehave, in a session that is in a call: the call goes on with what is left."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from appliance import devices as devices_module
from appliance.devices import Drivers
from appliance.events import Bus, Event
from appliance.room.events import CameraChanged, ConnectionState, PlaybackDeviceChanged
from appliance.session import Session
from hw import AccessUnit, Camera, HardwareError, Picture, Samples
from hw.mock import MockCamera, MockSpeaker
from hw.synthetic import SyntheticCamera
from tests.appliance.test_session import visitor
from tests.appliance.unit import MockDevices, hub_at, running, settings, until


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_module, "REOPEN_DELAYS_S", (0.05,))
    monkeypatch.setattr(devices_module, "FIRST_DELIVERY_S", 0.5)
    for kind in devices_module.STALL_S:
        monkeypatch.setitem(devices_module.STALL_S, kind, 0.5)


class BadCamera(MockCamera):
    """`on_start` and `on_close` run first, in whatever thread calls."""

    def __init__(
        self, on_start: Callable[[], None] = lambda: None, on_close: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(SyntheticCamera(320, 240, 10))
        self.on_start, self.on_close = on_start, on_close
        self.opened = 0

    def start(self, sink: Callable[[Picture | AccessUnit], None], on_lost: Callable[[HardwareError], None]) -> None:
        self.opened += 1
        self.on_start()
        super().start(sink, on_lost)

    def close(self) -> None:
        self.on_close()
        super().close()


def bug() -> None:
    raise TypeError("a bug of the driver")


def new(url: str, camera: Callable[[], Camera], bus: Bus) -> Session:
    return Session(settings(url), replace(MockDevices().drivers, camera=camera), bus)


@pytest.mark.parametrize("where", ["making", "opening"])
async def test_an_error_of_a_driver_costs_its_device_only(where: str) -> None:
    def make() -> Camera:
        if where == "making":
            bug()
        return BadCamera(on_start=bug)

    async with hub_at() as (_, url):
        bus = Bus()
        with bus.subscribe(CameraChanged, name="test") as events:
            session = new(url, make, bus)
            async with running(session), visitor(url, auto_subscribe=True) as client:
                event = await anext(events)
                assert isinstance(event, CameraChanged)
                assert "its driver failed: TypeError: a bug of the driver" in event.message
                await until(
                    lambda: any(stream.audio is not None and stream.audio.level > 20 for stream in client.streams)
                )
                assert session.health == "degraded: no video"
                assert session.lacks("video")


@pytest.mark.parametrize("where", ["opening", "closing"])
async def test_a_driver_that_hangs_holds_nothing_up_and_is_not_opened_twice(where: str) -> None:
    released = threading.Event()
    hang = threading.Event()
    hang.set()

    def wait() -> None:
        if hang.is_set():
            released.wait()

    camera = BadCamera(on_start=wait) if where == "opening" else BadCamera(on_close=wait)
    camera.stalled = True
    async with hub_at() as (_, url):
        session = new(url, lambda: camera, Bus())
        async with running(session), visitor(url) as client:
            await until(lambda: session.lacks("video"))
            await until(lambda: session.state is ConnectionState.CONNECTED and client.streams)
            worst_s = await longest_turn_s(1.0)
            assert worst_s < 0.5
            assert camera.opened == 1
            hang.clear()
            camera.stalled = False
            released.set()
            await until(lambda: session.has("video"))
            assert camera.opened == 2
            await until(lambda: session.health == "ok")


async def test_a_driver_that_never_closes_does_not_keep_the_unit_from_ending(caplog: pytest.LogCaptureFixture) -> None:
    released = threading.Event()

    def wait() -> None:
        released.wait()

    camera = BadCamera(on_close=wait)
    try:
        session = new("ws://127.0.0.1:9/hub/ws", lambda: camera, Bus())
        async with running(session):
            await until(lambda: session.has("video"))
            ending_s = time.monotonic()
        assert time.monotonic() - ending_s < 1.5
        assert "left behind: mock-camera" in caplog.text
    finally:
        released.set()


class DyingSpeaker(MockSpeaker):
    """The first opening's thread ends after 20 blocks, without a word."""

    opened = 0

    def start(self, source: Callable[[], Samples], on_lost: Callable[[HardwareError], None]) -> None:
        self.opened += 1
        first, pulled = self.opened == 1, 0

        def dying() -> Samples:
            nonlocal pulled
            pulled += 1
            if first and pulled > 20:
                raise SystemExit  # ends a thread silently
            return source()

        super().start(dying, on_lost)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it is the test
async def test_a_speaker_whose_thread_died_is_opened_again() -> None:
    speaker, bus = DyingSpeaker(), Bus()
    drivers = Drivers(speaker=lambda: speaker)
    seen: list[Event] = []
    with bus.subscribe(PlaybackDeviceChanged, name="test") as events:
        session = Session(settings("ws://127.0.0.1:9/hub/ws", auto_join=False), drivers, bus)
        async with running(session):
            while len(seen) < 3:
                seen.append(await anext(events))
            await until(lambda: speaker.blocks > 30)
    assert [event.state for event in seen if isinstance(event, PlaybackDeviceChanged)] == ["ADD", "REMOVE", "ADD"]


async def longest_turn_s(seconds: float) -> float:
    """The longest time that the loop was away while it had nothing to do."""
    end_s, worst_s = time.monotonic() + seconds, 0.0
    while (before_s := time.monotonic()) < end_s:
        await asyncio.sleep(0.01)
        worst_s = max(worst_s, time.monotonic() - before_s)
    return worst_s
