"""RTP packets to whole pictures in order, and what to ask the sender for. Pure; times are monotonic seconds.

A picture is handed on with its last packet (the one with the marker bit), not with the first of the next picture. At a
gap the choice is by what playing on would cost:

    nothing     a whole key frame lies behind the gap, or what was lost is something that no other picture refers to:
                go on there at once
    a wait      ask for the lost packets (NACK) until they come
    a key frame after `patience_s` ask for one (PLI) as well, and take what comes first; at once where there is more to
                be sent again than a key frame has
"""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.media.depacketize import Part
from appliance.media.nack import NackList
from appliance.media.pli import KeyframeWish
from appliance.media.references import References

GIVE_UP_S = 1.5  # of asking for one packet
MIN_PATIENCE_S, MAX_PATIENCE_S = 0.2, 0.5
FIRST_KEYFRAME_S = 0.5  # a sender begins with a key frame by itself
MAX_PACKETS = 1024  # of one stream: over a second of 720p and its largest key frame
MAX_LOST = 100  # in one gap, or twice a key frame: to send so much again takes longer than to begin anew
RESTART_STEP = 3000  # a larger jump in sequence is another stream
START_REORDER = 100  # packets that came after the first one, and were sent before
UNWATCHED_GAP_S = 0.05  # for packets that overtake each other
CLOCK_HZ = 90_000
MIN_TAIL_S, MAX_TAIL_S = 0.006, 0.040  # from one packet of a picture to the next
TAIL_REQUESTS = 3
PARITY_S = 0.006  # until the parity of a packet that was overtaken has come
MAX_INTERVAL_S = 1.0  # of pictures


@dataclass(slots=True)
class VideoPacket:
    """`retransmitted`: it came over RTX. A part without data is padding."""

    sequence_number: int
    timestamp: int
    marker: bool
    part: Part
    retransmitted: bool = False


@dataclass(slots=True)
class CodedPicture:
    """What an encoder made of one picture. `first_s` and `complete_s`: when its first and last packet came."""

    timestamp: int
    data: bytes
    keyframe: bool
    first_s: float
    complete_s: float


@dataclass(slots=True)
class Assembled:
    """What a packet or some time brought: pictures in order; sequence numbers and a key frame to ask for."""

    pictures: list[CodedPicture] = field(default_factory=list)
    nack: list[int] = field(default_factory=list)  # ascending
    pli: bool = False


NOTHING = Assembled()  # of most packets


