"""The captive portal: whoever joins the set-up network is shown its page, whatever address was asked for.

Every name resolves to the unit there, and DHCP's option 114 names the page (systemd/room-appliance.dnsmasq.conf). Here
the unit answers on port 80 of that network alone: a foreign Host, and every address that phones and computers probe for
the internet, is sent to the page. Nothing of a foreign Host reaches the rest of the application.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from provisioning.http_json import answer
from provisioning.setup_network import ADDRESS, PORTAL_URL

API_PATH = "/captive-portal/api"  # RFC 8908; option 114 (RFC 8910) leads here
PROBES = frozenset(
    {
        "/generate_204",  # Android
        "/gen_204",
        "/hotspot-detect.html",  # Apple
        "/library/test/success.html",
        "/connecttest.txt",  # Windows
        "/ncsi.txt",
        "/redirect",
        "/canonical.html",  # Firefox
        "/success.txt",
        "/kindle-wifi/wifistub.html",
    }
)
_HOSTS = frozenset({ADDRESS, f"{ADDRESS}:80"})


def is_led_to_page(host: str, path: str) -> bool:
    """Whether a request on the set-up network's port 80 is answered with the way to the page."""
    return host.strip().lower() not in _HOSTS or path in PROBES


def captive(is_portal: Callable[[web.Request], bool], touched: Callable[[], None]) -> Middleware:
    """Before every other middleware: takes the requests for which `is_portal`; `touched` hears of those for pages."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_portal(request):
            return await handler(request)
        if request.path == API_PATH:
            return _api(request)
        if is_led_to_page(request.host, request.path):
            return web.Response(status=302, headers={"Location": PORTAL_URL, "Cache-Control": "no-store"})
        touched()
        return await handler(request)

    return middleware


def _api(request: web.Request) -> web.Response:
    """RFC 8908 for those who ask as it says; a person's browser, led here by an old DHCP client, gets the page."""
    if "application/captive+json" not in request.headers.get("Accept", ""):
        return web.Response(status=302, headers={"Location": PORTAL_URL, "Cache-Control": "no-store"})
    response = answer({"captive": True, "user-portal-url": PORTAL_URL})
    response.content_type = "application/captive+json"
    response.headers["Cache-Control"] = "private"
    return response
