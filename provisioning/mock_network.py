"""A network that needs no radio: it walks a person through the whole wizard, and a test through every way it can go.

Any password that does not begin with "wrong" opens a network that has none of its own. Time is injected: `clock` gives
monotonic seconds, `sleep` waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from provisioning.network import (
    AccessPoint,
    InterfaceStatus,
    NetworkError,
    NetworkStatus,
    Security,
    StaticAddress,
    WifiJoin,
    WifiNetwork,
)
from provisioning.network_check import check_join, check_static

SCAN_S = 1.5
JOIN_S = 2.5
REFUSAL_S = 3.0  # the second failed handshake
SEARCH_S = 4.0  # before a network counts as not there
SLOW_DHCP_S = 12.0
NO_DHCP_S = 20.0
OWN = AccessPoint(ssid="Room appliance", psk="mock-set-up", address="10.42.0.1")


@dataclass(frozen=True, slots=True)
class MockWifi:
    """`reach` None: always; else (period_s, present_s): within each period it is there for so long, then gone."""

    ssid: str
    signal: int
    security: Security = "wpa2"
    password: str | None = None
    hidden: bool = False
    known: bool = False
    dhcp: Literal["fast", "slow", "none"] = "fast"
    reach: tuple[float, float] | None = None

    def is_there(self, t_s: float) -> bool:
        return self.reach is None or t_s % self.reach[0] < self.reach[1]

    def opens(self, password: str) -> bool:
        if self.security == "open":
            return True
        return password == self.password if self.password is not None else bool(password) and password[:5] != "wrong"


DEMO = (
    MockWifi("Living room", 88, "wpa2"),
    MockWifi("Upstairs", 61, "wpa3"),
    MockWifi("Café guests", 54, "open"),
    MockWifi("Comes and goes", 47, reach=(60.0, 40.0)),
    MockWifi("Slow to answer", 42, dhcp="slow"),
    MockWifi("Gives no address", 38, dhcp="none"),
    MockWifi("\\xff\\x00 no text", 20),
    MockWifi("Hidden", 70, hidden=True),
)


class MockNetwork:
    """Keeps the Protocol `network.Network`. `devices` is how many others are in the access point."""

    def __init__(
        self,
        networks: Sequence[MockWifi] = DEMO,
        *,
        ethernet: bool = False,
        access_point: AccessPoint = OWN,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.networks = {network.ssid: network for network in networks}
        self.devices = 0
        self.country = ""
        self.calls: list[str] = []  # what was asked that moves something, in order
        self._known = {network.ssid for network in networks if network.known}
        self._clock = clock
        self._sleep = sleep
        self._began_s = clock()
        self._own = access_point
        self._is_up = False
        self._is_plugged = ethernet
        self._joined = ""
        self._is_joining = False
        self._static: StaticAddress | None = None
        self._ethernet_static: StaticAddress | None = None
        self._seen: list[MockWifi] = []
        self._changed = asyncio.Event()

    # --- what a test moves

    def plug_ethernet(self, plugged: bool) -> None:
        self._is_plugged = plugged
        self._tell()

    def add(self, network: MockWifi) -> None:
        """In place of the one of this name, if there is one."""
        self.networks[network.ssid] = network
        self._known |= {network.ssid} if network.known else set()
        self._tell()

    def remove(self, ssid: str) -> None:
        """Out of reach; a known one stays known."""
        self.networks.pop(ssid, None)
        self._tell()

    # --- the Protocol

    async def status(self) -> NetworkStatus:
        self._follow()
        online = bool(self._joined) or self._is_plugged
        return NetworkStatus(
            available=True,
            interfaces=(self._ethernet(), self._wifi()),
            connectivity="full" if online else "none",
            access_point=self._own if self._is_up else None,
        )

    async def scan(self) -> list[WifiNetwork]:
        await self._sleep(SCAN_S)
        if not self._is_up:  # one radio: it does not look around while it is an access point
            self._seen = self._in_reach()
        found = [
            WifiNetwork(
                ssid=network.ssid,
                signal=network.signal,
                security=network.security,
                known=network.ssid in self._known,
                in_use=network.ssid == self._joined,
            )
            for network in self._seen
            if not network.hidden
        ]
        return sorted(found, key=lambda network: -network.signal)

    async def connect(self, join: WifiJoin) -> None:
        check_join(join)
        if join.country:
            self.country = join.country
        self.calls.append(f"connect {join.ssid}")
        before, was_up = self._joined, self._is_up
        self._joined, self._is_up, self._is_joining = "", False, True
        self._tell()
        joined = False
        try:
            await self._join(join)
            joined = True
        finally:
            self._is_joining = False
            if joined:
                self._joined, self._static = join.ssid, join.static
                self._known.add(join.ssid)
            else:
                self._joined, self._is_up = before, was_up
            self._tell()

    async def known(self) -> tuple[str, ...]:
        return tuple(sorted(self._known))

    async def forget(self, ssid: str) -> None:
        if ssid not in self._known:
            raise NetworkError("not-found", f"{ssid!r} is not among the known networks", "ssid")
        self.calls.append(f"forget {ssid}")
        self._known.remove(ssid)
        self._joined = "" if self._joined == ssid else self._joined
        self._tell()

    async def set_ethernet(self, static: StaticAddress | None) -> None:
        if static is not None:
            check_static(static)
        if not self._is_plugged:
            raise NetworkError("unavailable", "no cable is plugged in")
        await self._sleep(JOIN_S)
        self._ethernet_static = static
        self._tell()

    async def set_country(self, country: str) -> None:
        self.country = country

    async def start_access_point(self) -> None:
        self.calls.append("start access point")
        self._joined, self._is_up = "", True
        self._tell()

    async def stop_access_point(self) -> None:
        if self._is_up:
            self.calls.append("stop access point")
            self._is_up = False
            self._tell()

    async def stations(self) -> int | None:
        return self.devices if self._is_up else 0

    async def wait_changed(self) -> None:
        await self._changed.wait()

    async def close(self) -> None:
        await self.stop_access_point()

    # --- inside

    async def _join(self, join: WifiJoin) -> None:
        network = self.networks.get(join.ssid)
        is_there = network is not None and network.is_there(self._clock() - self._began_s)
        if network is None or not is_there or (network.hidden and not join.hidden):
            await self._sleep(SEARCH_S)
            raise NetworkError("not-found", f"no network {join.ssid!r} is in reach")
        if not network.opens(join.password):
            await self._sleep(REFUSAL_S)
            raise NetworkError("bad-password", f"{join.ssid!r} does not take this password")
        await self._sleep(JOIN_S)
        if join.static is None and network.dhcp == "none":
            await self._sleep(NO_DHCP_S)
            raise NetworkError("no-address", f"{join.ssid!r} gave no address")
        if join.static is None and network.dhcp == "slow":
            await self._sleep(SLOW_DHCP_S)

    def _follow(self) -> None:
        """As NetworkManager does by itself: out of a network that is gone, into a known one that is there."""
        if self._is_joining or self._is_up:
            return
        there = {network.ssid: network.signal for network in self._in_reach() if network.ssid in self._known}
        if self._joined not in there:
            self._joined = max(there, key=lambda ssid: there[ssid], default="")

    def _in_reach(self) -> list[MockWifi]:
        t_s = self._clock() - self._began_s
        return [network for network in self.networks.values() if network.is_there(t_s)]

    def _ethernet(self) -> InterfaceStatus:
        if not self._is_plugged:
            return InterfaceStatus(name="eth0", kind="ethernet", state="unavailable")
        static = self._ethernet_static or StaticAddress(
            address="192.0.2.10/24", gateway="192.0.2.1", dns=("192.0.2.1",)
        )
        return _connected("eth0", "ethernet", static)

    def _wifi(self) -> InterfaceStatus:
        if not self._joined:
            return InterfaceStatus(
                name="wlan0", kind="wifi", state="connecting" if self._is_joining else "disconnected"
            )
        static = self._static or StaticAddress(
            address="198.51.100.23/24", gateway="198.51.100.1", dns=("198.51.100.1",)
        )
        return _connected("wlan0", "wifi", static, self._joined, self.networks[self._joined].signal)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _connected(
    name: str,
    kind: Literal["wifi", "ethernet"],
    static: StaticAddress,
    ssid: str | None = None,
    signal: int | None = None,
) -> InterfaceStatus:
    return InterfaceStatus(
        name=name,
        kind=kind,
        state="connected",
        addresses=(static.address,),
        gateway=static.gateway,
        dns=static.dns,
        ssid=ssid,
        signal=signal,
    )
