"""One aiohttp application out of the hub, the API, the pages and the virtual front panel.

/                 home page: join from this browser, the state of the unit
/panel            the virtual front panel, on mock hardware only
/static/NAME      files of both pages
/api/... /healthz `api`      /api/auth/... /api/setup/claim `provisioning.auth_routes`
/panel/... `panel`           /hub/... /join/ROOM /admin/... the hub
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from appliance import __version__
from appliance.api import Api
from appliance.call_api import CallApi
from appliance.config_api import where
from appliance.config_trial import Visitor as Origin
from appliance.device_test import DeviceTest
from appliance.event_stream import EventStreams
from appliance.events import Bus
from appliance.intercom_link import IntercomLink
from appliance.invitation import Invitations
from appliance.network_api import NetworkApi
from appliance.onboarding import Onboarding
from appliance.openapi import OpenApi
from appliance.panel import Panel, PanelHardware
from appliance.panel_link import PanelLink
from appliance.session import Session
from appliance.setup_page import SetupPage
from appliance.state import UnitState
from appliance.supervisor import Health
from appliance.web_access import Access, guard, set_headers
from provisioning.auth_routes import AuthRoutes
from provisioning.captive import CaptivePortal, captive
from provisioning.http_routes import ApiRoute, add_routes
from provisioning.portal import Portal
from provisioning.visitor import visitor

MAX_BODY_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Unit:
    """What the web side shows and moves."""

    session: Session
    intercom: IntercomLink
    bus: Bus
    state: Callable[[], UnitState]
    health: Callable[[], Health]
    invitations: Invitations
    front_panel: Callable[[], PanelLink | None]
    panel: PanelHardware | None = None  # mock hardware only
    onboarding: Onboarding | None = None
    setup: SetupPage | None = None
    captive: CaptivePortal | None = None  # where the set-up network's plain port is served
    rooms: Sequence[ApiRoute] = ()  # settings, logs, diagnostics
    visited: Callable[[Origin], None] = lambda origin: None


class Site:
    """The pages."""

    def __init__(self, portal: Portal, *, has_panel: bool) -> None:
        self._portal = portal
        self._has_panel = has_panel

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._page),
            web.get("/login", self._page),
            web.get("/setup", self._page),
            web.get("/settings", self._page),
            web.get("/diagnostics", self._page),
            *([web.get("/panel", self._page)] if self._has_panel else []),
            *self._portal.routes(),
            web.get("/favicon.ico", self._icon),
        ]

    async def _page(self, request: web.Request) -> web.Response:
        return self._portal.render(request, f"{request.path.strip('/') or 'home'}.html")

    async def _icon(self, _request: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently("/static/icon.svg")


def build(
    unit: Unit,
    portal: Portal,
    access: Access,
    hub_routes: Sequence[web.RouteDef],
) -> web.Application:
    """The application; its cleanup ends every stream and lets go of every button."""
    middlewares = [guard(access), _visits(unit.visited)]
    if unit.onboarding is not None and unit.captive is not None:
        middlewares.insert(0, captive(unit.captive, unit.onboarding.touched))
    application = web.Application(middlewares=middlewares, client_max_size=MAX_BODY_BYTES)
    streams = EventStreams(access.is_welcome)
    api = Api(unit.session, unit.bus, streams, state=unit.state, health=unit.health)
    site = Site(portal, has_panel=unit.panel is not None)
    test = DeviceTest(unit.session, streams, unit.front_panel)
    application.cleanup_ctx.append(test.running)
    auth = AuthRoutes(access.auth)
    application.add_routes([*hub_routes, *site.routes()])
    calls = CallApi(unit.intercom)
    add_routes(
        application, [*api.routes(), *calls.routes(), *auth.routes(), *unit.invitations.routes(), *test.routes()]
    )
    add_routes(application, OpenApi(__version__).routes())
    add_routes(application, unit.rooms)
    if unit.onboarding is not None:
        add_routes(application, NetworkApi(unit.onboarding).routes())
    if unit.setup is not None:
        add_routes(application, unit.setup.routes())
    if unit.panel is not None:
        panel = Panel(unit.panel, unit.session, unit.bus, streams, state=unit.state)
        add_routes(application, panel.routes())
        application.cleanup_ctx.append(panel.running)
    application.on_response_prepare.append(set_headers)
    application.on_shutdown.append(lambda _application: streams.close())
    return application


def _visits(visited: Callable[[Origin], None]) -> Middleware:
    """Tells of each request of somebody who may change the settings: the page can be reached."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if visitor(request).may("admin"):
            visited(where(request))
        return await handler(request)

    return middleware
