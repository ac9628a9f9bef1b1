"""Talking to systemd: $NOTIFY_SOCKET (sd_notify(3)), its watchdog (sd_watchdog_enabled(3)), sockets that it passes."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

_FIRST_PASSED = 3  # SD_LISTEN_FDS_START


class Notifier:
    """Datagrams to the service manager; nothing here blocks or raises, whatever becomes of the socket."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(environ) if address else None
        if address[:1] in ("@", "/"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        elif address:
            logger.warning("NOTIFY_SOCKET=%s is neither a path nor an abstract socket: not used", address)

    def ready(self, status: str = "") -> None:
        """The program does what it is there for."""
        self._send("READY=1", status)

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send("", status)

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, state: str, status: str = "") -> None:
        if self._socket is None:
            return
        lines = [line for line in (state, f"STATUS={' '.join(status.split())}" if status else "") if line]
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError as exc:  # a full queue too: the next one gets through, or the watchdog strikes as it should
            logger.warning("sd_notify %s: %s", lines[0] if lines else "", exc)


def passed_sockets(environ: Mapping[str, str] = os.environ) -> dict[str, socket.socket]:
    """The listening sockets that systemd has bound for this process, by FileDescriptorName= (sd_listen_fds(3)).

    The caller owns them; ask once. Nothing when they are meant for another process.
    """
    try:
        count, process_id = int(environ.get("LISTEN_FDS", "0")), int(environ.get("LISTEN_PID", "0"))
    except ValueError:
        return {}
    if process_id != os.getpid():
        return {}
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    passed = {}
    for name, descriptor in zip(names, range(_FIRST_PASSED, _FIRST_PASSED + count), strict=False):
        os.set_inheritable(descriptor, False)
        passed[name] = socket.socket(fileno=descriptor)
        passed[name].setblocking(False)
    return passed


async def feed_watchdog(notifier: Notifier, healthy: Callable[[], bool]) -> None:
    """Send WATCHDOG=1 twice in each watchdog period while `healthy()` holds; for ever, idle without a watchdog.

    It runs on the event loop, so a loop that hangs feeds nothing either.
    """
    if notifier.watchdog_s is None:
        await asyncio.Event().wait()
        return
    was_healthy = True
    while True:
        is_healthy = healthy()
        if is_healthy:
            notifier.watchdog()
        elif was_healthy:
            logger.error("unhealthy: the watchdog is not fed until this changes")
        was_healthy = is_healthy
        await asyncio.sleep(notifier.watchdog_s / 2)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """$WATCHDOG_USEC in seconds, when it is meant for this process."""
    try:
        period_us = int(environ.get("WATCHDOG_USEC", "0"))
        process_id = int(environ.get("WATCHDOG_PID", "0"))
    except ValueError:
        return None
    return period_us / 1e6 if period_us > 0 and process_id in (0, os.getpid()) else None
