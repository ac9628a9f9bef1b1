"""Two network namespaces with a cable between them: whole programs whose network is impaired as a network is.

    async with cable() as (left, right):                 # 10.77.0.1 and 10.77.0.2, and nothing else but loopback
        async with program(state_dir, 8080, "run", ..., where=left) as unit:
            right.unplug()                                # interface down here, no carrier there
            right.plug_in()
            right.lose(0.2)                               # of what arrives, each way of it

A namespace is named after this process and gone after the test, whatever happened. Without root the test skips; without
the tools it skips with their names, or fails under CI=true.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest

_NAMES = Path("/run/netns")  # where iproute2 keeps them
_CLONE_NEWNET = 0x40000000
_INTERFACE = "cable"

_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


class Namespace:
    """One end of the cable. Programs run in it with `prefix`; HTTP reaches them through `connector`."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address  # of its end of the cable

    @property
    def prefix(self) -> tuple[str, ...]:
        """In front of a command, to run it here: it replaces itself by the command, so the pid is the command's."""
        return ("ip", "netns", "exec", self.name)

    def make(self) -> None:
        made = subprocess.run(["ip", "netns", "add", self.name], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
        self._ip("link", "set", "lo", "up")

    def destroy(self) -> None:
        """The cable goes with its ends."""
        if (_NAMES / self.name).exists():
            self._run("ip", "netns", "delete", self.name)

    def connector(self) -> aiohttp.TCPConnector:
        """For a ClientSession of a test outside: its connections start in this namespace."""
        return aiohttp.TCPConnector(ssl=False, socket_factory=lambda info: self._socket(info[0], info[1], info[2]))

    def unplug(self) -> None:
        self._ip("link", "set", _INTERFACE, "down")

    def plug_in(self) -> None:
        self._ip("link", "set", _INTERFACE, "up")

    def move_to(self, address: str) -> None:
        """Another address, as from another DHCP server: the one before is gone."""
        self._ip("address", "flush", "dev", _INTERFACE)
        self.address = address
        self._ip("address", "add", f"{address}/24", "dev", _INTERFACE)

    def lose(self, share: float) -> None:
        """So much of what arrives over the cable vanishes, 0..1."""
        dropped = f'iifname "{_INTERFACE}" numgen random mod 1000 < {round(share * 1000)} drop'
        chain = f"chain arriving {{\ntype filter hook input priority 0;\n{dropped}\n}}"
        rules = f"table inet wire {{\n{chain}\n}}\n" if share > 0 else ""
        self._run("ip", "netns", "exec", self.name, "nft", "-f", "-", text="flush ruleset\n" + rules)

    def _socket(self, family: int, kind: int, protocol: int) -> socket.socket:
        with self.inside():
            return socket.socket(family, kind, protocol)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """A socket belongs for good to the namespace in which its thread was when it was made: here, in this one."""
        home = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
        there = os.open(_NAMES / self.name, os.O_RDONLY)
        try:
            _enter(there)
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(there)
            os.close(home)

    def _ip(self, *arguments: str) -> None:
        self._run("ip", "-n", self.name, *arguments)

    @staticmethod
    def _run(*command: str, text: str = "") -> None:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns failed")


def require_namespaces() -> None:
    """Skips without root, or where even root may not make a namespace."""
    for tool, package in (("ip", "iproute2"), ("nft", "nftables")):
        if shutil.which(tool) is None:
            reason = f"{tool} is missing: apt-get install {package}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")


@asynccontextmanager
async def cable() -> AsyncIterator[tuple[Namespace, Namespace]]:
    require_namespaces()
    base = f"appliance-{os.getpid()}-{next(_numbers)}"
    left, right = ends = Namespace(f"{base}l", "10.77.0.1"), Namespace(f"{base}r", "10.77.0.2")
    try:
        for end in ends:
            end.make()
        left._ip("link", "add", _INTERFACE, "type", "veth", "peer", "name", _INTERFACE, "netns", right.name)
        for end in ends:
            end.move_to(end.address)
            end.plug_in()
        yield left, right
    finally:
        for end in ends:
            end.destroy()
