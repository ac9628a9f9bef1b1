"""Forward error correction of pictures: the XOR of some packets, out of which any one of them comes back. Pure.

RTP payload of `x-parity`, between units; its timestamp is the picture's, its stream that of retransmissions:

    2 bytes   sequence number of the first packet, of several in a row
    1 byte    1 bit: the last one ends the picture; 7 bits: how many they are
    the rest  XOR of each one's length in 2 bytes and its payload; shorter ones are padded with zeros

A lost packet is there with the next one, not a round trip later. What is coded is the payload as it is on the wire, so
that it is made once for all legs, encrypted pictures too. RFC 8627 would protect header extensions as well, of which
each leg has its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

CODEC = "x-parity"
MIN_LOSS, ENOUGH_LOSS = 0.005, 0.01  # begins with the larger, ends with the smaller
RISE, FALL = 0.5, 0.1  # of a difference, with each report
TOLERATED = 0.2  # of all groups, about, lose one packet or more
MIN_GROUP, MAX_GROUP = 4, 10
MAX_COUNT = 127
KEPT = 256  # packets: about a second
WAITING = 32  # groups that miss more than one
HEADER_BYTES = 3


class ParityError(ValueError):
    """This is no parity of what came. The message says why."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A packet that was lost."""

    number: int
    timestamp: int
    marker: bool
    payload: bytes


class Protection:
    """How many packets one parity is for: the more get lost, the fewer. 0: nothing is to be protected."""

    def __init__(self) -> None:
        self.group = 0
        self._loss = 0.0

    def report(self, loss: float) -> None:
        """What a receiver lost lately, 0..1."""
        self._loss += (RISE if loss > self._loss else FALL) * (loss - self._loss)
        if self._loss < (MIN_LOSS if self.group else ENOUGH_LOSS):
            self.group = 0
        else:
            self.group = max(MIN_GROUP, min(MAX_GROUP, round(TOLERATED / self._loss)))

    @property
    def media_share(self) -> float:
        """Of what is sent, parities included."""
        return 1 / (1 + 1 / self.group) if self.group else 1.0


def groups(packets: int, size: int) -> list[tuple[int, int]]:
    """A picture's packets, from and up to, in groups of about `size` that are equally large."""
    count = max(1, (2 * packets + size) // (2 * size))
    return [(at * packets // count, (at + 1) * packets // count) for at in range(count)]


def parity(number: int, payloads: Sequence[bytes], *, ends: bool) -> bytes:
    """Of packets that begin with this sequence number; `ends`: the last one has the marker bit."""
    return (number & 0xFFFF).to_bytes(2, "big") + bytes([ends << 7 | len(payloads)]) + _xor(payloads)


class Recovery:
    """Of one stream. What comes goes in, in any order; what was lost comes out."""

    def __init__(self) -> None:
        self._packets: dict[int, bytes] = {}
        self._order: deque[int] = deque()
        self._waiting: deque[_Group] = deque(maxlen=WAITING)

    def packet(self, number: int, payload: bytes) -> list[Recovered]:
        """Of the media stream, sent again or not."""
        if number not in self._packets:
            self._order.append(number)
            if len(self._order) > KEPT:
                del self._packets[self._order.popleft()]
        self._packets[number] = payload
        return self._look() if any(group.covers(number) for group in self._waiting) else []

    def parity(self, timestamp: int, data: bytes) -> list[Recovered]:
        """ParityError for one that cannot be, now or later."""
        if len(data) < HEADER_BYTES + 2:
            raise ParityError(f"{len(data)} bytes are no parity")
        count = data[2] & 0x7F
        if not count:
            raise ParityError("a parity of nothing")
        self._waiting.append(_Group(int.from_bytes(data[:2], "big"), count, data[2] > 0x7F, timestamp, data[3:]))
        return self._look()

    def _look(self) -> list[Recovered]:
        recovered = []
        fault: ParityError | None = None
        for _ in range(len(self._waiting)):
            group = self._waiting.popleft()
            numbers = [(group.number + at) & 0xFFFF for at in range(group.count)]
            missing = [number for number in numbers if number not in self._packets]
            if len(missing) > 1:
                self._waiting.append(group)
            elif missing:
                others = [self._packets[number] for number in numbers if number != missing[0]]
                try:
                    payload = _missing(group.data, others)
                except ParityError as exc:
                    fault = exc
                    continue
                marker = group.ends and missing[0] == numbers[-1]
                recovered.append(Recovered(missing[0], group.timestamp, marker, payload))
        if fault is not None and not recovered:
            raise fault
        return recovered


@dataclass(frozen=True, slots=True)
class _Group:
    number: int
    count: int
    ends: bool
    timestamp: int
    data: bytes

    def covers(self, number: int) -> bool:
        return (number - self.number) & 0xFFFF < self.count


def _xor(payloads: Sequence[bytes]) -> bytes:
    coded = 0
    for payload in payloads:  # little-endian: the shorter one's missing bytes are zeros
        coded ^= int.from_bytes(len(payload).to_bytes(2, "big") + payload, "little")
    return coded.to_bytes(2 + max(map(len, payloads), default=0), "little")


def _missing(data: bytes, others: Sequence[bytes]) -> bytes:
    coded = int.from_bytes(data, "little") ^ int.from_bytes(_xor(others), "little")
    if coded.bit_length() > 8 * len(data):
        raise ParityError("a packet is longer than the parity of it")
    plain = coded.to_bytes(len(data), "little")
    length = int.from_bytes(plain[:2], "big")
    payload = plain[2 : 2 + length]
    if not 0 < length <= len(data) - 2 or any(plain[2 + length :]):
        raise ParityError(f"a lost packet of {length} bytes in a parity of {len(data) - 2}")
    return payload
