"""Improv Wi-Fi on a serial port: a computer with a browser sets the unit up through a USB cable.

The port of a USB gadget (/dev/ttyGS0) is there or not, and hangs up whenever the computer goes: it is opened again and
again. Nothing here waits for the far end: what it does not take is dropped, and it asks again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from provisioning.hostname import Hostname, HostnameError
from provisioning.improv import Action, Ask, Cancel, Command, ErrorCode, Facts, Improv, ImprovError
from provisioning.network import NetworkError, WifiJoin, WifiNetwork
from provisioning.network_check import ssid_text

if TYPE_CHECKING:
    import serial

logger = logging.getLogger(__name__)

BAUD = 115_200
REOPEN_S = 1.0
LOOK_AGAIN_S = 5.0  # at the network, when nothing told of a change
MAX_WAITING = 16 * 1024  # bytes that the far end has not taken: a long scan is 3000
_READ_BYTES = 4096


@dataclass(frozen=True, slots=True)
class UnitInfo:
    """What a client shows of the unit. `chip`: the machine's model."""

    firmware: str
    version: str
    chip: str
    os_name: str
    os_version: str


class ImprovUnit(Protocol):
    """What Improv does with the unit. Used on the event loop."""

    @property
    def info(self) -> UnitInfo: ...

    @property
    def hostname(self) -> Hostname: ...

    async def facts(self) -> Facts: ...

    async def wait_changed(self) -> None:
        """Until `facts` may have changed."""

    async def scan(self) -> list[WifiNetwork]:
        """Raises `NetworkError`."""

    async def join(self, join: WifiJoin) -> None:
        """Raises `NetworkError`; cancelled, all is as before."""

    def name(self) -> str: ...

    async def set_name(self, name: str) -> None:
        """Raises ValueError for what is no name."""


class ImprovSerial:
    """`trouble`: why the port cannot be used; "" while it can, and while it is not there at all."""

    def __init__(self, port: str, unit: ImprovUnit) -> None:
        self.port = port
        self.trouble = ""
        self.is_listening = False
        self._unit = unit

    @property
    def health(self) -> str:
        return f"degraded: {self.trouble}" if self.trouble else "ok"

    async def run(self) -> None:
        """Until cancelled; then the port is closed and nothing is left of a command under way."""
        opening = _opener(self.port)
        if opening is None:
            self.trouble = "Improv: pyserial is not installed; pip install 'room-appliance[pi]'"
            await asyncio.Event().wait()
            return
        while True:
            if await asyncio.to_thread(Path(self.port).exists):
                try:
                    await self._serve(await _in_thread(opening))
                except (OSError, _HungUpError) as exc:  # SerialException is an OSError
                    self._say(exc)
            else:
                self.trouble = ""
            await asyncio.sleep(REOPEN_S)

    async def _serve(self, port: serial.Serial) -> None:
        try:
            conversation = _Conversation(port.fileno(), self._unit)
            self.trouble = ""
            logger.info("Improv listens on %s", self.port)
            self.is_listening = True
            await conversation.run()
        finally:
            self.is_listening = False
            await asyncio.to_thread(port.close)

    def _say(self, error: Exception) -> None:
        if isinstance(error, _HungUpError):
            logger.debug("Improv on %s: the far end hung up", self.port)
            return
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if isinstance(number, int) else " ".join(str(error).split())
        trouble = f"Improv on {self.port}: {reason}; is it free, and this user in the group dialout?"
        if trouble != self.trouble:
            self.trouble = trouble
            logger.warning("%s", trouble)


class _HungUpError(Exception):
    """The computer at the far end is gone."""


