"""Puts the unit together: config -> devices, hub, session, front panel, web, as children of one supervisor.

    unit
    |- web          the port: hub, API, pages; permanent
    |- session      the call, with its devices; permanent
    |- intercom     calls of the button and to the unit; permanent
    |- front-panel  LEDs and buttons; permanent
    |- display      the unit's own screen; permanent
    |- settings     looks whether new ones may stay; permanent
    |- history      network quality of the last hour; permanent
    |- network      the set-up network and the way into others; permanent
    |- link-watch   tells the session of a network that changed; transient
    |- mdns         announces page and hub, finds other hubs; permanent
    `- improv       set-up through a USB cable; permanent

They start in this order and end in the reverse one: the session leaves its room while the hub is still there.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web

from appliance import __version__, logs
from appliance.addresses import EVERYWHERE, addresses_of, page_addresses
from appliance.composing import Restart, keep_composed, until
from appliance.config import Config
from appliance.config_api import ConfigApi
from appliance.config_store import ConfigStore
from appliance.config_watch import ConfigWatch
from appliance.device_roll import KINDS, DeviceKind
from appliance.diagnostics import Diagnostics
from appliance.display_link import DisplayLink, DisplaySettings
from appliance.drivers import Hardware, hardware, picture_size
from appliance.errors import ConfigError
from appliance.events import Bus
from appliance.factory_reset import FactoryReset
from appliance.history import History
from appliance.improv_unit import improv_child
from appliance.intercom_link import IntercomLink
from appliance.intercom_settings import intercom_settings
from appliance.invitation import OWN_HUB, Invitations
from appliance.link_watch import LinkWatch, NetworkNews
from appliance.live import Plan
from appliance.log_ring import LogRing
from appliance.media import aiortc_hooks
from appliance.media.echo import NearEndSettings
from appliance.media.uplink import UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.neighbors import Neighbors
from appliance.onboarding import Onboarding
from appliance.own_network import OwnNetwork
from appliance.panel import PanelHardware
from appliance.panel_link import PanelLink
from appliance.process import say
from appliance.room.options import RoomOptions
from appliance.screen_share import ScreenShare
from appliance.sdnotify import Notifier, passed_sockets
from appliance.server import CLOSE_S, DemoOwner, Server
from appliance.serving import Listener
from appliance.session import Session
from appliance.session_settings import SessionSettings
from appliance.setup_page import Finished, SetupPage
from appliance.state import UnitState, describe
from appliance.strain import StrainWatch
from appliance.supervisor import ChildSpec, Supervisor
from appliance.tls import pinned
from appliance.web import Unit, build
from hw.mock import MockButtons, MockLeds
from provisioning.http_routes import ApiRoute
from provisioning.network import NetworkStatus
from provisioning.portal import Portal
from provisioning.visitor import visitor

logger = logging.getLogger(__name__)

LEAVE_S = 0.8


@dataclass(frozen=True, slots=True)
class Lasting:
    """What outlives a composition of the unit."""

    store: ConfigStore
    restart: Restart
    reset: FactoryReset
    own_network: OwnNetwork
    log: LogRing
    demo_owner: DemoOwner | None


async def run(store: ConfigStore, *, state_dir: Path, is_demo: bool = False) -> None:
    """Be the unit until cancelled; then the room is left and everything freed within 2 s.

    Settings that keep it from running are taken back (`composing`). Raises `ConfigError` for what cannot be set up and
    `RestartsExceededError` when something fails again and again, where no better settings are known.
    """
    restart, notifier, log, listener = Restart(), Notifier(), LogRing(), None
    own_network = OwnNetwork(passed_sockets(), is_demo=is_demo)
    demo_owner = DemoOwner(state_dir) if is_demo else None
    reset = FactoryReset(state_dir, store, restart, own_network, log, demo_owner)
    lasting = Lasting(store, restart, reset, own_network, log, demo_owner)

    async def compose(config: Config) -> None:
        nonlocal listener
        devices = hardware(config)
        listener = _listener(config, listener)
        try:
            await _Unit(config, devices, listener, state_dir, lasting).run(notifier)
        finally:
            listener.close()

    aiortc_hooks.install((), loopback=is_demo)  # the self-test runs the installed hooks
    await aiortc_hooks.self_test()
    store.check = hardware
    logs.add_handler(log)
    try:
        await reset.resume()
        await keep_composed(store, compose, restart)
    finally:
        logging.getLogger().removeHandler(log)
        notifier.stopping()
        await own_network.close()
        notifier.close()


def _listener(config: Config, last: Listener | None) -> Listener:
    """Where any free port will do, it stays the one of the last composition: pages come back to it."""
    host, port = config.web.host, config.web.port
    if port == 0 and last is not None and last.host == host:
        with suppress(ConfigError):
            return Listener(host, last.port)
    return Listener(host, port)


class _Unit(Server):
    """The unit with one configuration; `_apply` takes over what of another one needs no new composition."""

    def __init__(
        self,
        config: Config,
        devices: Hardware,
        listener: Listener,
        state_dir: Path,
        lasting: Lasting,
    ) -> None:
        super().__init__(config, listener, state_dir, demo_owner=lasting.demo_owner)
        self.devices = devices
        self.bus = Bus()
        self.session: Session
        self.intercom: IntercomLink
        self.front_panel: PanelLink | None = None
        self.supervisor: Supervisor
        self.lasting = lasting
        self.store = lasting.store
        self.own_network = lasting.own_network
        self.onboarding: Onboarding
        self.history: History
        self.neighbors: Neighbors
        self.watch = ConfigWatch(self.store, lambda: self.supervisor.health(), lasting.restart.ask)
        self._other_room = asyncio.Event()
        self._other_panel = asyncio.Event()

    async def run(self, notifier: Notifier) -> None:
        config = self.config
        aiortc_hooks.install(config.network.ice_addresses, loopback=self.is_demo)
        await self.prepare()
        self.session = Session(self._session_settings(), self.devices.drivers, self.bus, self._screen_share())
        self.intercom = IntercomLink(self.session, self.bus, intercom_settings(self.config, self.signer))
        self.history = History(self.session, self.bus)
        self.onboarding = self._onboarding()
        children = [
            ChildSpec("web", self._serve, shutdown_timeout_s=3 * CLOSE_S),
            ChildSpec("session", self._join, health=lambda: self.session.health, shutdown_timeout_s=LEAVE_S + 0.2),
            ChildSpec("intercom", self.intercom.run),
        ]
        if self.devices.panel is not None:
            children.append(ChildSpec("front-panel", self._keep_panel, health=self._panel_health))
        if self.devices.display is not None:
            display = DisplayLink(self.devices.display, self.session, self.intercom, self.bus, self._display_settings())
            children.append(ChildSpec("display", display.run, health=lambda: display.health))
        children.append(ChildSpec("settings", self.watch.run))
        children.append(ChildSpec("history", self.history.run))
        children.append(ChildSpec("strain", StrainWatch(self.session, self.bus).run))
        children.append(ChildSpec("network", self.onboarding.run, health=lambda: self.onboarding.health))
        children.append(ChildSpec("link-watch", LinkWatch(self._network_changed).run, "transient"))
        self.neighbors = Neighbors(lambda: self.config, self.listener, lambda: self.fingerprint, is_demo=self.is_demo)
        children += self.neighbors.children()
        if config.wifi.improv_port and not self.is_demo:
            children.append(
                await improv_child(config, self.listener.port, self.onboarding, self.auth.claim, self.store)
            )
        self.supervisor = Supervisor("unit", children)
        self.store.apply = self._apply
        try:
            await self.supervise(self.supervisor, self._announce, notifier)
        finally:
            self.store.apply = None

    async def _apply(self, config: Config, plan: Plan) -> None:
        """Settings that take effect at once."""
        self.config = config
        self.hide_secrets()
        new, kinds = self.devices, set[DeviceKind]()
        if not plan.parts <= {"name", "room", "near-end", "country", "call"}:
            new = await asyncio.to_thread(hardware, config)
        if "video" in plan.parts:
            kinds.add("camera")
        if "audio" in plan.parts:
            keeps_speaker = new.speaker is not None and self.devices.speaker is not None  # the virtual panel plays it
            kinds |= {"microphone"} if keeps_speaker else {"microphone", "speaker"}
        now = self.devices.drivers
        drivers = replace(
            new.drivers,
            monitor=now.monitor or new.drivers.monitor,
            **{kind: getattr(now, kind) for kind in KINDS if kind not in kinds},
        )
        is_other_panel = "panel" in plan.parts and config.gpio.driver != "mock" and new.panel is not None
        self.devices = Hardware(
            drivers,
            new.panel if is_other_panel else self.devices.panel,
            new.speaker if "speaker" in kinds else self.devices.speaker,
            self.devices.display,
            self.devices.screen,
        )
        self.session.change(self._session_settings(), drivers, kinds)
        self.intercom.change(intercom_settings(self.config, self.signer))
        if "country" in plan.parts:
            self.onboarding.set_country(config.wifi.country)
        if "room" in plan.parts:
            self._other_room.set()
        if is_other_panel:
            self._other_panel.set()
        logger.info("in effect: %s", ", ".join(plan.live))

    def _onboarding(self) -> Onboarding:
        claim, wifi = self.auth.claim, self.config.wifi

        async def keep_country(country: str) -> None:
            try:
                await self.store.change({"wifi.country": country})
            except ConfigError as exc:
                logger.warning("the country %s is not kept: %s", country, exc)

        return Onboarding(
            self.own_network.network(claim.key),
            claim,
            self.bus.publish,
            memory=self.own_network.memory,
            automatic=wifi.setup_network == "auto",
            country=wifi.country,
            keep_country=keep_country,
        )

    async def _keep_panel(self) -> None:
        """The front panel, and the next one when its pins change."""
        while True:
            self._other_panel.clear()
            panel = self.devices.panel
            assert panel is not None
            link = self.front_panel = PanelLink(
                panel,
                self.session,
                self.intercom,
                self.bus,
                on_setup=self.onboarding.ask,
                on_reset=self.lasting.reset.ask,
            )
            try:
                await until(self._other_panel.wait, link.run())
            finally:
                await asyncio.to_thread(panel.leds.close)

    def _panel_health(self) -> str:
        return self.front_panel.health if self.front_panel is not None else "ok"

    def _session_settings(self) -> SessionSettings:
        room, audio, video, screen = self.config.room, self.config.audio, self.config.video, self.config.screen
        is_own = room.url == "hub:"
        user_id = room.user or (_slug(self.config.device.name) if is_own else "")
        name = self.config.device.name

        def mint() -> str:
            """No moderator's: nothing on the unit puts others out; its owner does that over /admin."""
            return self.signer.sign(user_id, room.room, "host", name, self.config.hub.token_ttl, time.time())

        return SessionSettings(
            url=self.own_hub_url if is_own else room.url,
            room=room.room,
            user_id=user_id,
            user_name=name,
            token=room.token or mint if is_own else room.token,
            profile=room.profile,
            encryption=room.encryption,
            encryption_secret=room.encryption_secret,
            auto_join=room.auto_join,
            uplink=UplinkSettings(
                VideoSettings(*picture_size(video), fps=video.fps, codec=video.codec, low_layer=video.low_layer),
                VideoSettings(screen.width, screen.height, fps=screen.fps, codec=video.codec),
                near_end=NearEndSettings(
                    audio.duplex, audio.echo_cancellation, audio.noise_suppression, audio.gain_control
                ),
                low_delay=audio.low_delay,
            ),
            options=RoomOptions(
                leave_timeout_s=LEAVE_S,
                video_on_demand=True,
                ssl=self.client_tls if is_own else pinned(room.fingerprint),
            ),
        )

    def _screen_share(self) -> ScreenShare:
        return ScreenShare(self.devices.screen, shared=self.config.screen.share)

    def _display_settings(self) -> DisplaySettings:
        display = self.config.display
        return DisplaySettings(
            self.config.device.name,
            display.layout,
            display.night,
            display.idle,
            is_required=display.is_required,
        )

    def _network_changed(self, news: NetworkNews) -> None:
        self.session.network_changed(back=news.back, gone=news.gone)

    async def _join(self) -> None:
        await self.listener.serving.wait()
        while True:  # from room to room
            self._other_room.clear()
            await until(self._other_room.wait, self.session.run())

    async def _serve(self) -> None:
        hub = self.new_hub() if self.config.hub.enabled else None
        portal = await asyncio.to_thread(self._portal)
        setup = await asyncio.to_thread(self._setup_page)
        application = build(
            Unit(
                self.session,
                self.intercom,
                self.bus,
                self._state,
                self.supervisor.health,
                Invitations(lambda: self.config, self.signer),
                lambda: self.front_panel,
                self._panel_hardware(),
                self.onboarding,
                setup,
                self.own_network.portal,
                rooms=[*self._rooms(), *(hub.api_routes() if hub is not None else [])],
                visited=self.watch.visited,
            ),
            portal,
            self.access,
            hub.routes() if hub is not None else [],
        )
        await self.serve(hub, application, self.own_network.portal_socket)

    def _rooms(self) -> list[ApiRoute]:
        settings = ConfigApi(self.store, self.lasting.restart.ask, self.lasting.reset.ask)
        diagnostics = Diagnostics(self.session, self.history, self._state)
        return [*settings.routes(), *diagnostics.routes(), *self.lasting.log.routes(), *self.neighbors.routes()]

    def _setup_page(self) -> SetupPage:
        def addresses(status: NetworkStatus, request: web.Request) -> list[str]:
            if self.is_demo:
                return [f"{request.url.origin()}/"]
            if self.config.web.host not in EVERYWHERE:
                return [f"{self.url}/"]
            own = aiortc_hooks.host_addresses
            found = addresses_of(status) if status.available else own(use_ipv4=True, use_ipv6=False)
            scheme = "http" if self.config.web.tls == "off" else "https"
            return page_addresses(scheme, self.listener.port, socket.gethostname().partition(".")[0].lower(), found)

        return SetupPage(self.auth.claim, self.store, self.onboarding.network, Finished(self._state_dir), addresses)

    def _portal(self) -> Portal:
        return Portal(
            unit_name=lambda: self.config.device.name,
            is_signed_in=lambda request: visitor(request).may("admin"),
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
            self.intercom,
            self.bus,
            name=self.config.device.name,
            version=__version__,
            panel=self._panel_hardware() is not None,
            leds=self.front_panel.patterns if self.front_panel is not None else {},
            health=self.supervisor.health(),
            taken_back=self.store.notice.reason if self.store.notice is not None else None,
        )

    def _announce(self) -> None:
        room = self.config.room.room
        say(f"Room appliance {__version__} at {self.url}/")
        if self.config.room.url != OWN_HUB:
            say(f"  its room             {room} at {self.config.room.url}")
        elif self.config.hub.enabled:
            say(f"  join from a browser  {self.url}/join/{room}")
        if self._panel_hardware() is not None:
            say(f"  front panel          {self.url}/panel")
        if self.fingerprint:
            say(f"  fingerprint          SHA-256 {self.fingerprint}")
        if self.demo_owner is not None:
            say(f"  API token            {self.demo_owner.api_token}")
            say(f"  claim code           {self.auth.claim.code}")
            say("Ctrl-C ends it.")
        elif not self.auth.claim.is_claimed:
            say(f"  no owner yet         {self.url}/setup; room-appliance claim-code shows the code")


def _slug(name: str) -> str:
    """A user id out of a device's name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64] or "appliance"
