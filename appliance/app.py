"""Puts the unit together: config -> devices, hub, session, front panel, web, as children of one supervisor.

    unit
    |- web          the port: hub, API, pages; permanent
    |- session      the call, with its devices; permanent
    `- front-panel  LEDs and buttons; permanent

They start in this order and end in the reverse one: the session leaves its room while the hub is still there.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from msgspec import structs

from appliance import __version__
from appliance.config import Config
from appliance.drivers import Hardware, hardware
from appliance.events import Bus
from appliance.hub.pages import Pages
from appliance.invitation import Invitations
from appliance.media import aiortc_hooks
from appliance.media.uplink import UplinkSettings
from appliance.panel import PanelHardware
from appliance.panel_link import PanelLink
from appliance.room.options import RoomOptions
from appliance.server import CLOSE_S, Server
from appliance.serving import Listener
from appliance.session import Session, SessionSettings
from appliance.state import UnitState, describe
from appliance.supervisor import ChildSpec, Supervisor
from appliance.tls import pinned
from appliance.web import Unit, build
from appliance.web_access import guard, set_headers
from hw.mock import MockButtons, MockLeds
from provisioning.http_json import answer
from provisioning.portal import Portal

logger = logging.getLogger(__name__)

LEAVE_S = 0.8


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """`port` 0: any free one. `camera`: a media file or /dev/videoN; `microphone`: a media file; None: synthetic."""

    port: int = 8080
    camera: str | None = None
    microphone: str | None = None


def demo_config(config: Config, demo: DemoOptions) -> Config:
    """`config` on mock hardware, reachable from this computer only, in the room `lobby` of its own hub."""
    camera = demo.camera or ""
    is_device = camera.startswith("/dev/")
    return structs.replace(
        config,
        room=structs.replace(config.room, url="hub:", room="lobby", auto_join=True),
        audio=structs.replace(
            config.audio, driver="file" if demo.microphone else "mock", microphone_file=demo.microphone or ""
        ),
        video=structs.replace(
            config.video,
            driver="v4l2" if is_device else "file" if camera else "mock",
            device=camera if is_device else config.video.device,
            camera_file="" if is_device else camera,
        ),
        gpio=structs.replace(config.gpio, driver="mock"),
        panel=structs.replace(config.panel, port=""),
        web=structs.replace(config.web, host="127.0.0.1", port=demo.port, tls="off"),
        hub=structs.replace(config.hub, enabled=True, secure=True),
    )


async def run(config: Config, *, state_dir: Path, demo: DemoOptions | None = None) -> None:
    """Be the unit until cancelled; then the room is left and everything freed within 2 s.

    Raises `ConfigError` for what cannot be set up and `RestartsExceededError` when something fails again and again.
    """
    if demo is not None:
        config = demo_config(config, demo)
    devices = hardware(config)
    listener = Listener(config.web.host, config.web.port)
    try:
        await _Unit(config, devices, listener, state_dir, is_demo=demo is not None).run()
    finally:
        listener.close()


async def run_hub(config: Config, *, state_dir: Path) -> None:
    """Be a hub, and nothing else, until cancelled. Raises like `run`."""
    listener = Listener(config.web.host, config.web.port)
    try:
        await _LoneHub(config, listener, state_dir).run()
    finally:
        listener.close()


class _LoneHub(Server):
    def __init__(self, config: Config, listener: Listener, state_dir: Path) -> None:
        super().__init__(config, listener, state_dir, is_demo=False)

    async def run(self) -> None:
        await self.prepare()
        supervisor = Supervisor("hub", [ChildSpec("web", self._serve)])
        await self.supervise(supervisor, self._announce)

    def _announce(self) -> None:
        _say(f"hub {self.url.replace('http', 'ws', 1)}/hub/ws")
        if self.fingerprint:
            _say(f"  certificate          SHA-256 {self.fingerprint}")

    async def _serve(self) -> None:
        hub = self.new_hub()
        application = web.Application(middlewares=[guard(self.access)])
        application.add_routes([*hub.routes(), web.get("/healthz", _healthy)])
        application.on_response_prepare.append(set_headers)
        await self.serve(hub, application)


class _Unit(Server):
    def __init__(
        self, config: Config, devices: Hardware, listener: Listener, state_dir: Path, *, is_demo: bool
    ) -> None:
        super().__init__(config, listener, state_dir, is_demo=is_demo)
        self.devices = devices
        self.bus = Bus()
        self.session: Session
        self.front_panel: PanelLink | None = None
        self.supervisor: Supervisor

    async def run(self) -> None:
        config, devices = self.config, self.devices
        aiortc_hooks.install(config.network.ice_addresses, loopback=self.is_demo)
        await aiortc_hooks.self_test()
        await self.prepare()
        self.session = Session(self._session_settings(), devices.drivers, self.bus)
        children = [
            ChildSpec("web", self._serve, shutdown_timeout_s=3 * CLOSE_S),
            ChildSpec("session", self._join, health=lambda: self.session.health, shutdown_timeout_s=LEAVE_S + 0.2),
        ]
        if devices.panel is not None:
            link = self.front_panel = PanelLink(devices.panel, self.session, self.bus)
            children.append(ChildSpec("front-panel", link.run, health=lambda: link.health))
        self.supervisor = Supervisor("unit", children)
        try:
            await self.supervise(self.supervisor, self._announce)
        finally:
            if devices.panel is not None:
                await asyncio.to_thread(devices.panel.leds.close)

    def _session_settings(self) -> SessionSettings:
        room, video = self.config.room, self.config.video
        is_own = room.url == "hub:"
        user_id = room.user or (_slug(self.config.device.name) if is_own else "")
        name = self.config.device.name

        def mint() -> str:
            return self.signer.sign(user_id, room.room, "host", name, self.config.hub.token_ttl, time.time())

        return SessionSettings(
            url=self.own_hub_url if is_own else room.url,
            room=room.room,
            user_id=user_id,
            user_name=name,
            token=room.token or mint if is_own else room.token,
            profile=room.profile,
            auto_join=room.auto_join,
            uplink=UplinkSettings(width=video.width, height=video.height, fps=video.fps, codec=video.codec),
            options=RoomOptions(leave_timeout_s=LEAVE_S, ssl=self.client_tls if is_own else pinned(room.fingerprint)),
        )

    async def _join(self) -> None:
        await self.listener.serving.wait()
        await self.session.run()

    async def _serve(self) -> None:
        hub = self.new_hub() if self.config.hub.enabled else None
        portal, hub_pages = await asyncio.to_thread(lambda: (self._portal(), Pages()))
        application = build(
            Unit(
                self.session,
                self.bus,
                self._state,
                self.supervisor.health,
                Invitations(lambda: self.config, self.signer),
                self._panel_hardware(),
            ),
            portal,
            self.access,
            self.tokens,
            hub.routes() if hub is not None else [web.get("/hub/static/{name}", hub_pages.file)],
            open_pages=self.is_demo,
        )
        await self.serve(hub, application)

    def _portal(self) -> Portal:
        return Portal(
            unit_name=lambda: self.config.device.name,
            is_signed_in=(lambda _request: True) if self.is_demo else self.access.has_cookie,
            version=__version__,
            has_panel=self._panel_hardware() is not None,
        )

    def _panel_hardware(self) -> PanelHardware | None:
        panel = self.devices.panel
        if panel is None or not isinstance(panel.leds, MockLeds) or not isinstance(panel.buttons, MockButtons):
            return None
        return PanelHardware(panel.leds, panel.buttons, self.devices.speaker)

    def _state(self) -> UnitState:
        return describe(
            self.session,
            self.bus,
            name=self.config.device.name,
            version=__version__,
            panel=self._panel_hardware() is not None,
            leds=self.front_panel.patterns if self.front_panel is not None else {},
            health=self.supervisor.health(),
        )

    def _announce(self) -> None:
        room = self.config.room.room
        _say(f"Room appliance {__version__} at {self.url}/")
        if self.config.hub.enabled:
            _say(f"  join from a browser  {self.url}/join/{room}")
        if self._panel_hardware() is not None:
            _say(f"  front panel          {self.url}/panel")
        if self.fingerprint:
            _say(f"  certificate          SHA-256 {self.fingerprint}")
        if self.is_demo:
            _say(f"  API token            {self.api_token}")
            _say("Ctrl-C ends it.")


async def _healthy(_request: web.Request) -> web.Response:
    return answer({"status": "ok"})


def _slug(name: str) -> str:
    """A user id out of a device's name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64] or "appliance"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
