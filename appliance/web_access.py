"""Who may use the web side: which Host names, which pages, which tokens; and what every answer says about itself.

- A Host header that is none of this unit's names gets 403: against DNS rebinding. An address is nobody's domain, so
  every IP address is fine where the unit listens on all of them.
- `/api/` and everything below `/panel/` needs an API token (`Authorization: Bearer`) or the cookie of one of this
  unit's own pages; else 401.
- A request that changes something, and every WebSocket, must not come from another site's page: 403. With a cookie it
  must say where it comes from.
- Errors are JSON: {"error": {"code", "message"}}, with "field" where one is to blame.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from appliance.api_tokens import ApiTokens
from appliance.hub.origins import is_same_origin
from provisioning.assets import page_headers
from provisioning.http_json import error_response

logger = logging.getLogger(__name__)

PROTECTED = ("/api/", "/panel/")
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
MAX_PAGE_SESSIONS = 64
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_COOKIE = "room_appliance"  # and the port: browsers don't keep cookies of two ports apart


class Access:
    """`host_names`: allowed in Host beside IP addresses, or, with `loopback_only`, all that is allowed."""

    def __init__(self, tokens: ApiTokens, host_names: frozenset[str], *, loopback_only: bool, secure: bool) -> None:
        self._tokens = tokens
        self._host_names = LOOPBACK_NAMES | {name.lower() for name in host_names}
        self._loopback_only = loopback_only
        self._secure = secure
        self._page_sessions: dict[str, None] = {}  # in the order of their making

    def may_host(self, host: str) -> bool:
        name = _host_name(host)
        if name in (LOOPBACK_NAMES if self._loopback_only else self._host_names):
            return True
        return not self._loopback_only and _is_address(name)

    def is_known(self, request: web.Request) -> bool:
        """A good API token, or the cookie of an own page."""
        return self._tokens.verify_header(request.headers.get("Authorization")) or self.has_cookie(request)

    def has_cookie(self, request: web.Request) -> bool:
        return request.cookies.get(_cookie_name(request), "") in self._page_sessions

    def give_cookie(self, request: web.Request, response: web.Response) -> None:
        """Lets the page that `response` carries use the API."""
        if self.has_cookie(request):
            return
        session = secrets.token_urlsafe(32)
        while len(self._page_sessions) >= MAX_PAGE_SESSIONS:
            del self._page_sessions[next(iter(self._page_sessions))]
        self._page_sessions[session] = None
        response.set_cookie(
            _cookie_name(request), session, httponly=True, samesite="Strict", secure=self._secure, path="/"
        )

    def problem(self, request: web.Request) -> web.Response | None:
        """Why this request is refused, or None."""
        if not self.may_host(request.host):
            return error_response(403, "host", f"this unit is not called {request.host[:100]!r}; use its address")
        changes = request.method not in _SAFE_METHODS
        is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
        if (changes or is_socket) and not is_same_origin(request):
            return error_response(403, "origin", "pages of other sites may not do this")
        if not request.path.startswith(PROTECTED):
            return None
        if self._tokens.verify_header(request.headers.get("Authorization")):
            return None
        if not self.has_cookie(request):
            return error_response(401, "unauthorized", "send an API token as Authorization: Bearer TOKEN")
        if changes and "Origin" not in request.headers:
            return error_response(403, "origin", "with a cookie, a change needs the header Origin")
        return None


def guard(access: Access) -> Middleware:
    """The one middleware: refuses what `access` refuses, and turns every error into JSON."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        problem = access.problem(request)
        if problem is not None:
            return problem
        try:
            return await handler(request)
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


def _cookie_name(request: web.Request) -> str:
    return f"{_COOKIE}_{request.url.port}"


def _host_name(host: str) -> str:
    name = host[1 : host.index("]")] if host.startswith("[") and "]" in host else host.partition(":")[0]
    return name.lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
