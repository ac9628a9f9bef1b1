"""One aiohttp application out of the hub, the API, the pages and the virtual front panel.

/                 home page: join from this browser, the state of the unit
/panel            the virtual front panel, on mock hardware only
/static/NAME      files of both pages
/login            POST {"token": API token}: a page gets its cookie; the demo's pages get it when opened
/api/... /healthz `api`      /panel/... `panel`      /hub/... /join/ROOM /admin/... the hub
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from aiohttp import web

from appliance.api import Api, NoFields
from appliance.api_tokens import ApiTokens
from appliance.event_stream import EventStreams
from appliance.events import Bus
from appliance.invitation import Invitations
from appliance.panel import Panel, PanelHardware
from appliance.session import Session
from appliance.state import UnitState
from appliance.supervisor import Health
from appliance.web_access import Access, guard, set_headers
from provisioning.http_json import answer, error_response, read_body
from provisioning.http_routes import ApiRoute, add_routes
from provisioning.portal import Portal

MAX_BODY_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Unit:
    """What the web side shows and moves."""

    session: Session
    bus: Bus
    state: Callable[[], UnitState]
    health: Callable[[], Health]
    invitations: Invitations
    panel: PanelHardware | None = None  # mock hardware only


class LoginRequest(msgspec.Struct, forbid_unknown_fields=True):
    token: str


class Site:
    """The pages. `open_pages`: who opens one may use the API with it (the demo, which only this machine reaches)."""

    def __init__(self, portal: Portal, access: Access, tokens: ApiTokens, *, has_panel: bool, open_pages: bool) -> None:
        self._portal = portal
        self._access = access
        self._tokens = tokens
        self._has_panel = has_panel
        self._open_pages = open_pages

    def api_routes(self) -> list[ApiRoute]:
        return [
            ApiRoute(
                "POST",
                "/login",
                self._login,
                scope="open",
                summary="An API token for a cookie.",
                body=LoginRequest,
                answer=NoFields,
                errors={401: "this is no API token of this unit"},
            )
        ]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._home),
            *([web.get("/panel", self._panel)] if self._has_panel else []),
            *self._portal.routes(),
            web.get("/favicon.ico", self._icon),
        ]

    async def _home(self, request: web.Request) -> web.Response:
        return self._page(request, "home.html")

    async def _panel(self, request: web.Request) -> web.Response:
        return self._page(request, "panel.html")

    async def _icon(self, _request: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently("/static/icon.svg")

    def _page(self, request: web.Request, name: str) -> web.Response:
        response = self._portal.render(request, name)
        if self._open_pages:
            self._access.give_cookie(request, response)
        return response

    async def _login(self, request: web.Request) -> web.Response:
        login = await read_body(request, LoginRequest, '{"token": API token}')
        if not self._tokens.verify(login.token):
            return error_response(401, "unauthorized", "this is no API token of this unit", "token")
        response = answer({})
        self._access.give_cookie(request, response)
        return response


def build(
    unit: Unit,
    portal: Portal,
    access: Access,
    tokens: ApiTokens,
    hub_routes: Sequence[web.RouteDef],
    *,
    open_pages: bool,
) -> web.Application:
    """The application; its cleanup ends every stream and lets go of every button."""
    application = web.Application(middlewares=[guard(access)], client_max_size=MAX_BODY_BYTES)
    streams = EventStreams()
    api = Api(unit.session, unit.bus, streams, state=unit.state, health=unit.health)
    site = Site(portal, access, tokens, has_panel=unit.panel is not None, open_pages=open_pages)
    application.add_routes([*hub_routes, *site.routes()])
    add_routes(application, [*api.routes(), *site.api_routes(), *unit.invitations.routes()])
    if unit.panel is not None:
        panel = Panel(unit.panel, unit.session, unit.bus, streams, state=unit.state)
        add_routes(application, panel.routes())
        application.cleanup_ctx.append(panel.running)
    application.on_response_prepare.append(set_headers)
    application.on_shutdown.append(lambda _application: streams.close())
    return application
