"""mDNS (RFC 6762) and DNS-SD (RFC 6763): the unit announces its page and its hub, and finds other hubs.

    NAME._https._tcp.local            the page; _http without TLS
    NAME._room-appliance._tcp.local   the unit. TXT: txtvers=1, id, room, hub (path of its WebSocket, where it has one),
                                      tls (1 or 0), fp (SHA-256 of its certificate), v (version)

A name that another unit has already becomes NAME-2 by itself. When addresses or what is announced change, everything is
announced anew on what there is then; at the end it is taken back.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import ifaddr
from zeroconf import (
    BadTypeInNameException,
    InterfaceChoice,
    IPVersion,
    NonUniqueNameException,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf import Error as ZeroconfError
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

logger = logging.getLogger(__name__)

UNIT_TYPE = "_room-appliance._tcp.local."
LOOK_S = 5.0  # at the own addresses and at what is announced
RETRY_S = 30.0
ASK_S = 3.0  # for one unit's details
_MAX_LABEL = 63  # bytes: RFC 1035
_MAX_HUBS = 100  # a flood of announcements is no reason to grow
_FINGERPRINT = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}\Z")
_PATH = re.compile(r"/[!-~]{0,200}\Z")
_ROOM = re.compile(r"[A-Za-z0-9._~-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Announcement:
    """`hub_path` empty: it has no hub. `hostname` without ".local". `unit_id` tells units of one name apart."""

    name: str
    unit_id: str
    hostname: str
    port: int
    is_tls: bool
    room: str = ""
    hub_path: str = ""
    fingerprint: str = ""
    version: str = ""

    def txt(self) -> dict[str, str]:
        """Values over 255 bytes with their key cannot be sent; none here is near it."""
        values = {
            "txtvers": "1",
            "id": self.unit_id,
            "tls": str(int(self.is_tls)),
            "v": self.version,
            "room": self.room,
            "hub": self.hub_path,
            "fp": self.fingerprint,
        }
        return {key: value for key, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class FoundHub:
    """A hub of another unit. `url`: ws:// or wss:// by its address; `fingerprint` to pin, empty without TLS."""

    name: str
    url: str
    room: str
    fingerprint: str
    unit_id: str = field(default="", repr=False)


class Mdns:
    """`announced` gives what is to be told now. `interfaces`: own addresses to use; None: all.

    `hubs` are sorted by name.
    """

    def __init__(self, announced: Callable[[], Announcement], interfaces: Sequence[str] | None = None) -> None:
        self.trouble = ""
        self.names: tuple[str, ...] = ()  # under which it is announced, once it is
        self._announced = announced
        self._interfaces = interfaces
        self._found: dict[str, FoundHub] = {}
        self._asking: set[asyncio.Task[None]] = set()

    @property
    def hubs(self) -> list[FoundHub]:
        return sorted(self._found.values(), key=lambda hub: (hub.name.casefold(), hub.url))

    @property
    def health(self) -> str:
        return f"degraded: {self.trouble}" if self.trouble else "ok"

    async def run(self) -> None:
        """Until cancelled; then everything is taken back and closed. A network that does not let it is tried again."""
        while True:
            now = await asyncio.to_thread(self._addresses), self._announced()
            try:
                await self._keep(*now)
                self.trouble = ""
            except (OSError, ZeroconfError, ValueError) as exc:
                self._say(exc)
                await asyncio.sleep(RETRY_S)

    async def _keep(self, addresses: tuple[str, ...], announcement: Announcement) -> None:
        """Announces and listens until either has changed."""
        if not addresses:
            await self._changed(addresses, announcement)
            return
        zeroconf = await self._open(addresses)
        browser: AsyncServiceBrowser | None = None
        try:
            infos = service_infos(announcement, addresses)
            await asyncio.gather(*(_register(zeroconf, info) for info in infos))
            self.names = tuple(info.name for info in infos)
            self.trouble = ""
            logger.info("mDNS: announced as %s", ", ".join(self.names))
            browser = AsyncServiceBrowser(zeroconf.zeroconf, UNIT_TYPE, handlers=[self._listener(announcement.unit_id)])
            await self._changed(addresses, announcement)
        finally:
            closing = asyncio.create_task(self._close(zeroconf, browser), name="mdns-close")
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError:
                await closing
                raise

    async def _close(self, zeroconf: AsyncZeroconf, browser: AsyncServiceBrowser | None) -> None:
        """Takes everything back, also when the unit ends meanwhile. Once: zeroconf's three times, with pauses between,
        would take half a second of the unit's end, and who misses it asks again before long."""
        self.names = ()
        self._found.clear()
        asking = list(self._asking)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        if browser is not None:
            await browser.async_cancel()
        with suppress(OSError, ZeroconfError):
            if (goodbye := zeroconf.zeroconf.generate_unregister_all_services()) is not None:
                zeroconf.zeroconf.async_send(goodbye)
        await zeroconf.async_close()

    async def _open(self, addresses: tuple[str, ...]) -> AsyncZeroconf:
        if self._interfaces is not None:
            return AsyncZeroconf(interfaces=list(self._interfaces))
        has_ipv6 = any(":" in address for address in addresses)
        if has_ipv6:
            with suppress(OSError):
                return AsyncZeroconf(interfaces=InterfaceChoice.All, ip_version=IPVersion.All)
        return AsyncZeroconf(interfaces=InterfaceChoice.All, ip_version=IPVersion.V4Only)

    async def _changed(self, addresses: tuple[str, ...], announcement: Announcement) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            if (await asyncio.to_thread(self._addresses), self._announced()) != (addresses, announcement):
                return

    def _addresses(self) -> tuple[str, ...]:
        return tuple(self._interfaces) if self._interfaces is not None else own_addresses()

    # --- other units

    def _listener(self, own_id: str) -> Callable[..., None]:
        """Called on the loop, by these names."""

        def heard(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
            if state_change is ServiceStateChange.Removed:
                self._found.pop(name, None)
            elif len(self._asking) < _MAX_HUBS:
                task = asyncio.create_task(self._ask(zeroconf, name, own_id), name="mdns-ask")
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)

        return heard

    async def _ask(self, zeroconf: Zeroconf, name: str, own_id: str) -> None:
        try:
            info = AsyncServiceInfo(UNIT_TYPE, name)
            if not await info.async_request(zeroconf, ASK_S * 1000):
                return
        except (BadTypeInNameException, OSError, ZeroconfError) as exc:
            logger.debug("mDNS: %s: %s", name, exc)
            return
        hub = found_hub(
            name.removesuffix(f".{UNIT_TYPE}"),
            info.parsed_scoped_addresses(IPVersion.All),
            info.port or 0,
            info.properties,
        )
        if hub is None or hub.unit_id == own_id:
            self._found.pop(name, None)
        elif name in self._found or len(self._found) < _MAX_HUBS:
            self._found[name] = hub

    def _say(self, error: Exception) -> None:
        words = str(error) or type(error).__name__
        trouble = f"mDNS: {words}"
        if isinstance(error, NonUniqueNameException):
            trouble = "mDNS: the name is in use, and so are all like it"
        if trouble != self.trouble:
            self.trouble = trouble
            logger.warning("%s", trouble)


