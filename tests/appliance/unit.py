"""A unit on mock hardware for the tests of session and web: its devices, its hub, and waiting for things to be true."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

from appliance.devices import Drivers
from appliance.events import Bus
from appliance.hub.server import Hub
from appliance.hub.settings import HubSettings
from appliance.hub.tokens import TokenSigner
from appliance.intercom_link import IntercomLink
from appliance.intercom_settings import IntercomSettings
from appliance.media import aiortc_hooks
from appliance.media.uplink import UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.session import Session
from appliance.session_settings import SessionSettings
from hw.mock import MockCamera, MockMicrophone, MockSpeaker
from hw.synthetic import SyntheticCamera, SyntheticMicrophone
from provisioning.http_routes import add_routes

SIGNER = TokenSigner(b"x" * 32)
STEP_TIMEOUT_S = 10.0


async def until(condition: Callable[[], object], what: str = "", timeout_s: float = STEP_TIMEOUT_S) -> None:
    """Wait until `condition()` is true."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"never so: {what or condition}"
        await asyncio.sleep(0.01)


@dataclass
class MockDevices:
    """Small pictures: the tests share two cores."""

    camera: MockCamera = field(default_factory=lambda: MockCamera(SyntheticCamera(320, 240, 10)))
    microphone: MockMicrophone = field(default_factory=lambda: MockMicrophone(SyntheticMicrophone(tone_hz=440)))
    speaker: MockSpeaker = field(default_factory=MockSpeaker)

    @property
    def drivers(self) -> Drivers:
        return Drivers(lambda: self.microphone, lambda: self.camera, lambda: self.speaker)


def token(user: str, room: str = "lobby") -> str:
    return SIGNER.sign(user, room, "host", user, 600, time.time())


def settings(url: str, *, auto_join: bool = True, user_id: str = "unit") -> SessionSettings:
    uplink = UplinkSettings(VideoSettings(width=320, height=240, fps=10, codec="vp8"))
    return SessionSettings(
        url, "lobby", user_id, "The unit", lambda: token(user_id), auto_join=auto_join, uplink=uplink
    )


@asynccontextmanager
async def running(session: Session) -> AsyncIterator[Session]:
    task = asyncio.create_task(session.run(), name="session under test")
    await asyncio.sleep(0)
    try:
        yield session
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def hub_at(port: int | None = None) -> AsyncIterator[tuple[Hub, str]]:
    """A hub and its ws:// address."""
    aiortc_hooks.install(["127.0.0.1"])
    hub = Hub(HubSettings(close_timeout_s=0.2), SIGNER, is_api_token=lambda given: given == "token")
    application = web.Application()
    application.add_routes(hub.routes())
    add_routes(application, hub.api_routes())
    await hub.start()
    server = TestServer(application, port=port)
    await server.start_server(shutdown_timeout=0.2)
    try:
        yield hub, f"ws://127.0.0.1:{server.port}/hub/ws"
    finally:
        await hub.close()
        await server.close()


def idle_intercom(session: Session, bus: Bus) -> IntercomLink:
    """Of a unit that calls nobody."""
    return IntercomLink(session, bus, IntercomSettings())


def new_session(url: str, devices: MockDevices, *, auto_join: bool = True) -> tuple[Session, Bus]:
    bus = Bus()
    return Session(settings(url, auto_join=auto_join), devices.drivers, bus), bus
