"""A unit for Improv on a mock network, and a client's end of a pty."""

from __future__ import annotations

import asyncio
import os
import pty
import time
import tty
from pathlib import Path

from provisioning.hostname import MockHostname
from provisioning.improv import Command, Decoder, Facts, PacketType, encode
from provisioning.improv_serial import UnitInfo
from provisioning.mock_network import DEMO, MockNetwork, MockWifi
from provisioning.network import WifiJoin, WifiNetwork

STEP_TIMEOUT_S = 10.0
PAGE = "https://{}:8080/setup#code=4F7-K2M-9XB"


async def quick(seconds: float) -> None:
    """Waits a hundredth of what the mock network wants to wait."""
    await asyncio.sleep(seconds / 100)


class MockUnit:
    """Keeps `improv_serial.ImprovUnit`."""

    info = UnitInfo("room-appliance", "1.2.3", "Raspberry Pi 4 Model B", "Debian", "13")

    def __init__(self, networks: tuple[MockWifi, ...] = DEMO) -> None:
        self.network = MockNetwork(networks, sleep=quick)
        self.hostname = MockHostname()
        self.joined: list[WifiJoin] = []
        self.joining = asyncio.Event()
        self.slow = False
        self._name = "Front door"

    async def facts(self) -> Facts:
        status = await self.network.status()
        addresses = [a.partition("/")[0] for i in status.interfaces if i.state == "connected" for a in i.addresses]
        return Facts(
            wifi=status.has_wifi,
            ethernet=any(interface.kind == "ethernet" for interface in status.interfaces),
            provisioned=status.connected("wifi") is not None,
            urls=tuple(PAGE.format(address) for address in addresses),
        )

    async def wait_changed(self) -> None:
        await self.network.wait_changed()

    async def scan(self) -> list[WifiNetwork]:
        return await self.network.scan()

    async def join(self, join: WifiJoin) -> None:
        self.joined.append(join)
        self.joining.set()
        if self.slow:
            await asyncio.Event().wait()
        await self.network.connect(join)

    def name(self) -> str:
        return self._name

    async def set_name(self, name: str) -> None:
        if len(name) > 64:
            raise ValueError(f"{name!r} is too long for a name")
        self._name = name


class Cable:
    """A pty that hangs under `link` while it is plugged in; this end is the computer's."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.master = -1
        self._decoder = Decoder()
        self._got: list[tuple[int, bytes]] = []

    def plug_in(self) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.link.symlink_to(os.ttyname(slave))
        os.close(slave)
        os.set_blocking(self.master, False)

    def unplug(self) -> None:
        if self.master >= 0:
            self.link.unlink()
            os.close(self.master)
            self.master = -1

    def send(self, data: bytes) -> None:
        os.write(self.master, data)

    def ask(self, command: int, payload: bytes = b"") -> None:
        self.send(encode(PacketType.RPC, bytes((command, len(payload))) + payload))

    def ask_wifi(self, ssid: str, password: str) -> None:
        parts = (ssid.encode(), password.encode())
        self.ask(Command.WIFI, b"".join(bytes((len(part),)) + part for part in parts))

    async def next(self, timeout_s: float = STEP_TIMEOUT_S) -> tuple[int, bytes]:
        """Type and data of the next packet."""
        deadline_s = time.monotonic() + timeout_s
        while not self._got:
            assert time.monotonic() < deadline_s, "no packet came"
            await asyncio.sleep(0.005)
            try:
                data = os.read(self.master, 4096)
            except (BlockingIOError, OSError):  # EIO: nobody has it open yet
                continue
            self._got += [packet for packet in self._decoder.feed(data, 0.0) if packet is not None]
        return self._got.pop(0)

    async def result(self) -> list[str]:
        """The texts of the next packet, which is a result."""
        kind, data = await self.next()
        assert kind == PacketType.RESULT, (kind, data)
        texts, at = [], 2
        while at < len(data):
            texts.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        return texts
