"""The unit as Improv sets it up: its network, its names, and the address of its page."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable, Iterable

from appliance import __version__
from appliance.addresses import addresses_of, page_addresses
from appliance.config import Config
from appliance.config_store import ConfigStore
from appliance.errors import ConfigError
from appliance.joining import BusyError
from appliance.onboarding import Onboarding
from appliance.supervisor import ChildSpec
from appliance.system_stats import read_system_stats
from provisioning.claim import Claim
from provisioning.hostname import Hostname, SystemHostname
from provisioning.improv import Facts
from provisioning.improv_serial import ImprovSerial, UnitInfo
from provisioning.label import setup_url
from provisioning.mdns import own_addresses
from provisioning.network import NetworkError, WifiJoin, WifiNetwork


class ImprovOnUnit:
    """Keeps `improv_serial.ImprovUnit`. `pages` makes "https://ADDRESS:PORT/" of each address."""

    def __init__(
        self,
        onboarding: Onboarding,
        claim: Claim,
        store: ConfigStore,
        hostname: Hostname,
        pages: Callable[[Iterable[str]], list[str]],
    ) -> None:
        self.hostname = hostname
        self.info = unit_info()
        self._onboarding = onboarding
        self._claim = claim
        self._store = store
        self._pages = pages

    async def facts(self) -> Facts:
        status = await self._onboarding.network.status()
        kinds = {interface.kind for interface in status.interfaces}
        addresses = addresses_of(status) if status.available else own_addresses()
        return Facts(
            wifi="wifi" in kinds,
            ethernet="ethernet" in kinds or not status.available,
            provisioned=status.connected("wifi") is not None,
            urls=tuple(map(self._with_code, self._pages(addresses))),
        )

    async def wait_changed(self) -> None:
        await self._onboarding.network.wait_changed()

    async def scan(self) -> list[WifiNetwork]:
        try:
            return await self._onboarding.scan()
        except BusyError as exc:
            raise NetworkError("failed", str(exc)) from exc

    async def join(self, join: WifiJoin) -> None:
        try:
            await self._onboarding.joining.join(join)
        except BusyError as exc:
            raise NetworkError("failed", str(exc)) from exc

    def name(self) -> str:
        return self._store.config.device.name

    async def set_name(self, name: str) -> None:
        try:
            await self._store.change({"device.name": name})
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc

    def _with_code(self, page: str) -> str:
        """While the unit has no owner its page comes with the claim code: who has the cable has the unit in hand."""
        return setup_url(page.rstrip("/"), self._claim.code) if self._claim.is_open(time.monotonic()) else page


async def improv_child(
    config: Config, port: int, onboarding: Onboarding, claim: Claim, store: ConfigStore
) -> ChildSpec:
    """Improv on the configured serial port, for a unit whose page is served on TCP `port`."""
    scheme = "http" if config.web.tls == "off" else "https"

    def pages(addresses: Iterable[str]) -> list[str]:
        return page_addresses(scheme, port, "", addresses)

    unit = await asyncio.to_thread(ImprovOnUnit, onboarding, claim, store, SystemHostname(), pages)
    improv = ImprovSerial(config.wifi.improv_port, unit)
    return ChildSpec("improv", improv.run, health=lambda: improv.health)


def unit_info() -> UnitInfo:
    """Reads files."""
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {}
    return UnitInfo(
        firmware="room-appliance",
        version=__version__,
        chip=read_system_stats().model or platform.machine(),
        os_name=system.get("NAME", platform.system()),
        os_version=system.get("VERSION_ID", platform.release()),
    )
