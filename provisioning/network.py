"""The network as the set-up page sees it: values, and the Protocol that both back ends keep.

`wifi` is NetworkManager over D-Bus; `mock_network` walks the whole wizard on a computer without any of it. What a
person may ask for is checked in `network_check`; how an SSID, any bytes, becomes text stands there too.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

MAX_SSID_BYTES = 32

Security = Literal["open", "wpa2", "wpa3", "unsupported"]
Connectivity = Literal["unknown", "none", "portal", "limited", "full"]
ErrorCode = Literal[
    "invalid",  # this can never work as it was asked for
    "bad-password",
    "not-found",  # no such network in reach
    "no-address",  # joined, but its DHCP gave none
    "timeout",
    "unavailable",  # no network service, no radio, or no leave to use it
    "failed",  # anything else; the message says what
]

_Ssid = Annotated[str, Meta(min_length=1, max_length=4 * MAX_SSID_BYTES)]
_Country = Annotated[str, Meta(pattern=r"^(?:[A-Z]{2})?\Z")]
_Ip = Annotated[str, Meta(max_length=64)]


class NetworkError(Exception):
    """A network could not be joined, or not be asked at all. `code` is for programs, the message for a person."""

    def __init__(self, code: ErrorCode, message: str, field: str = "") -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.field = field


class StaticAddress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Instead of DHCP. `address` with its prefix length: "192.168.1.20/24"."""

    address: _Ip
    gateway: _Ip = ""
    dns: Annotated[tuple[_Ip, ...], Meta(max_length=4)] = ()


class WifiJoin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network to join. Without `password` it is an open one; `static` None: by DHCP."""

    ssid: _Ssid
    password: Annotated[str, Meta(max_length=128)] = ""
    hidden: bool = False
    country: _Country = ""
    static: StaticAddress | None = None


class WifiNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """One network in reach, whatever its number of access points. `signal` of the strongest, 0..100."""

    ssid: str
    signal: int
    security: Security
    known: bool = False
    in_use: bool = False


class InterfaceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`addresses` with their prefix lengths. `ssid` and `signal` (0..100) of Wi-Fi in use."""

    name: str
    kind: Literal["wifi", "ethernet"]
    state: Literal["unavailable", "disconnected", "connecting", "connected"]
    addresses: tuple[str, ...] = ()
    gateway: str = ""
    dns: tuple[str, ...] = ()
    ssid: str | None = None
    signal: int | None = None


class AccessPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The unit's own set-up network. `psk` is a secret: for the label and the owner, in no answer and no log."""

    ssid: str
    psk: str
    address: str = ""  # of the unit in it

    def __repr__(self) -> str:
        return f"AccessPoint(ssid={self.ssid!r}, psk=..., address={self.address!r})"


class NetworkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`available` False: this machine's network is not ours to set up, and `message` says why."""

    available: bool
    message: str = ""
    interfaces: tuple[InterfaceStatus, ...] = ()
    connectivity: Connectivity = "unknown"
    access_point: AccessPoint | None = None  # while it is up

    def connected(self, kind: Literal["wifi", "ethernet"]) -> InterfaceStatus | None:
        """The first interface of this kind that is in a network of others."""
        return next((i for i in self.interfaces if i.kind == kind and i.state == "connected"), None)

    @property
    def has_wifi(self) -> bool:
        return any(interface.kind == "wifi" for interface in self.interfaces)


class Network(Protocol):
    """The network of this machine. Used on the event loop; nothing here blocks it."""

    async def status(self) -> NetworkStatus:
        """Never raises: a network service that is not there is said in the answer."""

    async def scan(self) -> list[WifiNetwork]:
        """What is in reach now, strongest first; with the own access point up, what was in reach before.

        Raises `NetworkError("unavailable")`.
        """

    async def connect(self, join: WifiJoin) -> None:
        """Returns when the network is joined, has an address, and is kept for the next start.

        Raises `NetworkError`; then everything is as it was before.
        """

    async def known(self) -> tuple[str, ...]:
        """Networks that are joined by themselves when in reach. Raises `NetworkError("unavailable")`."""

    async def forget(self, ssid: str) -> None:
        """Raises `NetworkError("not-found")` where no such network is known."""

    async def set_ethernet(self, static: StaticAddress | None) -> None:
        """A static address for the wired network, or (None) DHCP again; kept only if it came up. Like `connect`."""

    async def set_country(self, country: str) -> None:
        """ISO 3166 code of the country whose radio rules hold here. Raises `NetworkError("unavailable")`."""

    async def start_access_point(self) -> None:
        """Returns when others can join it. Raises `NetworkError`."""

    async def stop_access_point(self) -> None:
        """A known network is then joined again, where there is one. Idempotent."""

    async def stations(self) -> int | None:
        """How many devices are in the own access point; None where nobody can tell."""

    async def wait_changed(self) -> None:
        """Until something of `status` may have changed."""

    async def close(self) -> None:
        """The own access point goes down with it. Idempotent."""
