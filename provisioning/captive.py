"""The captive portal: whoever joins the set-up network is shown its page, whatever address was asked for.

Every name resolves to the unit there, and DHCP's option 114 names the page (systemd/room-appliance.dnsmasq.conf). Here
the unit answers on port 80 of that network alone: a foreign Host, and every address that phones and computers probe for
the internet, is sent to the page. Nothing of a foreign Host reaches the rest of the application.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from provisioning.http_json import answer

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


@dataclass(frozen=True, slots=True)
class CaptivePortal:
    """Where the set-up network's plain port is: its address is there only while that network is up."""

    address: str
    port: int = 80

    @property
    def host(self) -> str:
        return self.address if self.port == 80 else f"{self.address}:{self.port}"

    @property
    def page(self) -> str:
        return f"http://{self.host}/setup"

    def leads_to_page(self, host: str, path: str) -> bool:
        """Whether a request is answered with the way to the page, and with nothing else."""
        return host not in (self.host, f"{self.address}:{self.port}") or path in PROBES

    def takes(self, request: web.Request) -> bool:
        """Whether the request came in through this port."""
        name = request.transport.get_extra_info("sockname") if request.transport is not None else None
        return name is not None and tuple(name[:2]) == (self.address, self.port)


def captive(portal: CaptivePortal, touched: Callable[[], None]) -> Middleware:
    """Goes before every other middleware; `touched` hears of those who use a page."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not portal.takes(request):
            return await handler(request)
        if request.path == API_PATH:
            return _api(request, portal)
        if portal.leads_to_page(request.host, request.path):
            return _to_page(portal)
        touched()
        return await handler(request)

    return middleware


def _to_page(portal: CaptivePortal) -> web.Response:
    return web.Response(status=302, headers={"Location": portal.page, "Cache-Control": "no-store"})


def _api(request: web.Request, portal: CaptivePortal) -> web.Response:
    """RFC 8908 for those who ask as it says; a person's browser, led here by an old DHCP client, gets the page."""
    if "application/captive+json" not in request.headers.get("Accept", ""):
        return _to_page(portal)
    response = answer({"captive": True, "user-portal-url": portal.page})
    response.content_type = "application/captive+json"
    response.headers["Cache-Control"] = "private"
    return response
