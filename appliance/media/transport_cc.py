"""Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01). Pure.

sender                                          receiver
  SentPackets.sent -> number --- RTP extension ---> ArrivalLog.arrived
  SentPackets.told <----------- RTCP, RTPFB 15 ---- ArrivalLog.feedback, every 50 to 100 ms
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from appliance.media.feedback import PacketFate, TransportReport

URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
FMT = 15  # of RTPFB
_RTPFB = 205
HISTORY = 1 << 12  # packets: five seconds at 8 Mbit/s
WINDOW_S = 0.5  # for so long an arrival is told again with its neighbours
MAX_STATUSES = 400  # in one packet of ours: at most 900 bytes
_REFERENCE_TICKS = 256  # of 0.25 ms in 64 ms
_TICK_S = 0.00025
_LOST, _SMALL, _LARGE = 0, 1, 2
_RUN_LENGTH, _RUN_LIMIT, _ONE_BITS, _TWO_BITS = 7, (1 << 13) - 1, 14, 7


@dataclass(frozen=True, slots=True)
class Statuses:
    """One feedback packet: when each packet from number `base` on arrived, in ticks from `reference`; None: lost."""

    base: int
    reference: int  # 24 bits, in 64 ms
    ticks: tuple[int | None, ...]


def parse(fci: bytes) -> Statuses:
    """Raises ValueError that says what is wrong with it."""
    if len(fci) < 8:
        raise ValueError("transport feedback is shorter than its header")
    base, count = struct.unpack_from("!HH", fci)
    if not 0 < count <= HISTORY:
        raise ValueError(f"transport feedback is about {count} packets")
    symbols: list[int] = []
    at = 8
    while len(symbols) < count:
        if at + 2 > len(fci):
            raise ValueError("transport feedback ends within its status chunks")
        symbols += _symbols(int.from_bytes(fci[at : at + 2], "big"), count - len(symbols))
        at += 2
    ticks: list[int | None] = []
    now = 0
    for symbol in symbols:
        size = symbol if symbol in (_SMALL, _LARGE) else 0
        if at + size > len(fci):
            raise ValueError("transport feedback ends within its arrival times")
        now += int.from_bytes(fci[at : at + size], "big", signed=symbol == _LARGE)
        at += size
        ticks.append(now if size else None)
    return Statuses(base, int.from_bytes(fci[4:7], "big"), tuple(ticks))


def _symbols(chunk: int, most: int) -> list[int]:
    if not chunk & 0x8000:
        symbol = chunk >> 13 & 3
        if symbol == 3:
            raise ValueError("transport feedback with a reserved status")
        return [symbol] * min(most, chunk & _RUN_LIMIT)
    if not chunk & 0x4000:
        return [chunk >> (13 - i) & 1 for i in range(min(most, _ONE_BITS))]
    symbols = [chunk >> (12 - 2 * i) & 3 for i in range(min(most, _TWO_BITS))]
    if 3 in symbols:
        raise ValueError("transport feedback with a reserved status")
    return symbols


def rtcp(fci: bytes, ssrc: int, media_ssrc: int) -> bytes:
    """The whole RTCP packet (RFC 4585 section 6.1)."""
    return struct.pack("!BBHLL", 0x80 | FMT, _RTPFB, 2 + len(fci) // 4, ssrc, media_ssrc) + fci


def build(statuses: Statuses, number: int) -> bytes:
    """The FCI, padded to 32 bits; `number` is that of this feedback packet. Ticks grow by -32768 to 32767 each."""
    symbols, deltas = [], bytearray()
    now = 0
    for ticks in statuses.ticks:
        if ticks is None:
            symbols.append(_LOST)
            continue
        delta, now = ticks - now, ticks
        if 0 <= delta <= 255:
            symbols.append(_SMALL)
            deltas.append(delta)
        else:
            symbols.append(_LARGE)
            deltas += delta.to_bytes(2, "big", signed=True)
    fci = struct.pack("!HH", statuses.base, len(symbols)) + statuses.reference.to_bytes(3, "big") + bytes([number])
    fci += b"".join(chunk.to_bytes(2, "big") for chunk in _chunks(symbols)) + deltas
    return fci + bytes(-len(fci) % 4)


def _chunks(symbols: Sequence[int]) -> Iterator[int]:
    at = 0
    while at < len(symbols):
        symbol, run = symbols[at], 1
        while at + run < len(symbols) and symbols[at + run] == symbol and run < _RUN_LIMIT:
            run += 1
        if run >= _RUN_LENGTH:
            yield symbol << 13 | run
            at += run
            continue
        part = symbols[at : at + _ONE_BITS]
        if _LARGE in part:
            part = symbols[at : at + _TWO_BITS]
            yield 0xC000 | sum(symbol << (12 - 2 * i) for i, symbol in enumerate(part))
        else:
            yield 0x8000 | sum(symbol << (13 - i) for i, symbol in enumerate(part))
        at += len(part)


class SentPackets:
    """What one peer connection sent, by number, until its fate is told."""

    def __init__(self, on_report: Callable[[TransportReport], None] = lambda report: None) -> None:
        self.on_report = on_report
        self.refused = 0  # feedback that was none
        self._next = 0
        self._sent_s = [0.0] * HISTORY
        self._sizes = [0] * HISTORY  # 0: nothing is to be told; less: it was told lost
        self._reference: int | None = None  # of the newest feedback, without wraps

    def sent(self, size_bytes: int, now_s: float) -> int:
        """The number of a packet that goes out now."""
        number = self._next
        self._next = (number + 1) & 0xFFFF
        place = number % HISTORY
        self._sent_s[place] = now_s
        self._sizes[place] = size_bytes
        return number

    def take(self, fci: bytes, now_s: float) -> None:
        """`on_report` of what a feedback packet says."""
        if (report := self.told(fci, now_s)) is not None:
            self.on_report(report)

    def told(self, fci: bytes, now_s: float) -> TransportReport | None:
        """What a feedback packet says; None where it is broken or says nothing new."""
        try:
            statuses = parse(fci)
        except ValueError:
            self.refused += 1
            return None
        reference = self._unwrap(statuses.reference)
        fates: list[PacketFate] = []
        for offset, ticks in enumerate(statuses.ticks):
            number = (statuses.base + offset) & 0xFFFF
            place = number % HISTORY
            size = self._sizes[place]
            if not size or (self._next - 1 - number) & 0xFFFF >= HISTORY:
                continue
            if ticks is not None:
                self._sizes[place] = 0
                arrived_s = (reference * _REFERENCE_TICKS + ticks) * _TICK_S
                fates.append(PacketFate(self._sent_s[place], arrived_s, abs(size)))
            elif size > 0:
                self._sizes[place] = -size
                fates.append(PacketFate(self._sent_s[place], None, size))
        return TransportReport(tuple(fates), now_s) if fates else None

    def _unwrap(self, reference: int) -> int:
        if self._reference is None:
            self._reference = reference
        else:
            self._reference += ((reference - self._reference + (1 << 23)) & 0xFFFFFF) - (1 << 23)
        return self._reference


class ArrivalLog:
    """What one peer connection received, by number."""

    def __init__(self) -> None:
        self._arrived_s: dict[int, float] = {}  # by number without wraps
        self._next: int | None = None  # all before was told
        self._oldest_new: int | None = None
        self._newest = 0
        self._count = 0

    def arrived(self, number: int, now_s: float) -> None:
        if self._next is None:
            self._next = self._newest = unwrapped = number
        else:
            unwrapped = self._newest + ((number - self._newest + (1 << 15)) & 0xFFFF) - (1 << 15)
        if unwrapped in self._arrived_s:
            return
        self._arrived_s[unwrapped] = now_s
        self._newest = max(self._newest, unwrapped)
        self._oldest_new = unwrapped if self._oldest_new is None else min(self._oldest_new, unwrapped)

    def feedback(self, now_s: float) -> list[bytes]:
        """The FCI of each packet to be sent now: none where nothing arrived."""
        if self._oldest_new is None or self._next is None:
            return []
        first = max(min(self._next, self._oldest_new), self._newest - HISTORY // 2)
        packets: list[bytes] = []
        while first <= self._newest:
            statuses = self._statuses(first)
            packets.append(build(statuses, self._count & 0xFF))
            self._count += 1
            first += len(statuses.ticks)
        self._next, self._oldest_new = self._newest + 1, None
        self._arrived_s = {number: at_s for number, at_s in self._arrived_s.items() if now_s - at_s < WINDOW_S}
        return packets

    def _statuses(self, first: int) -> Statuses:
        """From `first` on, as many as fit in a packet: a pause of over 8 s does not."""
        ticks: list[int | None] = []
        reference: int | None = None
        now = 0
        for number in range(first, min(self._newest + 1, first + MAX_STATUSES)):
            arrived_s = self._arrived_s.get(number)
            if arrived_s is None:
                ticks.append(None)
                continue
            arrived = round(arrived_s / _TICK_S)
            if reference is None:
                reference = arrived // _REFERENCE_TICKS
            arrived -= reference * _REFERENCE_TICKS
            if not -(1 << 15) <= arrived - now < 1 << 15:
                break
            ticks.append(arrived)
            now = arrived
        return Statuses(first & 0xFFFF, (reference or 0) & 0xFFFFFF, tuple(ticks))
