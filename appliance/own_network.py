"""What of the network lasts as long as the process, however often the unit is composed anew."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress

from appliance.network_info import Memory
from provisioning.captive import CaptivePortal
from provisioning.mock_network import MockNetwork
from provisioning.network import Network
from provisioning.setup_network import ADDRESS, own_access_point
from provisioning.wifi import NetworkManagerNetwork

logger = logging.getLogger(__name__)

PORTAL_PORT = 80
_BACKLOG = 64


class OwnNetwork:
    """`passed`: the sockets that systemd bound for this process. The demo has a network of mock hardware."""

    def __init__(self, passed: dict[str, socket.socket], *, is_demo: bool) -> None:
        self.memory = Memory()
        self._is_demo = is_demo
        self._network: Network | None = None
        self.portal_socket = None if is_demo else passed.get("portal") or _bind()

    @property
    def portal(self) -> CaptivePortal | None:
        if self.portal_socket is None:
            return None
        address, port = self.portal_socket.getsockname()[:2]
        return CaptivePortal(str(address), int(port))

    @property
    def current(self) -> Network | None:
        """None before the first `network`."""
        return self._network

    def network(self, key: str) -> Network:
        """`key`: the WPA passphrase of the own access point."""
        if self._network is None:
            own = own_access_point(key)
            self._network = (
                MockNetwork(ethernet=True, access_point=own) if self._is_demo else NetworkManagerNetwork(own)
            )
        return self._network

    async def close(self) -> None:
        """The own access point goes down."""
        if self._network is not None:
            await self._network.close()
        if self.portal_socket is not None:
            self.portal_socket.close()


def _bind() -> socket.socket | None:
    """For a unit that systemd did not start: port 80 of an address that is not there yet. None without the right to."""
    portal = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        portal.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        portal.setsockopt(socket.SOL_IP, getattr(socket, "IP_FREEBIND", 15), 1)
        portal.bind((ADDRESS, PORTAL_PORT))
        portal.listen(_BACKLOG)
        portal.setblocking(False)
    except OSError as exc:
        with suppress(OSError):
            portal.close()
        logger.info("phones in the set-up network find no page by themselves: port %d: %s", PORTAL_PORT, exc.strerror)
        return None
    return portal
