"""The network of a machine that NetworkManager looks after, over D-Bus.

    connect   access point down -> checkpoint [ scan -> profile in memory -> up -> connectivity -> profile to disk ]
                                              `-> anything else: rolled back, access point up again

A profile reaches the disk only after it worked; a program that dies on the way is rolled back by NetworkManager itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from dbus_fast import Message, Variant

from provisioning.network import (
    AccessPoint,
    NetworkError,
    NetworkStatus,
    StaticAddress,
    WifiJoin,
    WifiNetwork,
)
from provisioning.network_check import check_join, check_static, ssid_bytes
from provisioning.nm_api import (
    BUS_NAME,
    CAPABLE_OF_ACCESS_POINT,
    CHECK_CONNECTIVITY,
    DEACTIVATE,
    DELETE,
    DEVICE,
    ETHERNET_TYPE,
    NM,
    PATH,
    UPDATE,
    UPDATE_TO_DISK,
    WIFI_TYPE,
    WIRELESS,
)
from provisioning.nm_bus import CallError, Objects, Properties, ServiceBus
from provisioning.nm_connect import activate, checkpoint, deactivate
from provisioning.nm_look import find, look
from provisioning.nm_profiles import known_networks, profiles
from provisioning.nm_scan import merge
from provisioning.nm_settings import (
    ACCESS_POINT_UUID,
    ETHERNET,
    access_point_profile,
    ethernet_profile,
    wifi_profile,
)
from provisioning.nm_status import describe, devices, own_active
from provisioning.radio import count_stations, set_regulatory_country

logger = logging.getLogger(__name__)

JOIN_S = 45.0
ROLL_BACK_S = 75  # by NetworkManager, without word from here: longer than a join may take
ACCESS_POINT_S = 20.0
STOP_S = 5.0
CLOSE_S = 0.5
STATUS_AGE_S = 10.0  # signal strengths change without a signal of D-Bus that is listened to

_MATCHES = (
    f"type='signal',sender='{BUS_NAME}',interface='{DEVICE}',member='StateChanged'",
    f"type='signal',sender='{BUS_NAME}',interface='{NM}.Connection.Active',member='StateChanged'",
    *(
        f"type='signal',sender='{BUS_NAME}',member='PropertiesChanged',arg0='{interface}'"
        for interface in (NM, WIRELESS, f"{NM}.IP4Config", f"{NM}.IP6Config")
    ),
    f"type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='{BUS_NAME}'",
)


class NetworkManagerNetwork:
    """Keeps the Protocol `network.Network`. `own` is the access point to raise; `address` a bus for tests."""

    def __init__(self, own: AccessPoint, *, address: str | None = None) -> None:
        self._own = own
        self._address = address
        self._bus = ServiceBus(address=address)
        self._bus.listen(self._take)
        self._connecting = asyncio.Lock()
        self._status: tuple[float, NetworkStatus] | None = None
        self._seen: list[Properties] = []  # access points of the last scan
        self._changed = asyncio.Event()

    async def status(self) -> NetworkStatus:
        if self._status is not None and time.monotonic() - self._status[0] < STATUS_AGE_S:
            return self._status[1]
        self._changed.clear()
        try:
            status = describe(await self._objects(), self._own)
        except NetworkError as exc:
            self._status = None
            return NetworkStatus(available=False, message=str(exc))
        if not self._changed.is_set():
            self._status = time.monotonic(), status
        return status

    async def scan(self) -> list[WifiNetwork]:
        objects = await self._objects()
        device = _wifi_device(objects)
        known = await known_networks(self._bus)
        if own_active(objects) is None:  # an access point does not look around
            self._seen = await look(self._bus, device, tuple(ssid_bytes(one.ssid) for one in known if one.is_hidden))
        wifi = describe(objects, self._own).connected("wifi")
        ssids = {one.ssid for one in known}
        return merge(self._seen, ssids, wifi.ssid if wifi is not None else None, self._own.ssid)

    async def connect(self, join: WifiJoin) -> None:
        check_join(join)
        objects = await self._objects()
        device = _wifi_device(objects)
        was_up = own_active(objects) is not None
        try:
            await self._enable_radio()
            await self.stop_access_point()  # before: a roll-back would bring it back as a profile for ever
            async with checkpoint(self._bus, device, ROLL_BACK_S):
                if join.country:
                    with suppress(NetworkError):  # a radio that keeps its old rules may join all the same
                        await self.set_country(join.country)
                security, self._seen = await find(self._bus, device, join)
                made, _ = await activate(
                    self._bus, wifi_profile(join, security), device, join.ssid, persist="memory", timeout_s=JOIN_S
                )
                await self._check_connectivity()
                await self._bus.call(UPDATE, made, {}, UPDATE_TO_DISK, {})
        except BaseException:
            if was_up:
                await self._raise_again()
            raise
        for known in await known_networks(self._bus):
            if known.ssid == join.ssid and known.path != made:  # with the old password
                await self._bus.call(DELETE, known.path)

    async def known(self) -> tuple[str, ...]:
        return tuple(sorted({known.ssid for known in await known_networks(await self._ready())}))

    async def forget(self, ssid: str) -> None:
        found = [known for known in await known_networks(await self._ready()) if known.ssid == ssid]
        if not found:
            raise NetworkError("not-found", f"{ssid!r} is not among the known networks", "ssid")
        for known in found:
            await self._bus.call(DELETE, known.path)

    async def set_ethernet(self, static: StaticAddress | None) -> None:
        if static is not None:
            check_static(static)
        objects = await self._objects()
        wired = devices(objects, ETHERNET_TYPE)
        if not wired:
            raise NetworkError("unavailable", "this unit has no wired network")
        device, interface = wired[0], str(objects[wired[0]][DEVICE]["Interface"])
        profile = ethernet_profile(static, interface)
        async with checkpoint(self._bus, device, ROLL_BACK_S):
            made, _ = await activate(self._bus, profile, device, interface, persist="memory", timeout_s=JOIN_S)
            await self._check_connectivity()
            await self._bus.call(UPDATE, made, {}, UPDATE_TO_DISK, {})
        name = profile["connection"]["id"].value
        for path, settings in await profiles(self._bus):
            connection = settings.get("connection", {})
            if path != made and connection.get("type") == ETHERNET and connection.get("id") == name:
                await self._bus.call(DELETE, path)

    async def set_country(self, country: str) -> None:
        objects = await self._objects()
        for device in devices(objects, WIFI_TYPE):
            await set_regulatory_country(str(objects[device][DEVICE]["Interface"]), country, self._address)

    async def start_access_point(self) -> None:
        objects = await self._objects()
        await self.stop_access_point()  # of a program that died: its key may be another one
        await self._enable_radio()
        device = _wifi_device(objects, CAPABLE_OF_ACCESS_POINT)
        with suppress(NetworkError):
            self._seen = await look(self._bus, device)  # what a person chooses from while the radio is busy
        await activate(
            self._bus,
            access_point_profile(self._own),
            device,
            self._own.ssid,
            persist="volatile",
            timeout_s=ACCESS_POINT_S,
            is_bound=True,
        )

    async def stop_access_point(self) -> None:
        active = own_active(await self._objects())
        if active is not None:
            await deactivate(self._bus, active, STOP_S)
        for path, settings in await profiles(self._bus):  # it goes by itself, but for one that was rolled back
            if settings.get("connection", {}).get("uuid") == ACCESS_POINT_UUID:
                with suppress(CallError):
                    await self._bus.call(DELETE, path)

    async def stations(self) -> int | None:
        objects = await self._objects()
        if own_active(objects) is None:
            return 0
        return await count_stations(str(objects[_wifi_device(objects)][DEVICE]["Interface"]))

    async def wait_changed(self) -> None:
        await self._changed.wait()

    async def close(self) -> None:
        if self._bus.is_connected:
            with suppress(NetworkError, TimeoutError):  # else NetworkManager does it: the profile is bound to the bus
                async with asyncio.timeout(CLOSE_S):
                    active = own_active(await self._bus.objects())
                    if active is not None:
                        await self._bus.call(DEACTIVATE, PATH, active)
        self._bus.close()

    # --- inside

    def _take(self, _signal: Message) -> None:
        self._status = None
        self._changed.set()

    async def _ready(self) -> ServiceBus:
        async with self._connecting:
            if not self._bus.is_connected:
                await self._bus.connect(_MATCHES)
        return self._bus

    async def _objects(self) -> Objects:
        return await (await self._ready()).objects()

    async def _enable_radio(self) -> None:
        """Raspberry Pi OS keeps it off until somebody wants it."""
        if not await self._bus.get(PATH, NM, "WirelessEnabled"):
            await self._bus.set(PATH, NM, "WirelessEnabled", Variant("b", True))

    async def _check_connectivity(self) -> None:
        """The connection is good without the internet too; this makes `status` say how far it reaches."""
        with suppress(CallError):
            await self._bus.call(CHECK_CONNECTIVITY, PATH)

    async def _raise_again(self) -> None:
        try:
            await self.start_access_point()
        except NetworkError as exc:
            logger.warning("the set-up network is not back: %s", exc)


def _wifi_device(objects: Objects, capabilities: int = 0) -> str:
    found = devices(objects, WIFI_TYPE)
    able = [p for p in found if objects[p][WIRELESS].get("WirelessCapabilities", 0) & capabilities == capabilities]
    if not found:
        raise NetworkError("unavailable", "this unit has no Wi-Fi")
    if not able:
        raise NetworkError("unavailable", "this unit's Wi-Fi cannot be an access point")
    return able[0]
