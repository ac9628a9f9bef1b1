"""RTP packets to a UDP socket: encrypted in place, and those that are put together leave with one system call.

`protect` of pylibsrtp allocates and copies three times, a system call for each packet of a picture costs four times one
for all of them (UDP_SEGMENT, Linux 4.18). Both fall back: what the kernel refuses to cut up is sent piece by piece.
"""

from __future__ import annotations

import errno
import logging
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from pylibsrtp import Session
from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]  # compiled

from appliance.media.rtp_out import segments

logger = logging.getLogger(__name__)

MAX_PACKETS = 40  # together; the kernel takes 64 and 65,507 bytes
MAX_PACKET_BYTES = 1500
_SLOT_BYTES = 2048  # aligned, with room for SRTP's trailer
_UDP_SEGMENT = 103  # linux/udp.h
_NOT_CUT = frozenset(  # no such option, a network card without checksums, a path with a smaller MTU
    (errno.EIO, errno.EINVAL, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EMSGSIZE)
)
_memory = bytearray(MAX_PACKETS * _SLOT_BYTES)  # shared by all ports: nobody else runs between `put` and `flush`
_SLOTS: tuple[tuple[memoryview, Any], ...] = tuple(
    (memoryview(_memory)[at : at + _SLOT_BYTES], ffi.from_buffer(_memory) + at)
    for at in range(0, len(_memory), _SLOT_BYTES)
)
_length = ffi.new("int *")
_protect = lib.srtp_protect

Route = tuple[Any, tuple[str, int]]  # an asyncio.DatagramTransport, or a relay's that looks like one


class RtpPort:
    """All RTP that one peer connection sends. Used on the event loop; between `put` and `flush` nothing is awaited."""

    def __init__(self) -> None:
        self.refused = 0  # packets that SRTP did not take, or that had no way to go
        self.packets = self.bytes = 0  # sent, as SRTP
        self.cuts = True  # the kernel cuts up what is sent together
        self._srtp: Any = None
        self._session: Session | None = None
        self._route: Callable[[], Route | None] = lambda: None
        self._packets: list[memoryview] = []

    def open(self, session: Session, route: Callable[[], Route | None]) -> None:
        """`session` encrypts what is sent; `route` says where to, None while there is no way."""
        self._session = session  # keeps alive what `_srtp` points to
        self._srtp = session._srtp[0]
        self._route = route

    def put(self, header: bytes | bytearray, payload: bytes) -> None:
        packets = self._packets
        if len(packets) == MAX_PACKETS:
            self.flush()
        start = len(header)
        size = start + len(payload)
        if size > MAX_PACKET_BYTES or self._srtp is None:
            self.refused += 1
            return
        view, pointer = _SLOTS[len(packets)]
        view[:start] = header
        view[start:size] = payload
        _length[0] = size
        if _protect(self._srtp, pointer, _length):
            self.refused += 1
            return
        packets.append(view[: _length[0]])

    def flush(self) -> None:
        packets = self._packets
        if not packets:
            return
        route = self._route()
        if route is None:
            self.refused += len(packets)
            packets.clear()
            return
        sizes = [len(packet) for packet in packets]
        self.packets += len(sizes)
        self.bytes += sum(sizes)
        transport, address = route
        # Only asyncio's own sockets take it at once, and only while nothing waits before them.
        sock: socket.socket | None = getattr(transport, "_sock", None)
        if sock is None or transport.get_write_buffer_size():
            self._hand_over(packets, route)
        elif len(sizes) == 1:
            try:
                sock.sendto(packets[0], address)
            except OSError:
                self._hand_over(packets, route)
        else:
            self._send_together(sock, sizes, route)
        packets.clear()

    def _send_together(self, sock: socket.socket, sizes: list[int], route: Route) -> None:
        at = 0
        for count, size in segments(sizes) if self.cuts else ((1, size) for size in sizes):
            together = self._packets[at : at + count]
            at += count
            options = [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("H", size))] if count > 1 else []
            try:
                sock.sendmsg(together, options, 0, route[1])
            except OSError as exc:
                if exc.errno in _NOT_CUT and self.cuts:
                    logger.debug("packets leave one by one from here: %s", exc)
                    self.cuts = False
                self._hand_over(self._packets[at - count :], route)
                return

    def _hand_over(self, packets: Sequence[memoryview], route: Route) -> None:
        """To whoever keeps what cannot go now."""
        transport, address = route
        for packet in packets:
            transport.sendto(bytes(packet), address)
