"""Trying out camera, microphone, speaker and LEDs, on mock hardware that can be looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import av
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from appliance.chime import chime
from appliance.device_test import DevicesTold, DeviceTest
from appliance.devices import Drivers
from appliance.drivers import PanelDevices
from appliance.event_stream import EventStreams
from appliance.events import Bus
from appliance.front_panel import WALK_STEP_S, walk
from appliance.panel_link import PanelLink
from appliance.session import Session
from hw import LED_NAMES, SAMPLE_RATE_HZ, LedName
from hw.mock import MockButtons, MockLeds
from provisioning.http_routes import add_routes
from tests.appliance.unit import MockDevices, idle_intercom, new_session, running, settings, until

NO_HUB = "ws://127.0.0.1:9/hub/ws"


class SeenLeds(MockLeds):
    """Remembers which LED was lit alone, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.lit: list[LedName] = []

    def set(self, brightness: Mapping[LedName, float]) -> None:
        super().set(brightness)
        lit = [name for name, level in self.brightness.items() if level == 1.0]
        if len(lit) == 1 and self.lit[-1:] != lit:
            self.lit += lit


@dataclass
class Bench:
    http: TestClient[web.Request, web.Application]
    session: Session
    devices: MockDevices
    leds: SeenLeds
    test: DeviceTest


@asynccontextmanager
async def bench(*, has_devices: bool = True) -> AsyncIterator[Bench]:
    devices, leds = MockDevices(), SeenLeds()
    session, bus = new_session(NO_HUB, devices, auto_join=False)
    if not has_devices:
        session = Session(settings(NO_HUB, auto_join=False), Drivers(None, None, None), Bus())
    panel = (
        PanelLink(PanelDevices(leds, MockButtons()), session, idle_intercom(session, bus), bus) if has_devices else None
    )
    test = DeviceTest(session, EventStreams(lambda _request: True), lambda: panel)
    application = web.Application()
    add_routes(application, test.routes())
    application.cleanup_ctx.append(test.running)
    task = asyncio.create_task(panel.run() if panel is not None else asyncio.sleep(0), name="panel under test")
    async with TestClient(TestServer(application)) as http, running(session):
        if has_devices:
            await until(lambda: session.devices is not None and len(session.devices.working) == 3)
        yield Bench(http, session, devices, leds, test)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_the_chime_is_heard_and_ends() -> None:
    async with bench() as one, one.http.post("/api/test/speaker") as response:
        assert response.status == 200
        await until(lambda: one.test.levels().speaker > 40, "the chime is heard")
        await until(lambda: one.test.levels().speaker == 0, "and over")
        played = one.devices.speaker.samples().astype(float) / 32768
        assert 0.2 < np.abs(played).max() < 0.5
        spectrum = np.abs(np.fft.rfft(played[-3 * SAMPLE_RATE_HZ :]))
        at_hz = np.fft.rfftfreq(min(played.size, 3 * SAMPLE_RATE_HZ), 1 / SAMPLE_RATE_HZ)
        assert at_hz[int(spectrum.argmax())] == pytest.approx(880, abs=700)


async def test_a_second_chime_takes_the_place_of_the_first() -> None:
    async with bench() as one:
        for _ in range(20):
            async with one.http.post("/api/test/speaker", json={}) as response:
                assert response.status == 200
        await until(lambda: one.test.levels().speaker > 40)
        await until(lambda: one.test.levels().speaker == 0, "twenty chimes are no queue", timeout_s=5)


def test_a_chime_does_not_click() -> None:
    sound = chime()
    assert sound.dtype == np.float32
    assert np.abs(sound).max() < 0.5
    assert abs(float(sound[0])) < 0.01
    assert float(sound[-1]) == 0.0
    assert np.abs(np.diff(sound)).max() < 0.1


async def test_leds_light_one_after_the_other_and_then_show_the_state() -> None:
    async with bench() as one:
        async with one.http.post("/api/test/leds") as response:
            assert response.status == 200
        await until(lambda: one.leds.lit[: len(LED_NAMES)] == list(LED_NAMES), "each in its turn")
        await one.session.gates.set("audio", True)
        await until(lambda: one.leds.brightness["mute"] == 1.0, "the state is back")


def test_a_walk_lights_every_led_once() -> None:
    lit = [walk((index + 0.5) * WALK_STEP_S) for index in range(len(LED_NAMES))]
    assert [[name for name, level in step.items() if level] for step in lit if step] == [[name] for name in LED_NAMES]
    assert walk(len(LED_NAMES) * WALK_STEP_S) is None


async def test_a_picture_of_the_camera_unless_it_is_shut() -> None:
    async with bench() as one:
        async with asyncio.timeout(5):
            while True:
                async with one.http.get("/api/test/camera.jpg") as response:
                    if response.status == 200:
                        assert response.content_type == "image/jpeg"
                        codec = av.CodecContext.create("mjpeg", "r")
                        assert isinstance(codec, av.VideoCodecContext)
                        assert codec.decode(av.Packet(await response.read()))[0].width == 320
                        break
                    assert response.status == 204
        await one.session.gates.set("video", True)
        async with one.http.get("/api/test/camera.jpg") as response:
            assert response.status == 204


async def test_levels_and_devices_are_told_as_they_change() -> None:
    async with bench() as one, asyncio.timeout(10), one.http.get("/api/test/levels") as response:
        assert response.content_type == "text/event-stream"
        name, heard = "", False
        async for raw in response.content:
            line = raw.decode().strip()
            name = line.removeprefix("event: ") if line.startswith("event: ") else name
            if not line.startswith("data: "):
                continue
            data = json.loads(line.removeprefix("data: "))
            if name == "levels" and data["microphone"] > 40 and not heard:
                heard = True
                await one.session.gates.set("audio", True)
            if name == "devices" and data["microphone"] == "shut":
                assert data == {"camera": "works", "microphone": "shut", "speaker": "works", "leds": "works"}
                break
        assert heard


async def test_a_unit_without_devices_says_so() -> None:
    async with bench(has_devices=False) as one:
        assert one.test.devices() == DevicesTold("absent", "absent", "absent", "absent")
        for path, code in (("/api/test/speaker", "no-speaker"), ("/api/test/leds", "no-panel")):
            async with one.http.post(path) as response:
                assert response.status == 409
                assert (await response.json())["error"]["code"] == code
        async with one.http.get("/api/test/camera.jpg") as response:
            assert response.status == 204
