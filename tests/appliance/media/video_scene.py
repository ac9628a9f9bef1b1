"""A video call on a virtual clock: a sender that answers NACK and PLI, a bad link, and a VideoAssembler. Seeded."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.media.assembler import Assembled, CodedPicture, VideoAssembler, VideoPacket
from appliance.media.depacketize import Part

HISTORY = 128  # packets that a sender can send again, as aiortc's
KEYFRAME_INTERVAL_S = 0.5
ENCODE_S = 0.008


@dataclass(frozen=True)
class Link:
    """Both ways the same."""

    delay_s: float = 0.025
    loss: float = 0.0
    jitter_s: float = 0.0  # up to so much later, each packet for itself: they overtake each other
    spread_s: float = 0.0  # the same, of all packets sent in 10 ms: they do not
    duplicates: float = 0.0
    bursts: tuple[tuple[float, float], ...] = ()  # from, to: nothing passes


@dataclass(frozen=True)
class Source:
    fps: float = 30.0
    packets: int = 6  # of a picture, on average
    keyframe_packets: int = 40
    pace_s: float = 0.0002  # from one packet to the next
    resend_spacing_s: float = 0.0  # a packet is not sent again sooner, as Chromium does
    pauses: tuple[tuple[float, float], ...] = ()  # no pictures
    rtx: bool = True


@dataclass
class Shown:
    """What came of it. `delays_s`: from sending a picture to handing it on."""

    times_s: list[float] = field(default_factory=list)
    delays_s: list[float] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    sent_packets: int = 0
    resent_packets: int = 0
    nacks: int = 0
    plis: int = 0
    keyframes: int = 0
    ticks: int = 0
    pictures: list[CodedPicture] = field(default_factory=list)

    def gaps_s(self) -> list[float]:
        return [after - before for before, after in zip(self.times_s, self.times_s[1:], strict=False)]

    def freezes(self, over_s: float = 0.15) -> int:
        return sum(gap_s > over_s for gap_s in self.gaps_s())

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.delays_s)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Scene:
    """Run it once: `play(seconds)`."""

    def __init__(self, link: Link, source: Source | None = None, *, seed: int = 1, rtt_known: bool = True) -> None:
        self.link, self.source = link, source or Source()
        self.assembler = VideoAssembler()
        self.assembler.watch(0.0)
        if rtt_known:
            self.assembler.set_rtt(2 * link.delay_s)
        self.shown = Shown()
        self.sizes: dict[int, int] = {}  # of each picture that was sent, in bytes
        self.now_s = 0.0
        self._random = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._tick_s: float | None = None
        self._sequence = 65_500
        self._history: dict[int, VideoPacket] = {}
        self._resent_s: dict[int, float] = {}
        self._sent_s: dict[int, float] = {}  # by picture
        self._keyframe_wanted = True
        self._keyframe_s = -1.0

    def sent_between(self, first: int, last: int) -> bool:
        """Whether a picture was sent after `first` and before `last`."""
        return any(first < number < last for number in self.sizes)

    def play(self, seconds: float, since_s: float = 0.0) -> Shown:
        """Until `seconds`; again with that as `since_s` to go on."""
        for number in range(int(since_s * self.source.fps), int(seconds * self.source.fps)):
            at_s = number / self.source.fps
            if not any(start_s <= at_s < end_s for start_s, end_s in self.source.pauses):
                self._at(at_s, lambda number=number: self._picture(number))  # type: ignore[misc]
        while self._events and self._events[0][0] < seconds:
            self.now_s, _, action = heapq.heappop(self._events)
            action()
        return self.shown

    def _at(self, at_s: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (at_s, self._count, action))

    # --- the sender

    def _picture(self, number: int) -> None:
        source, rng = self.source, self._random
        keyframe = self._keyframe_wanted and self.now_s - self._keyframe_s >= KEYFRAME_INTERVAL_S
        if keyframe:
            self._keyframe_wanted, self._keyframe_s = False, self.now_s
            self.shown.keyframes += 1
        count = source.keyframe_packets if keyframe else max(1, round(rng.gauss(source.packets, source.packets / 4)))
        self._sent_s[number] = self.now_s
        data = number.to_bytes(4, "big")
        self.sizes[number] = count * len(data)
        for index in range(count):
            part = Part(data, index == 0, keyframe and index == 0, keyframe)
            self._sequence = (self._sequence + 1) & 0xFFFF
            packet = VideoPacket(
                self._sequence, round(number * 90_000 / source.fps) & 0xFFFFFFFF, index == count - 1, part
            )
            self._at(self.now_s + ENCODE_S + index * source.pace_s, lambda packet=packet: self._send(packet))  # type: ignore[misc]

    def _send(self, packet: VideoPacket, *, again: bool = False) -> None:
        if again:
            packet = VideoPacket(packet.sequence_number, packet.timestamp, packet.marker, packet.part, self.source.rtx)
            self.shown.resent_packets += 1
        else:
            self._history[packet.sequence_number % HISTORY] = packet
            self.shown.sent_packets += 1
        self._pass(lambda: self._arrive(packet))

    def _nacked(self, numbers: list[int]) -> None:
        for number in numbers:
            packet = self._history.get(number % HISTORY)
            if packet is not None and packet.sequence_number == number:
                if self.now_s - self._resent_s.get(number, -1.0) < self.source.resend_spacing_s:
                    continue
                self._resent_s[number] = self.now_s
                self._send(packet, again=True)

    def _want_keyframe(self) -> None:
        self._keyframe_wanted = True

    # --- the link

    def _pass(self, action: Callable[[], None]) -> None:
        link, rng = self.link, self._random
        for copy in range(1 + (rng.random() < link.duplicates)):
            if rng.random() < link.loss or any(start_s <= self.now_s < end_s for start_s, end_s in link.bursts):
                continue
            shared = random.Random(int(self.now_s * 100)).random() * link.spread_s
            self._at(self.now_s + link.delay_s + shared + rng.random() * link.jitter_s + copy * 0.001, action)

    # --- the receiver

    def _arrive(self, packet: VideoPacket) -> None:
        self._take(self.assembler.add(packet, self.now_s))

    def _tick(self) -> None:
        if self._tick_s is not None and self.now_s >= self._tick_s:
            self._tick_s = None
            self.shown.ticks += 1
            self._take(self.assembler.tick(self.now_s))

    def _take(self, result: Assembled) -> None:
        shown = self.shown
        for picture in result.pictures:
            number = int.from_bytes(picture.data[:4], "big")
            shown.times_s.append(self.now_s)
            shown.delays_s.append(self.now_s - self._sent_s[number])
            shown.numbers.append(number)
            shown.pictures.append(picture)
        if result.nack:
            shown.nacks += len(result.nack)
            self._pass(lambda: self._nacked(result.nack))
        if result.pli:
            shown.plis += 1
            self._pass(self._want_keyframe)
        due_s = self.assembler.due_s
        if due_s is not None and (self._tick_s is None or due_s < self._tick_s):
            self._tick_s = max(due_s, self.now_s + 1e-6)
            self._at(self._tick_s, self._tick)
