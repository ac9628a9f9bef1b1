"""Looking around with NetworkManager's radio."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from dbus_fast import Message, Variant

from provisioning.network import NetworkError, Security, WifiJoin
from provisioning.network_check import ssid_bytes
from provisioning.nm_api import ACCESS_POINT, GET_ALL_ACCESS_POINTS, REQUEST_SCAN, WIRELESS
from provisioning.nm_bus import CallError, Properties, ServiceBus
from provisioning.nm_scan import merge

SCAN_S = 10.0
FRESH_S = 8.0  # NetworkManager refuses to scan again so soon


async def look(bus: ServiceBus, device: str, hidden: tuple[bytes, ...] = ()) -> list[Properties]:
    """Scan, wait until that is done, and give the access points. `hidden`: SSIDs to call by name."""
    scanned = asyncio.Event()

    def on_signal(message: Message) -> None:
        if message.path == device and message.member == "PropertiesChanged" and "LastScan" in message.body[1]:
            scanned.set()

    stop = bus.listen(on_signal)
    try:
        last_ms = await bus.get(device, WIRELESS, "LastScan")  # of CLOCK_BOOTTIME; -1: never
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - last_ms / 1000
        is_awaited = bool(hidden) or last_ms < 0 or age_s > FRESH_S
        with suppress(CallError):  # one is under way: its end is as good
            await bus.call(REQUEST_SCAN, device, {"ssids": Variant("aay", list(hidden))} if hidden else {})
            is_awaited = True
        if is_awaited:
            with suppress(TimeoutError):  # what is known by then is told
                async with asyncio.timeout(SCAN_S):
                    await scanned.wait()
        (paths,) = await bus.call(GET_ALL_ACCESS_POINTS, device)
    finally:
        stop()
    objects = await bus.objects()
    return [objects[path][ACCESS_POINT] for path in paths if ACCESS_POINT in objects.get(path, {})]


async def find(bus: ServiceBus, device: str, join: WifiJoin) -> tuple[Security | None, list[Properties]]:
    """What the network wants (None: it hides itself), and everything that was seen on the way.

    Looks twice before a network is not there. Raises `NetworkError`.
    """
    hidden = (ssid_bytes(join.ssid),) if join.hidden else ()
    for _ in range(2):
        seen = await look(bus, device, hidden)
        for network in merge(seen, (), None, None):
            if network.ssid == join.ssid:
                _check(network.security, join)
                return network.security, seen
        if join.hidden:
            return None, seen
    raise NetworkError("not-found", f"{join.ssid!r} is not in reach", "ssid")


def _check(security: Security, join: WifiJoin) -> None:
    if security == "unsupported":
        raise NetworkError("invalid", f"{join.ssid!r} wants more than a password", "ssid")
    if security != "open" and not join.password:
        raise NetworkError("bad-password", f"{join.ssid!r} wants a password", "password")
