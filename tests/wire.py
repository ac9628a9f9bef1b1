"""A user-space UDP relay on 127.0.0.1 between two media endpoints: loss, bursts of it, delay, jitter, reordering,
duplicates, rates, cuts; no privileges.

    with Wire() as wire:
        answer = await down.answer(wire.route(await up.offer()))
        await up.accept(wire.route(answer))
        wire.loss, wire.delay_s = 0.02, 0.025
        wire.cut = True

`route` replaces every UDP candidate of an SDP with a port of the relay and leaves all others out, so that no packet can
take another way: what comes to that port goes to the candidate it stands for. Each source that sends there gets a
port of its own on the far side, as behind a NAT, by which answers come back. A candidate that hides behind an mDNS
name (`.local`) is left out; its owner is found by its own checks, which come through the relay.

A packet of a routed call passes one relayed port, so `loss` and `delay_s` apply once in each direction.
Everything happens on the running event loop. `seed` makes the loss the same in each run.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from types import TracebackType

Address = tuple[str, int]

_BURST = 64  # packets read at once before others get their turn
_BUFFER_BYTES = 1 << 20  # a key frame comes at once
QUEUE_S = 0.5  # before a limited rate, as in a home router
REORDER_S = 0.02


class Wire:
    """The attributes may be changed at any time and hold for the packets that come from then on."""

    def __init__(self, *, seed: int = 1) -> None:
        self.loss = 0.0  # share of the packets that vanish, 0..1
        self.delay_s = 0.0
        self.jitter_s = 0.0  # up to so much more delay, evenly spread: packets may overtake each other
        self.bursts: tuple[float, float] | None = None  # every so many seconds nothing passes for so many
        self.reorder = 0.0  # share of the packets that are held up for REORDER_S: later ones overtake them
        self.duplicate = 0.0  # share of the packets that come twice
        self.cut = False  # nothing passes
        self.rate_bps: float | None = (
            None  # of each direction of each relayed port; what waits longer than QUEUE_S is lost
        )
        self.shared = False  # the rate is one for everything, as on the way into a home
        self.drop: Callable[[bytes], bool] = lambda data: False  # asked for each packet beside `loss`
        self.forwarded = 0
        self.dropped = 0
        self._random = random.Random(seed)
        self._loop = asyncio.get_running_loop()
        self._sockets: set[socket.socket] = set()
        self._free_s: dict[socket.socket | None, float] = {}  # when a port that is limited can send on; None: them all

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Everything on the way is lost."""
        for sock in self._sockets:
            self._loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()

    def route(self, sdp: str) -> str:
        """The same SDP with its owner reached through the relay."""
        return "".join(routed for line in sdp.splitlines(keepends=True) if (routed := self._route_line(line)))

    def _route_line(self, line: str) -> str:
        if not line.startswith("a=candidate:"):
            return line
        parts = line.split(" ")
        host, port = parts[4], int(parts[5])
        if parts[2].lower() != "udp" or host.endswith(".local") or ":" in host:
            return ""
        parts[4], parts[5] = "127.0.0.1", str(self._open((host, port)))
        return " ".join(parts)

    def _open(self, target: Address) -> int:
        """A port that stands for `target`."""
        near = self._bind()
        far: dict[Address, socket.socket] = {}  # by who sent

        def outward(data: bytes, source: Address) -> None:
            if source not in far:
                sock = far[source] = self._bind()
                self._listen(sock, lambda answer, _: self._pass(near, answer, source))
            self._pass(far[source], data, target)

        self._listen(near, outward)
        port: int = near.getsockname()[1]
        return port

    def _bind(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        sock.bind(("127.0.0.1", 0))
        self._sockets.add(sock)
        return sock

    def _listen(self, sock: socket.socket, receive: Callable[[bytes, Address], None]) -> None:
        def readable() -> None:
            for _ in range(_BURST):
                try:
                    data, source = sock.recvfrom(2048)
                except OSError:  # drained, or the far side's port is gone
                    return
                receive(data, source)

        self._loop.add_reader(sock, readable)

    def _pass(self, sock: socket.socket, data: bytes, to: Address) -> None:
        if self.cut or self._in_burst() or self._random.random() < self.loss or self.drop(data):
            self.dropped += 1
            return
        self._forward(sock, data, to)
        if self._random.random() < self.duplicate:
            self._forward(sock, data, to)

    def _in_burst(self) -> bool:
        if self.bursts is None:
            return False
        every_s, length_s = self.bursts
        return self._loop.time() % every_s < length_s

    def _forward(self, sock: socket.socket, data: bytes, to: Address) -> None:
        delay_s = self.delay_s + self._random.random() * self.jitter_s
        if self._random.random() < self.reorder:
            delay_s += REORDER_S
        if self.rate_bps is not None:
            queue = None if self.shared else sock
            waits_s = max(0.0, self._free_s.get(queue, 0.0) - self._loop.time())
            if waits_s > QUEUE_S:
                self.dropped += 1
                return
            delay_s += waits_s + 8 * len(data) / self.rate_bps
            self._free_s[queue] = self._loop.time() + waits_s + 8 * len(data) / self.rate_bps
        self.forwarded += 1
        if delay_s > 0:
            self._loop.call_later(delay_s, self._send, sock, data, to)
        else:
            self._send(sock, data, to)

    def _send(self, sock: socket.socket, data: bytes, to: Address) -> None:
        if sock in self._sockets and not self.cut:
            try:
                sock.sendto(data, to)
            except OSError:
                self.dropped += 1
