"""Cameras that deliver garbage, stand still or die, in a session: told, restarted, and the call goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import av
import pytest

from appliance import devices as devices_module
from appliance import watched as watched_module
from appliance.devices import Drivers, _stall_s
from appliance.events import Bus
from appliance.room.events import CameraChanged, ConnectionState
from appliance.session import Session
from appliance.watched import WatchedCamera
from hw import AccessUnit, Camera, HardwareError, Picture
from hw.encoding import EncodingCamera
from hw.mock import AbsentCamera, MockCamera
from hw.synthetic import SyntheticCamera
from tests.appliance.media.devices import HandCamera
from tests.appliance.test_session import visitor
from tests.appliance.unit import MockDevices, hub_at, running, settings, until

GARBAGE: list[Any] = [
    None,
    "a picture",
    Picture(cast(Any, None), 1.0),
    Picture(av.VideoFrame(2, 2, "yuv420p"), 1.0),
    Picture(av.VideoFrame(320, 240, "yuv420p"), float("nan")),
    Picture(av.VideoFrame(320, 240, "yuv420p"), 1e15),
    AccessUnit(b"", True, 1.0),
    AccessUnit(b"\x00\x00\x00\x01\x67\x42", True, 1.0),
    AccessUnit(b"\x00\x00\x00\x01\x65", True, 1.0),
]


class Spoiled(MockCamera):
    """Delivers `spoil(item, number)` in place of each item of its source, for `openings` openings."""

    def __init__(self, source: Camera, spoil: Callable[[Picture | AccessUnit, int], Any], openings: int = 1) -> None:
        super().__init__(source)
        self.spoil, self.openings, self.opened = spoil, openings, 0
        self.opened_s: list[float] = []

    def start(self, sink: Callable[[Picture | AccessUnit], None], on_lost: Callable[[HardwareError], None]) -> None:
        self.opened += 1
        self.opened_s.append(time.monotonic())
        spoiled, number = self.opened <= self.openings, 0

        def deliver(item: Picture | AccessUnit) -> None:
            nonlocal number
            number += 1
            item = self.spoil(item, number) if spoiled else item
            if item is not StopIteration:
                sink(item)

        super().start(deliver, on_lost)


@asynccontextmanager
async def seen(camera: Camera) -> AsyncIterator[tuple[Session, list[CameraChanged]]]:
    """A session in a room with that camera, a visitor who sees it, and what the unit told."""
    told: list[CameraChanged] = []
    async with hub_at() as (_, url):
        bus = Bus()
        with bus.subscribe(CameraChanged, name="test") as events:

            async def listen() -> None:
                async for event in events:
                    assert isinstance(event, CameraChanged)
                    told.append(event)

            listening = asyncio.create_task(listen(), name="listen")
            drivers: Drivers = replace(MockDevices().drivers, camera=lambda: camera)
            session = Session(settings(url), drivers, bus)
            async with running(session), visitor(url, auto_subscribe=True) as client:
                await until(lambda: session.state is ConnectionState.CONNECTED and client.streams)
                yield session, told
                assert session.state is ConnectionState.CONNECTED
                await until(
                    lambda: any(stream.audio is not None and stream.audio.level > 20 for stream in client.streams)
                )
            listening.cancel()


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_module, "REOPEN_DELAYS_S", (0.05,))
    monkeypatch.setattr(devices_module, "FIRST_DELIVERY_S", 1.0)
    monkeypatch.setitem(devices_module.STALL_S, "camera", 0.5)


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("encodes", [False, True])
async def test_a_camera_of_garbage_is_no_camera_and_is_tried_again(encodes: bool) -> None:
    source: Camera = SyntheticCamera(320, 240, 10)
    source = EncodingCamera(source) if encodes else source
    camera = Spoiled(source, lambda _, number: GARBAGE[number % len(GARBAGE)], openings=1000)
    async with seen(camera) as (session, told):
        await until(lambda: session.lacks("video"))
        assert session.health == "degraded: no video"
        camera.openings = 0
        await until(lambda: session.has("video"))
        assert session.health == "ok"
        await until(lambda: len(told) >= 2)
        assert [event.state for event in told] == ["REMOVE", "ADD"]
        assert "nothing came" in told[0].message
        assert session.uplink is not None
        assert session.uplink.refused > 5


@pytest.mark.usefixtures("_impatient")
async def test_garbage_between_good_pictures_costs_itself_only() -> None:
    def spoil(item: Picture | AccessUnit, number: int) -> Any:
        return GARBAGE[number // 2 % len(GARBAGE)] if number % 2 else item

    camera = Spoiled(EncodingCamera(SyntheticCamera(320, 240, 30)), spoil)
    async with seen(camera) as (session, told):
        await until(lambda: session.has("video") and session.uplink is not None and session.uplink.refused > 20)
        assert camera.opened == 1
        assert [event.state for event in told] == ["ADD"]
        assert camera.keyframe_requests > 0  # what follows a bad unit cannot be decoded


async def test_a_camera_that_stands_still_for_two_seconds_is_restarted() -> None:
    still_s: list[float] = []

    def spoil(item: Picture | AccessUnit, number: int) -> Any:
        if number <= 10:
            return item
        still_s.append(time.monotonic())
        return StopIteration

    camera = Spoiled(SyntheticCamera(320, 240, 10), spoil)
    async with seen(camera) as (session, told):
        await until(lambda: len(told) >= 3, timeout_s=15)
        assert [event.state for event in told] == ["ADD", "REMOVE", "ADD"]
        assert "nothing came for 2 s" in told[1].message
        assert 1.8 < camera.opened_s[1] - still_s[0] < 5.0
        assert session.has("video")


def test_a_slow_camera_is_given_three_pictures() -> None:
    assert stall_s(30) == 2.0
    assert stall_s(2) == 2.0
    assert stall_s(1) == 3.0
    assert stall_s(0) == 2.0  # it does not say


def stall_s(fps: int) -> float:
    async def measure() -> float:
        camera = HandCamera()
        camera.fps = fps
        return _stall_s("camera", WatchedCamera(camera))

    return asyncio.run(measure())


class Asked(AbsentCamera):
    """Starts, and is asked for pictures; what else is asked fails."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: list[bool] = []

    def start(self, sink: object, on_lost: object) -> None:
        self.sink = cast(Any, sink)

    def want_pictures(self, wanted: bool) -> None:
        self.wanted.append(wanted)

    def request_keyframe(self) -> None:
        raise TypeError("a bug of the driver")

    def set_bitrate(self, bps: int) -> None:
        raise TypeError("a bug of the driver")


async def test_a_preview_makes_a_camera_that_encodes_deliver_pictures_while_it_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watched_module, "LOOK_S", 0.2)
    device = Asked()
    camera = WatchedCamera(device)
    camera.start(lambda _: None, lambda _: None)
    await until(lambda: hasattr(device, "sink"))
    assert camera.look() is None
    shown = Picture(av.VideoFrame(320, 240, "yuv420p"), time.monotonic())
    device.sink(shown)
    assert camera.look() is shown
    camera.want_pictures(True)
    camera.want_pictures(False)
    assert device.wanted == [True]
    await until(lambda: device.wanted == [True, False])
    await until(lambda: time.monotonic() - shown.captured_s > 0.2)
    assert camera.look() is None  # what was seen last is old
    camera.look()
    camera.close()
    assert camera.look() is None
    await camera.wait_closed()


async def test_a_driver_that_fails_when_asked_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    camera = WatchedCamera(Asked())
    camera.request_keyframe()
    camera.set_bitrate(1)
    assert caplog.text.count("TypeError: a bug of the driver") == 2
    camera.close()
    await camera.wait_closed()