class _Conversation:
    """One opening of the port."""

    def __init__(self, fd: int, unit: ImprovUnit) -> None:
        self._fd = fd
        self._unit = unit
        self._machine = Improv()
        self._seen: set[str] = set()
        self._waiting = bytearray()
        self._asked: dict[Ask, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> None:
        self._machine.observe(await self._unit.facts())
        self._loop.add_reader(self._fd, self._read)
        tasks = [
            asyncio.create_task(self._follow(), name="improv-network"),
            asyncio.create_task(self._watch_clock(), name="improv-clock"),
        ]
        try:
            await asyncio.wait([self._over, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            tasks += self._asked.values()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):
                raise result
        self._over.result()

    # --- the port

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # EIO: the far end closed
            data = b""
        if not data:
            self._loop.remove_reader(self._fd)
            if not self._over.done():
                self._over.set_exception(_HungUpError())
            return
        self._act(self._machine.receive(data, time.monotonic()))

    def _write(self) -> None:
        try:
            count = os.write(self._fd, self._waiting)
            del self._waiting[:count]
        except BlockingIOError:
            pass
        except OSError:
            self._waiting.clear()
        if not self._waiting:
            self._loop.remove_writer(self._fd)

    def _act(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Ask():
                    work = self._carry_out(action)
                    self._asked[action] = asyncio.create_task(work, name=f"improv-{action.command.name.lower()}")
                case Cancel(ask):
                    if (task := self._asked.pop(ask, None)) is not None:
                        task.cancel()
                case data if len(self._waiting) + len(data) <= MAX_WAITING:
                    self._waiting += data
        if self._waiting:
            self._loop.add_writer(self._fd, self._write)
        self._wake.set()

    # --- what takes time

    async def _carry_out(self, ask: Ask) -> None:
        try:
            results = await self._answer(ask)
        except ImprovError as exc:
            self._act(self._machine.failed(ask, exc.code))
        except Exception:
            logger.exception("Improv: %s failed", ask.command.name.lower())
            self._act(self._machine.failed(ask, ErrorCode.UNKNOWN))
        else:
            self._act(self._machine.done(ask, results))
        finally:
            self._asked.pop(ask, None)

    async def _answer(self, ask: Ask) -> list[list[str]]:
        unit = self._unit
        match ask.command:
            case Command.WIFI:
                await self._join(ask)
                facts = await unit.facts()
                self._machine.observe(facts)
                return [list(facts.urls)]
            case Command.SCAN:
                return [*map(scan_result, await self._scan()), []]
            case Command.HOSTNAME:
                if ask.text is not None:
                    await self._set_hostname(ask.text)
                return [[unit.hostname.get()]]
            case Command.NAME:
                if ask.text is not None:
                    await self._set_name(ask.text)
                return [[unit.name()]]
        info = unit.info
        return [[info.firmware, info.version, info.chip, unit.name(), info.os_name, info.os_version]]

    async def _join(self, ask: Ask) -> None:
        ssid = ssid_text(ask.ssid)
        logger.info("Improv: into the network %s", ssid)
        try:
            await self._unit.join(WifiJoin(ssid=ssid, password=ask.password, hidden=ssid not in self._seen))
        except NetworkError as exc:
            logger.warning("Improv: not joined: %s", exc)
            raise ImprovError(ErrorCode.UNABLE_TO_CONNECT) from exc

    async def _scan(self) -> list[WifiNetwork]:
        try:
            found = await self._unit.scan()
            self._seen = {network.ssid for network in found}
            return found
        except NetworkError as exc:
            logger.warning("Improv: no scan: %s", exc)
            raise ImprovError(ErrorCode.UNKNOWN) from exc

    async def _set_hostname(self, hostname: str) -> None:
        try:
            await self._unit.hostname.set(hostname)
        except HostnameError as exc:
            logger.warning("Improv: %s", exc)
            raise ImprovError(ErrorCode.BAD_HOSTNAME) from exc

    async def _set_name(self, name: str) -> None:
        try:
            await self._unit.set_name(name)
        except ValueError as exc:
            logger.warning("Improv: %s", exc)
            raise ImprovError(ErrorCode.INVALID_PACKET) from exc

    # --- what comes by itself

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._unit.wait_changed(), LOOK_AGAIN_S)
            self._act(self._machine.observe(await self._unit.facts()))

    async def _watch_clock(self) -> None:
        while True:
            self._wake.clear()
            deadline_s = self._machine.next_deadline_s()
            wait_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                self._act(self._machine.advance(time.monotonic()))


async def _in_thread(opening: Callable[[], serial.Serial]) -> serial.Serial:
    """Opens it; what opens after a cancellation is closed again."""
    opened = asyncio.ensure_future(asyncio.to_thread(opening))
    try:
        return await asyncio.shield(opened)
    except asyncio.CancelledError:
        with suppress(OSError):
            (await opened).close()
        raise


def scan_result(network: WifiNetwork) -> list[str]:
    """SSID, RSSI in dBm, YES when it wants a password. NetworkManager's 0..100 is -100..-50 dBm, 2 points each."""
    return [network.ssid, str(network.signal // 2 - 100), "NO" if network.security == "open" else "YES"]


def _opener(port: str) -> Callable[[], serial.Serial] | None:
    try:
        import serial
    except ImportError:
        return None
    return lambda: serial.Serial(port, BAUD, timeout=0, write_timeout=0, exclusive=True)
