"""RTP packets to whole pictures in order, and what to ask the sender for. Pure; times are monotonic seconds.

A picture is handed on with its last packet (the one with the marker bit), not with the first of the next picture. A gap
is asked for again (NACK) until it is `GIVE_UP_S` old; then everything up to the next key frame is dropped and that key
frame is asked for (PLI), again and again until it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

RENACK_S = 0.06  # a round trip and some; the first NACK of a gap goes out without us
GIVE_UP_S = 0.3
REPEAT_PLI_S = 0.5
MAX_PACKETS = 1024  # of one stream: over a second of 720p and its largest key frame
MAX_NACKS = 64  # in one RTCP packet
RESTART_STEP = 3000  # a larger jump in sequence is another stream


@dataclass(frozen=True, slots=True)
class VideoPacket:
    """`data` is the payload without its payload descriptor (RFC 6184, RFC 7741)."""

    sequence_number: int
    timestamp: int
    marker: bool
    data: bytes


@dataclass(slots=True)
class Assembled:
    """What one packet brought: pictures (timestamp, data) in order; and packets or a key frame to ask for."""

    pictures: list[tuple[int, bytes]] = field(default_factory=list)
    nack: list[int] = field(default_factory=list)
    pli: bool = False


class VideoAssembler:
    """One stream. `dropped` counts packets that came and were not handed on."""

    def __init__(self, is_keyframe: Callable[[bytes], bool]) -> None:
        self.dropped = 0
        self._is_keyframe = is_keyframe
        self._packets: dict[int, VideoPacket] = {}  # by extended sequence number
        self._next: int | None = None  # the first packet of the next picture
        self._highest = 0
        self._gap_s: float | None = None  # since when the next picture waits for a lost packet
        self._nacked_s = 0.0
        self._abandoned: int | None = None  # timestamp of a picture that was given up: what is left of it is of no use
        self._needs_keyframe = True
        self._asked_s: float | None = None

    def add(self, packet: VideoPacket, now_s: float) -> Assembled:
        """Takes a packet in any order; double and late ones are dropped."""
        result = Assembled()
        if self._next is None:
            self._next = self._highest = packet.sequence_number
            self._asked_s = now_s  # a sender begins with a key frame by itself
        step = (packet.sequence_number - self._highest + 0x8000) % 0x10000 - 0x8000
        extended = self._highest + step
        if abs(step) > RESTART_STEP:
            self._packets.clear()
            self._next = self._highest = extended = packet.sequence_number
            self._lose()
        if extended < self._next or extended in self._packets:
            self.dropped += 1
            return result
        self._packets[extended] = packet
        self._highest = max(self._highest, extended)
        while (end := self._end_of_picture()) is not None:
            self._hand_on(end, result)
        self._mind_the_gap(result, now_s)
        if self._needs_keyframe and (self._asked_s is None or now_s - self._asked_s >= REPEAT_PLI_S):
            self._asked_s = now_s
            result.pli = True
        return result

    def _end_of_picture(self) -> int | None:
        """The sequence number after the next picture, if that is complete."""
        assert self._next is not None
        first = self._packets.get(self._next)
        if first is None:
            return None
        number = self._next
        while (packet := self._packets.get(number)) is not None:
            if packet.timestamp != first.timestamp:
                return number  # its sender sets no marker
            number += 1
            if packet.marker:
                return number
        return None

    def _hand_on(self, end: int, result: Assembled) -> None:
        assert self._next is not None
        packets = [self._packets.pop(number) for number in range(self._next, end)]
        self._next = end
        data = b"".join(packet.data for packet in packets)
        if not data:
            return  # padding, by which a sender probes the link
        if packets[0].timestamp == self._abandoned or (self._needs_keyframe and not self._is_keyframe(data)):
            self.dropped += len(packets)
            return
        self._needs_keyframe, self._abandoned = False, None
        result.pictures.append((packets[0].timestamp, data))

    def _mind_the_gap(self, result: Assembled, now_s: float) -> None:
        assert self._next is not None
        missing = []
        if self._packets:
            missing = [number for number in range(self._next, self._highest) if number not in self._packets]
        if not missing:
            self._gap_s = None
            return
        if self._gap_s is None:
            self._gap_s = self._nacked_s = now_s
        if now_s - self._gap_s > GIVE_UP_S or len(self._packets) > MAX_PACKETS:
            self._abandoned = self._packets[self._highest].timestamp
            self.dropped += len(self._packets)
            self._packets.clear()
            self._next = self._highest + 1
            self._lose()
        elif now_s - self._nacked_s >= RENACK_S:
            self._nacked_s = now_s
            result.nack = [number & 0xFFFF for number in missing[:MAX_NACKS]]

    def _lose(self) -> None:
        self._gap_s = self._asked_s = None
        self._needs_keyframe = True