async def _register(zeroconf: AsyncZeroconf, info: AsyncServiceInfo) -> None:
    """Probes for a second, takes another name where this one is in use, and announces it."""
    announcing = await zeroconf.async_register_service(info, allow_name_change=True, strict=False)
    await announcing


def service_infos(announcement: Announcement, addresses: Sequence[str]) -> list[AsyncServiceInfo]:
    """The page's service and the unit's."""
    page_type = "_https._tcp.local." if announcement.is_tls else "_http._tcp.local."
    label = instance_label(announcement.name)
    server = f"{announcement.hostname.partition('.')[0]}.local."

    def info(service_type: str, txt: dict[str, str]) -> AsyncServiceInfo:
        return AsyncServiceInfo(
            service_type,
            f"{label}.{service_type}",
            port=announcement.port,
            properties=txt,
            server=server,
            parsed_addresses=[address.partition("%")[0] for address in addresses],
        )

    return [info(page_type, {"path": "/"}), info(UNIT_TYPE, announcement.txt())]


def instance_label(name: str) -> str:
    """One DNS label out of a unit's name: at most 63 bytes of UTF-8, no control characters; room for "-2" behind it."""
    text = "".join(character if character.isprintable() else " " for character in name).strip() or "Room appliance"
    return text.encode()[: _MAX_LABEL - 4].decode("utf-8", "ignore").strip()


def found_hub(name: str, addresses: Sequence[str], port: int, txt: Mapping[bytes, bytes | None]) -> FoundHub | None:
    """What another unit announces, if it has a hub that can be reached and nothing in it is odd: anybody may say it."""
    values = {key.decode("utf-8", "replace"): (value or b"").decode("utf-8", "replace") for key, value in txt.items()}
    path, room, fingerprint = values.get("hub", ""), values.get("room", ""), values.get("fp", "")
    is_tls = values.get("tls") == "1"
    address = best_address(addresses)
    is_good = _PATH.match(path) and (not room or _ROOM.match(room)) and 0 < port < 65536
    if not is_good or address is None or (fingerprint and not _FINGERPRINT.match(fingerprint)):
        return None
    host = f"[{address}]" if ":" in address else address
    url = f"{'wss' if is_tls else 'ws'}://{host}:{port}{path}"
    shown = "".join(character for character in name if character.isprintable())[:64]
    return FoundHub(shown, url, room, fingerprint if is_tls else "", values.get("id", "")[:64])


def best_address(addresses: Sequence[str]) -> str | None:
    """IPv4 before IPv6; none that needs an interface to be named."""
    usable = [address for address in addresses if "%" not in address and not _is_link_local(address)]
    return min(usable, key=lambda address: ":" in address, default=None)


def own_addresses() -> tuple[str, ...]:
    """Of every interface but loopback, sorted; IPv6 link-local ones are left out."""
    found = set()
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            address = ipaddress.ip_address(text.partition("%")[0])
            if not address.is_loopback and not (address.version == 6 and address.is_link_local):
                found.add(str(address))
    return tuple(sorted(found))


def _is_link_local(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return True
    return address.version == 6 and address.is_link_local