class VideoAssembler:
    """One stream. `add` what comes, and `tick` at `due_s`.

    While nobody `watch`es, nothing is asked for and a gap holds nothing up. `dropped` counts packets that were not
    handed on, `undecodable` whole pictures.
    """

    def __init__(self) -> None:
        self.dropped = self.undecodable = 0
        self._nacks, self._wish, self._references = NackList(), KeyframeWish(), References()
        self._watched = False
        self._packets: dict[int, tuple[VideoPacket, float]] = {}  # by extended sequence number, with the arrival
        self._next: int | None = None  # the first packet of the next picture
        self._reach = 0  # the first after it that has not come
        self._highest = 0
        self._keyframe_at: int | None = None  # where behind a gap a key frame begins
        self._keyframe_packets = 0
        self._abandoned: int | None = None  # timestamp of a picture that was given up: what is left of it is of no use
        self._fresh = False  # nothing has been taken yet from `_next` on
        self._needs_keyframe = True
        self._tail = _Tail()

    @property
    def due_s(self) -> float | None:
        """When to call `tick`, as it looks now; None: never."""
        if not self._watched or self._next is None:
            return None
        due_s = self._tail.due_s
        if self._nacks or self._wish.due_s is not None:
            others = (due_s, self._nacks.due_s, self._wish.due_s, self._impatient_s())
            due_s = min((other for other in others if other is not None), default=None)
        return due_s

    def set_rtt(self, rtt_s: float) -> None:
        self._nacks.rtt_s = self._wish.rtt_s = rtt_s

    def expect_parity(self) -> None:
        """Most of what is lost comes back with the next packets."""
        self._nacks.patience_s = PARITY_S

    def watch(self, now_s: float) -> None:
        """From now on pictures are wanted, beginning with a key frame."""
        self._watched = self._needs_keyframe = True
        coming = self._reach > self._highest and self._in_keyframe()
        if self._packets and not coming:
            self._lose(now_s)
        if self._next is not None:
            self._wish.wish(now_s, wait_s=MIN_PATIENCE_S if coming else 0.0)

    def unwatch(self) -> None:
        self._watched = False
        self._nacks.forget_before(self._highest + 1)
        self._wish.fulfilled()

    def refuse(self, now_s: float) -> None:
        """The decoder cannot go on without a key frame."""
        self._needs_keyframe = True
        self._wish.wish(now_s)

    def add(self, packet: VideoPacket, now_s: float) -> Assembled:
        """Takes a packet in any order; double and late ones are dropped."""
        if self._continues(packet):
            self._highest = self._reach
            self._packets[self._reach] = packet, now_s
            self._reach += 1
            self._tail.came(packet, now_s, in_order=not packet.retransmitted)
            self._nacks.earn()
            return NOTHING
        return self._add(packet, now_s)

    def _continues(self, packet: VideoPacket) -> bool:
        """Whether a packet is the next one, of a picture under way that does not end with it, and nothing is amiss."""
        first = self._packets.get(self._next) if self._next is not None else None
        return (
            first is not None
            and self._highest == self._reach - 1
            and (packet.sequence_number - self._reach) & 0xFFFF == 0
            and packet.timestamp == first[0].timestamp
            and not packet.marker
            and bool(packet.part.data)
            and self._wish.due_s is None
        )

    def _add(self, packet: VideoPacket, now_s: float) -> Assembled:
        result = Assembled()
        if self._next is None:
            self._next = self._reach = packet.sequence_number
            self._highest = packet.sequence_number - 1
            self._fresh = True
            if self._watched:
                self._wish.wish(now_s, wait_s=FIRST_KEYFRAME_S)
        step = (packet.sequence_number - self._highest + 0x8000) % 0x10000 - 0x8000
        extended = self._highest + step
        if abs(step) > RESTART_STEP:
            extended = self._highest + step % 0x10000
            self._begin_at(extended, now_s)
        if self._fresh and self._next - START_REORDER <= extended <= self._next:
            self._next = self._reach = extended
            self._abandoned = None if packet.part.starts else packet.timestamp  # it may have lost its head
        if extended < self._next or extended in self._packets:
            self.dropped += 1
            return result
        if extended > self._highest:
            if self._watched and extended > self._highest + 1:
                self._nacks.lose(self._highest + 1, extended, now_s)
            self._tail.came(packet, now_s, in_order=extended == self._highest + 1 and not packet.retransmitted)
            self._highest = extended
        self._nacks.came(extended, now_s, retransmitted=packet.retransmitted)
        self._packets[extended] = packet, now_s
        if packet.part.opens_keyframe and extended > self._reach:
            self._keyframe_at = extended
            if self._watched and self._needs_keyframe and not self._in_keyframe():
                self._go_to(extended)  # nothing before it can be decoded
        self._advance(result, now_s)
        if self._packets:
            self._mind_the_gap(packet, extended, result, now_s)
        return self._ask(result, now_s)

    def tick(self, now_s: float) -> Assembled:
        """Time has passed."""
        result = Assembled()
        if self._watched and self._next is not None:
            if self._packets:
                self._mind_the_gap(None, self._highest, result, now_s)
            self._ask(result, now_s)
        return result

    def _ask(self, result: Assembled, now_s: float) -> Assembled:
        if not self._watched:
            return result
        if (since_s := self._impatient_s()) is not None and now_s >= since_s:
            self._wish.wish(now_s)
        if not self._needs_keyframe and not self._nacks:
            self._wish.fulfilled()  # what was missing came first
        lost = self._nacks.take(now_s, urgent=self._needs_keyframe)
        if self._tail.take(now_s, self._nacks.round_s):
            lost.append(self._highest + 1)
        result.nack = sorted(number & 0xFFFF for number in lost)
        result.pli = self._wish.take(now_s)
        return result

    def _impatient_s(self) -> float | None:
        """From when on a key frame is asked for beside what is missing; None: it is, or nothing is missing."""
        oldest_s = self._nacks.oldest_s
        if oldest_s is None or self._wish.due_s is not None:
            return None
        return oldest_s + min(MAX_PATIENCE_S, max(MIN_PATIENCE_S, 3 * self._nacks.round_s))

    # --- pictures

    def _advance(self, result: Assembled, now_s: float) -> None:
        """Hands on every picture that is complete and next."""
        assert self._next is not None
        while (here := self._packets.get(self._reach)) is not None:
            packet = here[0]
            if self._reach > self._next and packet.timestamp != self._packets[self._next][0].timestamp:
                self._hand_on(self._reach, result, now_s)  # its sender sets no marker
                continue
            self._reach += 1
            if packet.marker or (not packet.part.data and self._reach == self._next + 1):
                self._hand_on(self._reach, result, now_s)

    def _hand_on(self, end: int, result: Assembled, now_s: float) -> None:
        assert self._next is not None
        taken = [self._packets.pop(number) for number in range(self._next, end)]
        self._next = end
        self._fresh = False
        packets = [packet for packet, _ in taken if packet.part.data]
        if not packets:
            return  # padding, by which a sender probes the link
        first = packets[0]
        if first.timestamp == self._abandoned:
            self.dropped += len(packets)
            return
        self._abandoned = None
        keyframe = any(packet.part.keyframe for packet in packets)
        if self._watched and not keyframe and (self._needs_keyframe or not self._references.decodable(first.part)):
            self.undecodable += 1
            return
        self._needs_keyframe = self._needs_keyframe and not keyframe
        self._references.handed_on(first.part, keyframe=keyframe)
        self._tail.handed_on(first.timestamp)
        if keyframe:
            self._keyframe_packets = len(packets)
            self._wish.fulfilled()
        data = b"".join(packet.part.data for packet in packets)
        result.pictures.append(CodedPicture(first.timestamp, data, keyframe, min(at_s for _, at_s in taken), now_s))

    # --- gaps

    def _mind_the_gap(self, packet: VideoPacket | None, number: int, result: Assembled, now_s: float) -> None:
        """Packets are here that cannot be handed on. `packet`: that came now, with its number."""
        if self._reach > self._highest:
            return
        if self._pass_over(packet, number):
            self._advance(result, now_s)
            return
        if self._watched:
            oldest_s = self._nacks.oldest_s
            limit = max(MAX_LOST, 2 * self._keyframe_packets)
            hopeless = len(self._nacks) > limit or (oldest_s is not None and now_s - oldest_s > GIVE_UP_S)
        else:
            hopeless = now_s - min(at_s for _, at_s in self._packets.values()) > UNWATCHED_GAP_S
        if hopeless or len(self._packets) > MAX_PACKETS:
            self._lose(now_s)

    def _pass_over(self, packet: VideoPacket | None, number: int) -> bool:
        """Goes on behind the gap if that costs nothing."""
        if self._keyframe_at is not None and self._keyframe_at > self._reach and self._whole(self._keyframe_at):
            self._go_to(self._keyframe_at)
            return True
        if packet is None or not packet.marker or self._needs_keyframe:
            return False
        start = number
        while (before := self._packets.get(start - 1)) is not None and before[0].timestamp == packet.timestamp:
            start -= 1
        if start <= self._reach:
            return False
        first = self._packets[start][0].part
        damaged = [each.part for at, (each, _) in self._packets.items() if at < start]
        if self._one_disposable(start) or (first.starts and self._references.pass_over(first, damaged)):
            self._go_to(start)
            return True
        return False

    def _in_keyframe(self) -> bool:
        """Whether the next picture is a key frame of which something is missing."""
        first = self._packets.get(self._next) if self._next is not None else None
        return first is not None and first[0].part.opens_keyframe

    def _one_disposable(self, end: int) -> bool:
        """Whether all from `_next` to before `end` is one picture, and no other one refers to it."""
        assert self._next is not None
        if self._next not in self._packets or end - 1 not in self._packets:
            return False
        inside = [packet for at, (packet, _) in self._packets.items() if at < end]
        return len({packet.timestamp for packet in inside}) == 1 and all(packet.part.disposable for packet in inside)

    def _whole(self, start: int) -> bool:
        timestamp = self._packets[start][0].timestamp
        while (here := self._packets.get(start)) is not None:
            if here[0].timestamp != timestamp or here[0].marker:
                return True
            start += 1
        return False

    def _go_to(self, number: int) -> None:
        """Forgets everything before."""
        for at in [at for at in self._packets if at < number]:
            del self._packets[at]
            self.dropped += 1
        self._next = self._reach = number
        self._abandoned = None
        self._fresh = False
        self._nacks.forget_before(number)
        if self._keyframe_at is not None and self._keyframe_at < number:
            self._keyframe_at = None

    def _lose(self, now_s: float) -> None:
        """Only a key frame helps, of which some may be here already."""
        if self._keyframe_at is not None and self._keyframe_at > self._reach:
            self._go_to(self._keyframe_at)
        else:
            abandoned = self._packets[self._highest][0].timestamp
            self._go_to(self._highest + 1)
            self._abandoned = abandoned
        self._needs_keyframe = True
        if self._watched:
            self._wish.wish(now_s)

    def _begin_at(self, extended: int, now_s: float) -> None:
        """Another stream."""
        self._go_to(extended)
        self._highest = extended - 1
        self._fresh = self._needs_keyframe = True
        if self._watched:
            self._wish.wish(now_s)


