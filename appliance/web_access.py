"""Who may use the web side: which Host names, which pages, which routes; and what every answer says about itself.

- A Host header that is none of this unit's names gets 403: against DNS rebinding. An address is nobody's domain, so
  every IP address is fine where the unit listens on all of them.
- A request that changes something, and every WebSocket, must not come from another site's page: 403.
- Each route of the table has a scope (`provisioning.http_routes`). An API token (`Authorization: Bearer`) or the cookie
  of one of this unit's own pages says what a visitor may do; nobody known gets 401, too little scope 403. Whatever
  else lies below `/api/` and `/panel/` needs `read`. Handlers find the visitor with `visitor(request)`.
- With a cookie, a change must say where it comes from (Origin) and carry the token that only scripts of an own page
  can read (X-CSRF-Token): 403.
- The owner's pages send strangers to /login, and to /setup while there is no owner. With `open_pages` (the demo, which
  only this machine reaches) whoever opens a page is the owner.
- A body that does not arrive within `BODY_TIMEOUT_S` gets 408.
- Errors are JSON: {"error": {"code", "message"}}, with "field" where one is to blame.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import HttpVersion10, web
from aiohttp.typedefs import Handler, Middleware

from appliance.addresses import is_address
from appliance.hub.origins import is_same_origin
from provisioning.assets import page_headers
from provisioning.auth import Auth
from provisioning.http_json import error_response
from provisioning.http_routes import Scope, route_of
from provisioning.session_cookie import CSRF_HEADER, give_session, has_csrf_token, session_id_of
from provisioning.visitor import Visitor, set_visitor, visitor

logger = logging.getLogger(__name__)

PROTECTED = ("/api/", "/panel/")
OWNER_PAGES = frozenset({"/", "/panel", "/settings", "/diagnostics"})
LOGIN_PAGE, SETUP_PAGE = "/login", "/setup"
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
BODY_TIMEOUT_S = 10.0
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Access:
    """`host_names`: allowed in Host beside IP addresses, as they are now; `loopback_only`: loopback's names alone;
    `has_pages`: its owner's, which a lone hub has not.
    """

    def __init__(
        self,
        auth: Auth,
        host_names: Callable[[], frozenset[str]],
        *,
        loopback_only: bool,
        open_pages: bool = False,
        has_pages: bool = True,
    ) -> None:
        self.auth = auth
        self._host_names = host_names
        self._loopback_only = loopback_only
        self._open_pages = open_pages
        self._has_pages = has_pages

    def may_host(self, host: str) -> bool:
        name = _host_name(host)
        if name in LOOPBACK_NAMES:
            return True
        return not self._loopback_only and (is_address(name) or name in self._host_names())

    def identify(self, request: web.Request) -> Visitor:
        """By a good API token, else by the cookie of an own page."""
        token = self.auth.tokens.find_bearer(request.headers.get("Authorization"))
        if token is not None:
            return Visitor(token.scope, token_id=token.id)
        session = self.auth.sessions.find(session_id_of(request), time.monotonic())
        if session is None or (session.token_id and not self.auth.tokens.is_known(session.token_id)):
            return Visitor()
        return Visitor(session.scope, session)

    def is_welcome(self, request: web.Request) -> bool:
        """Whether the visitor of a request that goes on, an event stream, is still signed in."""
        known = visitor(request)
        if known.session is not None and not self.auth.sessions.is_alive(known.session, time.monotonic()):
            return False
        token_id = known.session.token_id if known.session is not None else known.token_id
        return not token_id or self.auth.tokens.is_known(token_id)

    def open_page(self, request: web.Request) -> str:
        """The session that a page of the demo begins, for its cookie; else empty."""
        if not self._open_pages or visitor(request).is_known or not _is_page(request):
            return ""
        now_s = time.monotonic()
        session_id = self.auth.sessions.begin("admin", now_s)
        set_visitor(request, Visitor("admin", self.auth.sessions.find(session_id, now_s)))
        return session_id

    def problem(self, request: web.Request) -> web.Response | None:
        """Why this request is refused, or None. The visitor is set then."""
        if request.version < HttpVersion10:
            return error_response(505, "http-version", "HTTP 1.0 or 1.1, please")
        if len(request.headers.getall("Host", ())) > 1:
            return error_response(400, "host", "one Host header, please")
        if not self.may_host(request.host):
            return error_response(403, "host", f"this unit is not called {request.host[:100]!r}; use its address")
        changes = request.method not in _SAFE_METHODS
        is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
        if (changes or is_socket) and not is_same_origin(request):
            return error_response(403, "origin", "pages of other sites may not do this")
        known = self.identify(request)
        set_visitor(request, known)
        if self._has_pages and _is_page(request):
            return self._elsewhere(request, known)
        route = route_of(request)
        if route is None and not request.path.startswith(PROTECTED):
            return None
        refused = self._scope_problem(route.scope if route is not None else "read", known)
        if refused is not None or not changes or known.session is None:
            return refused
        if "Origin" not in request.headers:
            return error_response(403, "origin", "with a cookie, a change needs the header Origin")
        if not has_csrf_token(request):
            return error_response(403, "csrf", f"with a cookie, a change needs the header {CSRF_HEADER}")
        return None

    def _scope_problem(self, needed: Scope, known: Visitor) -> web.Response | None:
        if needed == "setup":
            if self.auth.claim.is_open(time.monotonic()):
                return None
            return error_response(403, "not-in-setup", "this unit has an owner; hold both its buttons for 5 s first")
        if known.may(needed):
            return None
        if not known.is_known:
            return error_response(401, "unauthorized", "log in, or send an API token as Authorization: Bearer TOKEN")
        return error_response(403, "scope", f"this needs the scope {needed!r}; yours is {known.scope!r}")

    def _elsewhere(self, request: web.Request, known: Visitor) -> web.Response | None:
        """Where a stranger is sent instead of a page."""
        if self._open_pages or known.may("admin"):
            return None
        claim, path = self.auth.claim, request.path
        if not claim.is_claimed:
            return None if path == SETUP_PAGE else _redirect(SETUP_PAGE)
        if path == LOGIN_PAGE or (path == SETUP_PAGE and claim.is_open(time.monotonic())):
            return None
        if path in OWNER_PAGES and known.is_known and path != "/settings":
            return None  # an API token of less scope looks, and its changes are refused one by one
        return _redirect(f"{LOGIN_PAGE}?next={path}")


def guard(access: Access) -> Middleware:
    """The one middleware: refuses what `access` refuses, and turns every error into JSON."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            problem = access.problem(request)
            if problem is not None:
                return problem
            session_id = access.open_page(request)
            if access.auth.is_due:
                await access.auth.save()
            route = route_of(request)
            if route is not None and route.max_body_bytes:
                request = request.clone(client_max_size=route.max_body_bytes)
            if not await _has_body(request):
                return _slow()
            response = await handler(request)
            if session_id and isinstance(response, web.Response):
                give_session(request, response, session_id)
            return response
        except web.HTTPException as exc:
            if exc.status < 400 or exc.content_type == "application/json":
                raise
            message = exc.text if exc.text and not exc.text.startswith(f"{exc.status}:") else exc.reason
            response = error_response(exc.status, _code(exc.status), message)
            for name in ("Allow", "Retry-After"):
                if name in exc.headers:
                    response.headers[name] = exc.headers[name]
            return response
        except ConnectionError:
            raise
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            return error_response(500, "internal", "this failed inside the unit; its log says more")

    return middleware


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: what every answer carries unless its handler said otherwise."""
    for name, value in page_headers(request.host).items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Server"] = "room-appliance"


def _code(status: int) -> str:
    return HTTPStatus(status).phrase.lower().replace(" ", "-")


async def _has_body(request: web.Request) -> bool:
    """The whole body is there, in memory, where the handler reads it from; False: it took too long."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            await request.read()
    except TimeoutError:
        return False
    return True


def _slow() -> web.Response:
    response = error_response(408, "request-timeout", f"the body took more than {BODY_TIMEOUT_S:g} s")
    response.force_close()
    return response


def _is_page(request: web.Request) -> bool:
    """One of the pages that this unit has."""
    if request.path not in (*OWNER_PAGES, LOGIN_PAGE, SETUP_PAGE) or request.method not in _SAFE_METHODS:
        return False
    return request.match_info.http_exception is None


def _redirect(target: str) -> web.Response:
    return web.Response(status=303, headers={"Location": target})


def _host_name(host: str) -> str:
    """Without its port; empty when it is no Host at all (RFC 9110, 7.2)."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower().rstrip(".") if found else ""
