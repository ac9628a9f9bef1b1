"""The unit among others on its network: what it announces by mDNS, and the hubs that it found.

GET  /api/hubs      {"hubs": [{"name", "url", "room", "fingerprint"}]}: other units' hubs, by name
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Callable

import msgspec
from aiohttp import web

from appliance import __version__
from appliance.addresses import EVERYWHERE, is_address
from appliance.config import Config
from appliance.serving import Listener
from appliance.supervisor import ChildSpec
from provisioning.http_json import answer
from provisioning.http_routes import ApiRoute
from provisioning.mdns import Announcement, Mdns

GOODBYE_S = 0.5  # to take back what was announced


class HubTold(msgspec.Struct, frozen=True):
    """`fingerprint` goes into [room] fingerprint; empty without TLS."""

    name: str
    url: str
    room: str
    fingerprint: str


class HubsAnswer(msgspec.Struct, frozen=True):
    hubs: tuple[HubTold, ...]


class Neighbors:
    """`mdns` is None where nobody is to hear of this unit: switched off, or served to this computer only."""

    def __init__(
        self, config: Callable[[], Config], listener: Listener, fingerprint: Callable[[], str], *, is_demo: bool
    ) -> None:
        web, network = config().web, config().network
        unit_id = secrets.token_hex(8)
        self.mdns: Mdns | None = None
        if network.mdns and not is_demo and not is_loopback(web.host):
            interfaces = None if web.host in EVERYWHERE or not is_address(web.host) else (web.host,)
            self.mdns = Mdns(lambda: announcement(config(), listener.port, fingerprint(), unit_id), interfaces)

    def children(self) -> list[ChildSpec]:
        mdns = self.mdns
        if mdns is None:
            return []
        return [ChildSpec("mdns", mdns.run, health=lambda: mdns.health, shutdown_timeout_s=GOODBYE_S)]

    def routes(self) -> list[ApiRoute]:
        return [
            ApiRoute(
                "GET",
                "/api/hubs",
                self._hubs,
                scope="read",
                summary="Hubs of other units on this network, found by mDNS.",
                answer=HubsAnswer,
            )
        ]

    async def _hubs(self, _request: web.Request) -> web.Response:
        found = self.mdns.hubs if self.mdns is not None else []
        return answer(HubsAnswer(tuple(HubTold(hub.name, hub.url, hub.room, hub.fingerprint) for hub in found)))


def announcement(config: Config, port: int, fingerprint: str, unit_id: str) -> Announcement:
    """What a unit of this configuration tells of itself now."""
    has_hub = config.hub.enabled
    return Announcement(
        name=config.device.name,
        unit_id=unit_id,
        hostname=socket.gethostname(),
        port=port,
        is_tls=config.web.tls != "off",
        room=config.room.room if has_hub else "",
        hub_path="/hub/ws" if has_hub else "",
        fingerprint=fingerprint,
        version=__version__,
    )


def is_loopback(host: str) -> bool:
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)
