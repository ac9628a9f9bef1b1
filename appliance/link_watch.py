"""Tells the call when the network has come back or an address has gone, so that nothing waits for a timer.

`Network` is the pure part. What counts as back: an interface that starts to carry packets, an address or a route that
was not there. What is repeated (leases renewed, router advertisements) is no news. An address counts as gone only after
`GONE_S`: many a DHCP client takes it away and gives the same one again, and connections live through that.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hw.netlink import AddressChange, Change, LinkChange, NetlinkError, RouteChange, listen, netlink_socket

logger = logging.getLogger(__name__)

SETTLE_S = 0.1  # a link that comes up brings its routes within milliseconds: one piece of news
GONE_S = 1.0


@dataclass(frozen=True, slots=True)
class NetworkNews:
    """`back`: what failed may work now. `gone`: addresses that connections cannot use any more."""

    back: bool = False
    gone: frozenset[str] = frozenset()


class Network:
    """What is known of links, addresses and routes, and which news is due when. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._running: set[int] = set()  # by index: one of a link that comes again is new
        self._present: set[tuple[int, str] | RouteChange] = set()
        self._gone_s: dict[str, float] = {}
        self._back_s: float | None = None

    def take(self, changes: Iterable[Change], now_s: float) -> None:
        for change in changes:
            match change:
                case LinkChange():
                    if change.running and change.index not in self._running:
                        self._came_back(now_s)
                    (self._running.add if change.running else self._running.discard)(change.index)
                case AddressChange(present=True):
                    self._gone_s.pop(change.address, None)
                    self._add((change.index, change.address), now_s)
                case AddressChange():
                    self._present.discard((change.index, change.address))
                    self._gone_s.setdefault(change.address, now_s + GONE_S)
                case RouteChange(present=True):
                    self._add(change, now_s)
                case RouteChange():
                    self._present.discard(RouteChange(change.destination, change.gateway, change.index, True))

    def missed(self, now_s: float) -> None:
        """Changes were lost: anything may be different."""
        self._running.clear()
        self._present.clear()
        self._came_back(now_s)

    def due_s(self) -> float | None:
        """When `news` is worth a look."""
        times = [*self._gone_s.values(), *([self._back_s] if self._back_s is not None else [])]
        return min(times, default=None)

    def news(self, now_s: float) -> NetworkNews | None:
        """What is due, once."""
        gone = frozenset(address for address, at_s in self._gone_s.items() if at_s <= now_s)
        for address in gone:
            del self._gone_s[address]
        back = self._back_s is not None and self._back_s <= now_s
        if back:
            self._back_s = None
        return NetworkNews(back, gone) if back or gone else None

    def _add(self, key: tuple[int, str] | RouteChange, now_s: float) -> None:
        if key not in self._present:
            self._present.add(key)
            self._came_back(now_s)

    def _came_back(self, now_s: float) -> None:
        if self._back_s is None:
            self._back_s = now_s + SETTLE_S


class LinkWatch:
    """A child of the unit: runs until cancelled, and ends by itself where the kernel does not tell."""

    def __init__(
        self, tell: Callable[[NetworkNews], None], open_socket: Callable[[], socket.socket] = netlink_socket
    ) -> None:
        self._tell = tell
        self._open_socket = open_socket
        self._network = Network()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        try:
            kernel = self._open_socket()
        except OSError as exc:
            logger.warning("the kernel does not tell about the network (%s): timers alone bring the call back", exc)
            return
        with kernel:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(kernel), name="link-watch-listen")
                tasks.create_task(self._report(), name="link-watch-report")

    async def _listen(self, kernel: socket.socket) -> None:
        while True:
            try:
                async for changes in listen(kernel):
                    self._network.take(changes, time.monotonic())
                    self._changed.set()
            except NetlinkError as exc:
                logger.warning("the kernel's message is not understood: %s", exc)
            except OSError as exc:
                if exc.errno != errno.ENOBUFS:
                    raise
                self._network.missed(time.monotonic())
                self._changed.set()

    async def _report(self) -> None:
        while True:
            self._changed.clear()
            due_s = self._network.due_s()
            try:
                async with asyncio.timeout(None if due_s is None else max(0.0, due_s - time.monotonic())):
                    await self._changed.wait()
            except TimeoutError:
                pass
            news = self._network.news(time.monotonic())
            if news is not None:
                logger.info("network: %s", _words(news))
                self._tell(news)


def _words(news: NetworkNews) -> str:
    parts = ["back"] if news.back else []
    if news.gone:
        parts.append(f"without {', '.join(sorted(news.gone))}")
    return ", ".join(parts)
