"""The connection profiles that NetworkManager keeps."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from provisioning.nm_api import GET_SETTINGS, LIST_PROFILES, SETTINGS_PATH
from provisioning.nm_bus import CallError, Properties, ServiceBus
from provisioning.nm_settings import WIFI, known_ssid


@dataclass(frozen=True, slots=True)
class KnownNetwork:
    path: str
    ssid: str
    is_hidden: bool


async def profiles(bus: ServiceBus) -> list[tuple[str, dict[str, Properties]]]:
    """Path and settings of each, without secrets. Raises `NetworkError`."""
    (paths,) = await bus.call(LIST_PROFILES, SETTINGS_PATH)
    found = []
    for path in paths:
        with suppress(CallError):  # deleted meanwhile
            (settings,) = await bus.call(GET_SETTINGS, path)
            found.append((str(path), settings))
    return found


async def known_networks(bus: ServiceBus) -> list[KnownNetwork]:
    """The Wi-Fi networks that are joined by themselves. Raises `NetworkError`."""
    found = []
    for path, settings in await profiles(bus):
        ssid = known_ssid(settings)
        if ssid is not None:
            found.append(KnownNetwork(path, ssid, bool(settings[WIFI].get("hidden", False))))
    return found
