"""The machine's host name, by systemd-hostnamed over D-Bus (org.freedesktop.hostname1)."""

from __future__ import annotations

import re
import socket
from typing import Protocol

from provisioning.network import NetworkError
from provisioning.nm_api import Method
from provisioning.nm_bus import ServiceBus

MAX_LENGTH = 64  # HOST_NAME_MAX of Linux; RFC 1123 would take 255

_SERVICE = "org.freedesktop.hostname1"
_PATH = "/org/freedesktop/hostname1"
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)\Z")


class HostnameError(Exception):
    """The host name is none, or cannot be set."""


class Hostname(Protocol):
    def get(self) -> str: ...

    async def set(self, hostname: str) -> None:
        """Raises `HostnameError`; it holds at once, and after the next start."""


def check_hostname(hostname: str) -> None:
    """RFC 1123 section 2.1: labels of letters, digits and inner hyphens, not a number alone. Raises `HostnameError`."""
    labels = hostname.split(".")
    if len(hostname) > MAX_LENGTH or not all(_LABEL.match(label) for label in labels) or labels[-1].isdigit():
        raise HostnameError(
            f"{hostname[:80]!r} is no host name: allowed are letters, digits and hyphens inside, at most {MAX_LENGTH}"
        )


class SystemHostname:
    """`address` of the bus, None: the system bus. Needs systemd's polkit rule (systemd/room-appliance.polkit.rules)."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address

    def get(self) -> str:
        return socket.gethostname()

    async def set(self, hostname: str) -> None:
        check_hostname(hostname)
        bus = ServiceBus(_SERVICE, self._address)
        try:
            await bus.connect()
            await bus.call(Method(_SERVICE, "SetStaticHostname", "sb"), _PATH, hostname, False)
        except NetworkError as exc:
            raise HostnameError(f"the host name cannot be set: {exc}") from exc
        finally:
            bus.close()


class MockHostname:
    """Keeps the name to itself: for the demo and for tests."""

    def __init__(self, hostname: str = "room-appliance") -> None:
        self._hostname = hostname

    def get(self) -> str:
        return self._hostname

    async def set(self, hostname: str) -> None:
        check_hostname(hostname)
        self._hostname = hostname
