"""The unit with one configuration: devices, hub, session, front panel, web, as children of one supervisor.

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
import socket
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from appliance import __version__
from appliance.addresses import EVERYWHERE, addresses_of, page_addresses
from appliance.composing import Restart, until
from appliance.config import Config
from appliance.config_api import ConfigApi
from appliance.config_store import ConfigStore
from appliance.config_watch import ConfigWatch
from appliance.diagnostics import Diagnostics
from appliance.display_link import DisplayLink, display_settings
from appliance.drivers import Hardware, PanelDevices
from appliance.errors import ConfigError
from appliance.events import Bus
from appliance.exchange import exchange
from appliance.factory_reset import FactoryReset
from appliance.greeting import greeting
from appliance.history import History
from appliance.improv_unit import improv_child
from appliance.intercom_link import IntercomLink
from appliance.intercom_settings import intercom_settings
from appliance.invitation import Invitations
from appliance.kept_panel import KeptPanel
from appliance.link_watch import LinkWatch, NetworkNews
from appliance.live import Plan
from appliance.log_ring import LogRing
from appliance.media import aiortc_hooks
from appliance.neighbors import Neighbors
from appliance.onboarding import Onboarding
from appliance.own_network import OwnNetwork
from appliance.panel import mock_panel
from appliance.panel_link import PanelLink
from appliance.process import say
from appliance.screen_share import ScreenShare
from appliance.sdnotify import Notifier
from appliance.server import CLOSE_S, DemoOwner, Server
from appliance.serving import Listener
from appliance.session import Session
from appliance.session_settings import LEAVE_S, SessionSettings, session_settings
from appliance.setup_page import Finished, SetupPage
from appliance.state import UnitState, describe
from appliance.strain import StrainWatch
from appliance.supervisor import ChildSpec, Supervisor
from appliance.web import Unit, build
from provisioning.http_routes import ApiRoute
from provisioning.network import NetworkStatus
from provisioning.portal import Portal
from provisioning.visitor import visitor

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lasting:
    """What outlives a composition of the unit."""

    store: ConfigStore
    restart: Restart
    reset: FactoryReset
    own_network: OwnNetwork
    log: LogRing
    demo_owner: DemoOwner | None


class Composition(Server):
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
        self.front_panel: KeptPanel | None = None
        self.supervisor: Supervisor
        self.lasting = lasting
        self.store = lasting.store
        self.own_network = lasting.own_network
        self.onboarding: Onboarding
        self.history: History
        self.neighbors: Neighbors
        self.watch = ConfigWatch(self.store, lambda: self.supervisor.health(), lasting.restart.ask)
        self._other_room = asyncio.Event()

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
            panel = self.front_panel = KeptPanel(self.devices.panel, self._connect_panel)
            children.append(ChildSpec("front-panel", panel.run, health=lambda: panel.health))
        if self.devices.display is not None:
            settings = display_settings(config)
            display = DisplayLink(self.devices.display, self.session, self.intercom, self.bus, settings)
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
        exchanged = await exchange(self.devices, config, plan.parts)
        self.devices = exchanged.hardware
        self.session.change(self._session_settings(), self.devices.drivers, exchanged.kinds)
        self.intercom.change(intercom_settings(self.config, self.signer))
        if "country" in plan.parts:
            self.onboarding.set_country(config.wifi.country)
        if "room" in plan.parts:
            self._other_room.set()
        if exchanged.panel and self.front_panel is not None and self.devices.panel is not None:
            self.front_panel.replace(self.devices.panel)
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

    def _connect_panel(self, devices: PanelDevices) -> PanelLink:
        on_setup, on_reset = self.onboarding.ask, self.lasting.reset.ask
        return PanelLink(devices, self.session, self.intercom, self.bus, on_setup=on_setup, on_reset=on_reset)

    def _panel_link(self) -> PanelLink | None:
        return self.front_panel.link if self.front_panel is not None else None

    def _session_settings(self) -> SessionSettings:
        return session_settings(self.config, self.signer, self.own_hub_url, self.client_tls)

    def _screen_share(self) -> ScreenShare:
        return ScreenShare(self.devices.screen, shared=self.config.screen.share)

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
                self._panel_link,
                mock_panel(self.devices),
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
            has_panel=mock_panel(self.devices) is not None,
        )

    def _state(self) -> UnitState:
        link = self._panel_link()
        return describe(
            self.session,
            self.intercom,
            self.bus,
            name=self.config.device.name,
            version=__version__,
            panel=mock_panel(self.devices) is not None,
            leds=link.patterns if link is not None else {},
            health=self.supervisor.health(),
            taken_back=self.store.notice.reason if self.store.notice is not None else None,
        )

    def _announce(self) -> None:
        lines = greeting(
            self.config,
            self.url,
            self.auth.claim,
            fingerprint=self.fingerprint,
            has_panel=mock_panel(self.devices) is not None,
            demo_token=self.demo_owner.api_token if self.demo_owner is not None else None,
        )
        for line in lines:
            say(line)
