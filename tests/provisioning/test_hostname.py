from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusError
from dbus_fast.service import ServiceInterface, method

from provisioning.hostname import HostnameError, MockHostname, SystemHostname, check_hostname

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow receive_sender="*" eavesdrop="true"/>
<allow own="*"/></policy></busconfig>
"""


@pytest.fixture
def bus_address(tmp_path: Path) -> Iterator[str]:
    """A private bus."""
    if shutil.which("dbus-daemon") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("dbus-daemon is missing: apt-get install dbus-daemon")
        pytest.skip("dbus-daemon is missing: apt-get install dbus-daemon")
    config = tmp_path / "bus.conf"
    config.write_text(CONFIG.format(path=tmp_path / "bus"))
    command = ("dbus-daemon", f"--config-file={config}", "--nofork", "--print-address")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        yield daemon.stdout.readline().strip()
        daemon.terminate()


class Hostnamed(ServiceInterface):
    """As org.freedesktop.hostname1(5) describes it."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.hostname1")
        self.asked: list[tuple[str, bool]] = []
        self.refuses = False

    @method()
    def SetStaticHostname(self, hostname: s, interactive: b):  # type: ignore[name-defined,no-untyped-def]  # noqa: ANN201, F821
        if self.refuses:
            raise DBusError("org.freedesktop.DBus.Error.AccessDenied", "no")
        self.asked.append((hostname, interactive))


async def test_hostname_by_systemd(bus_address: str) -> None:
    service = Hostnamed()
    bus = await MessageBus(bus_address=bus_address).connect()
    bus.export("/org/freedesktop/hostname1", service)
    await bus.request_name("org.freedesktop.hostname1")
    hostname = SystemHostname(bus_address)
    try:
        await hostname.set("front-door")
        assert service.asked == [("front-door", False)]
        with pytest.raises(HostnameError, match="is no host name"):
            await hostname.set("front door")
        service.refuses = True
        with pytest.raises(HostnameError, match="does not let this user"):
            await hostname.set("porch")
        assert service.asked == [("front-door", False)]
    finally:
        bus.disconnect()
    assert hostname.get() == socket.gethostname()


async def test_machine_without_it(bus_address: str) -> None:
    with pytest.raises(HostnameError, match="does not run here"):
        await SystemHostname(bus_address).set("porch")
    with pytest.raises(HostnameError, match="cannot be reached"):
        await SystemHostname("unix:path=/nowhere/bus").set("porch")


@pytest.mark.parametrize("hostname", ["a", "Porch-2", "x" * 63, "porch.example", "2nd", "1.porch"])
def test_good(hostname: str) -> None:
    check_hostname(hostname)


@pytest.mark.parametrize(
    "hostname",
    ["", "-a", "a-", "a_b", "a b", "ü", "a..b", ".a", "a.", "x" * 64, "x." * 32 + "x", "127.0.0.1", "42", "a\n"],
)
async def test_bad(hostname: str) -> None:
    with pytest.raises(HostnameError):
        check_hostname(hostname)
    mock = MockHostname()
    with pytest.raises(HostnameError):
        await mock.set(hostname)
    assert mock.get() == "room-appliance"