class _Tail:
    """When the packet after the newest one is late: nothing that comes later would tell."""

    def __init__(self) -> None:
        self._due_s: float | None = None
        self._open = False  # the newest packet is not the last of its picture
        self._asked = 0
        self._spacing_s = MIN_TAIL_S  # between packets of one picture, at most, lately
        self._interval_s: float | None = None  # of pictures
        self._arrival_s: float | None = None
        self._timestamp: int | None = None
        self._handed_on: int | None = None

    @property
    def due_s(self) -> float | None:
        return self._due_s

    def came(self, packet: VideoPacket, now_s: float, *, in_order: bool) -> None:
        """The newest packet."""
        if in_order and self._open and self._arrival_s is not None and packet.timestamp == self._timestamp:
            self._spacing_s = max(now_s - self._arrival_s, 0.97 * self._spacing_s)
        self._open = not packet.marker and bool(packet.part.data)
        self._arrival_s, self._timestamp = now_s, packet.timestamp
        self._asked = 0
        self._due_s = None
        if self._open:
            self._due_s = now_s + min(MAX_TAIL_S, max(MIN_TAIL_S, 2 * self._spacing_s))
        elif self._interval_s is not None:
            self._due_s = now_s + 1.5 * self._interval_s + MIN_TAIL_S

    def handed_on(self, timestamp: int) -> None:
        if self._handed_on is not None:
            step_s = ((timestamp - self._handed_on) & 0xFFFFFFFF) / CLOCK_HZ
            if step_s < MAX_INTERVAL_S:
                before_s = step_s if self._interval_s is None else self._interval_s
                self._interval_s = before_s + (step_s - before_s) / 8
        self._handed_on = timestamp

    def take(self, now_s: float, round_s: float) -> bool:
        """Whether to ask for the packet after the newest one."""
        if self._due_s is None or now_s < self._due_s:
            return False
        self._asked += 1
        self._due_s = now_s + round_s if self._asked < TAIL_REQUESTS else None
        return True
