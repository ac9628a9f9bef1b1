"""A system bus of one's own, with python-dbusmock's NetworkManager on it, extended (`networkmanager_template`).

    async with network_manager({"Home": {"password": "right-one"}}) as peer:
        network = NetworkManagerNetwork(own, address=peer.address)
        await peer.mock("Behave", "ss", "Home", "")

Without Debian's dbus-daemon or python3-dbusmock the test skips with their names, or fails under CI=true.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from provisioning.network import NetworkError
from provisioning.nm_api import ROOT_PATH, Method
from provisioning.nm_bus import Objects, ServiceBus

START_S = 20.0
PYTHON = "/usr/bin/python3"  # Debian's, which sees Debian's dbus-python
TEMPLATE = Path(__file__).parent / "networkmanager_template.py"
WIFI = "/org/freedesktop/NetworkManager/Devices/wlan0"
ETHERNET = "/org/freedesktop/NetworkManager/Devices/eth0"
_MOCK = "org.freedesktop.DBus.Mock"
_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
<allow user="*"/></policy></busconfig>"""


def require(*programs: str) -> None:
    """Skips, or fails under CI=true, where one of Debian's packages is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    has_mock = subprocess.run([PYTHON, "-c", "import dbusmock, gi"], capture_output=True, check=False).returncode == 0
    missing += [] if has_mock else ["python3-dbusmock"]
    if missing:
        message = f"Debian packages are missing: {' '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


class Peer:
    """A mocked service on a bus of its own."""

    def __init__(self, address: str, bus: ServiceBus) -> None:
        self.address = address
        self.bus = bus

    async def mock(self, name: str, signature: str = "", *arguments: Any, path: str = ROOT_PATH) -> Any:
        """One of dbusmock's own methods, or of the template's."""
        values = await self.bus.call(Method(_MOCK, name, signature), path, *arguments)
        return values[0] if values else None

    async def objects(self) -> Objects:
        return await self.bus.objects()

    async def calls(self, path: str, name: str) -> list[list[Any]]:
        """The arguments of every call of this method, in their order."""
        found = await self.mock("GetMethodCalls", "s", name, path=path)
        return [list(arguments) for _, arguments in found]


@asynccontextmanager
async def system_bus(directory: Path) -> AsyncIterator[str]:
    """Address of an empty bus."""
    require("dbus-daemon")
    socket = directory / "bus"
    (directory / "bus.conf").write_text(_CONFIG.format(socket=socket))
    daemon = await asyncio.create_subprocess_exec(
        "dbus-daemon",
        f"--config-file={directory / 'bus.conf'}",
        "--nofork",
        "--nopidfile",
        "--print-address",
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert daemon.stdout is not None
        async with asyncio.timeout(START_S):
            printed = await daemon.stdout.readline()
        yield printed.decode().strip()
    finally:
        daemon.terminate()
        await daemon.wait()


@asynccontextmanager
async def mocked(address: str, service: str, *arguments: str) -> AsyncIterator[Peer]:
    """`python3 -m dbusmock` with these arguments, once it has `service`."""
    process = await asyncio.create_subprocess_exec(
        PYTHON,
        *("-m", "dbusmock", "--system", *arguments),
        env=os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": address},
        stdout=asyncio.subprocess.DEVNULL,
    )
    bus = ServiceBus(service, address)
    try:
        await bus.connect()
        async with asyncio.timeout(START_S):
            while not await _has_owner(address, service):  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # the bus starts nobody: a call before would fail
        yield Peer(address, bus)
    finally:
        bus.close()
        process.terminate()
        await process.wait()


@asynccontextmanager
async def network_manager(directory: Path, worlds: dict[str, dict[str, Any]]) -> AsyncIterator[Peer]:
    """With wlan0, eth0 without a cable, and an access point for each of `worlds` that is not hidden."""
    parameters = json.dumps({"worlds": worlds})
    async with (
        system_bus(directory) as address,
        mocked(
            address, "org.freedesktop.NetworkManager", "--template", str(TEMPLATE), "--parameters", parameters
        ) as peer,
    ):
        await peer.mock("AddEthernetDevice", "ssi", "eth0", "eth0", 20)
        await peer.mock("AddWiFiDevice", "ssi", "wlan0", "wlan0", 30)
        for device in (ETHERNET, WIFI):
            await peer.mock("Complete", "s", device)
        for number, (ssid, behaviour) in enumerate(worlds.items()):
            if not behaviour.get("hidden"):
                security = 0x100 if "password" in behaviour else 0
                await peer.mock(
                    "AddAccessPoint",
                    "ssssuuuyu",
                    *(WIFI, f"ap{number}", ssid, f"02:00:00:00:00:{number:02x}", 2, 2412, 54000, 80 - number, security),
                )
        yield peer


async def _has_owner(address: str, service: str) -> bool:
    bus = ServiceBus("org.freedesktop.DBus", address)
    await bus.connect()
    try:
        method = Method("org.freedesktop.DBus", "NameHasOwner", "s", "b")
        return bool((await bus.call(method, "/org/freedesktop/DBus", service))[0])
    except NetworkError:
        return False
    finally:
        bus.close()
