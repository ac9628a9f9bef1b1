"""Adaptive jitter buffer for one audio stream: packets in as they come, packets out in order when they are due.

Pure: every time is passed in. The measure of everything is the DELAY of a sample: when it is played, less when it
would be played had it come over the fastest path seen lately (the smallest `arrival - timestamp` of the last 4 s). Fill
levels play no part, so a lost packet never makes the stream late for good.

A playback thread pulls a block at a time, so a packet must be here up to a block before it is played: `early_s`. What
counts is the delay at that pull, and the least of it that loses nothing is

    target = the worst packet delay of each 100 ms in the last 4 s, without the two worst of these + 4 ms + guard

so that one stall, however many packets it held up, costs nothing for good, and three in 4 s are waited for. 4..200 ms.
The guard covers what arrival times don't show (a playback thread that pulls unevenly): 5 ms more with each packet that
came after its turn, 5 ms less after each 5 s without one. A stall makes the stream late by its length once; `excess_s`
tells the caller how much to shorten (or, negative, to lengthen) the sound to come back to the target.

Packets and pulls keep their phase, so the delay at the pull changes by whole blocks only, and what is said between the
pull and the packet's first sample is delay for nothing: `excess_s` counts both.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

CLOCK_HZ = 48_000  # Opus' RTP clock (RFC 7587)
STEP_FRAMES = 120  # 2.5 ms: every duration of Opus is a multiple of it

BLOCK_S = 0.010  # of a pull
MARGIN_S = 0.004  # pulls are not that even
MIN_TARGET_S = MARGIN_S
MAX_TARGET_S = 0.200
MAX_DELAY_S = 0.300  # over this, packets are dropped instead of played late
TOLERANCE_S = 0.001  # under the target, and a thirtieth of the jitter; three times that over it
WINDOW_S = 4.0  # how long a late packet is remembered
PAUSED_WINDOW_S = 20.0  # the same where the sender pauses so much (DTX) that there are few packets to go by
EXEMPT = 0.05  # of the window: late packets there are not waited for
GUARD_STEP_S = 0.005
MAX_GUARD_S = 0.040
GUARD_HOLD_S = 5.0
RESTART_STEP = 1_000  # packets: a larger jump in sequence is another stream
RESTART_S = 2.0  # the same in time
LATE_RUN = 25  # so many late packets in a row are a sender that began anew

_SLICE_S = 0.1
_SLICE_PACKETS = 3
_SLICES = round(WINDOW_S / _SLICE_S)
_MAX_PACKETS = 160  # 300 ms of 2.5 ms packets, and some
_MAX_LOST_FRAMES = 5_760  # 120 ms, the longest Opus packet


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP payload; `frames` is its duration in samples at 48 kHz."""

    sequence_number: int
    timestamp: int
    frames: int
    payload: bytes
    arrival_s: float


@dataclass(frozen=True, slots=True)
class Lost:
    """A packet of `frames` that didn't come: conceal it, or recover it from `fec`, the payload of the packet after it.

    Only the last `play_frames` are still to be played, which may be none; concealment while waiting has covered the
    rest. Both are multiples of 2.5 ms.
    """

    frames: int
    play_frames: int
    fec: bytes | None


@dataclass(slots=True)
class _Slice:
    """The least and the most transit (arrival less timestamp) of the packets in 100 ms, and of three at least."""

    start_s: float
    count: int
    least_s: float
    most_s: float


def _signed(difference: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return ((difference + half) & ((1 << bits) - 1)) - half


class JitterBuffer:
    """`push` as packets arrive, `pop` when more sound is needed. Counters are cumulative."""

    def __init__(self) -> None:
        self.received = 0
        self.lost = 0
        self.late = 0  # came after its place had been played
        self.duplicates = 0
        self.discarded = 0  # thrown away to keep within MAX_DELAY_S
        self.underruns = 0  # nothing to play when it was needed, and the packet came later
        self.target_s = MIN_TARGET_S
        self._probation: Packet | None = None
        self._tolerance_s = TOLERANCE_S
        self._guard_s = 0.0
        self._guard_until_s = -math.inf
        self._forget()

    def _forget(self) -> None:
        self._packets: dict[int, Packet] = {}  # by extended sequence number
        self._times: dict[int, int] = {}  # extended timestamp, by extended sequence number
        self._highest: int | None = None
        self._highest_ts = 0
        self._next: int | None = None  # the next to be played
        self._next_ts = 0
        self._starving = False
        self._late_run = 0
        self._slices: deque[_Slice] = deque()
        self._base_s = 0.0

    # --- in

    def push(self, packet: Packet) -> None:
        """Takes a packet; one that is late, double or from nowhere is counted and dropped."""
        if self._highest is None:
            extended, extended_ts = packet.sequence_number, packet.timestamp
        else:
            step = _signed(packet.sequence_number - self._highest, 16)
            extended = self._highest + step
            extended_ts = self._highest_ts + _signed(packet.timestamp - self._highest_ts, 32)
            transit_s = packet.arrival_s - extended_ts / CLOCK_HZ
            if abs(step) > RESTART_STEP or abs(transit_s - self._base_s) > RESTART_S:
                self._restart(packet)
                return
        self._probation = None
        late = self._next is not None and extended < self._next
        self._late_run = self._late_run + 1 if late else 0
        if self._late_run == LATE_RUN:
            self._forget()
            self.push(packet)
            return
        self.received += 1
        self._observe(packet.arrival_s, packet.arrival_s - extended_ts / CLOCK_HZ)
        if late:
            self.late += 1
            return
        if extended in self._packets:
            self.duplicates += 1
            return
        self._packets[extended] = packet
        self._times[extended] = extended_ts
        if self._highest is None or extended > self._highest:
            self._highest, self._highest_ts = extended, extended_ts
        while len(self._packets) > _MAX_PACKETS:
            self._discard_first()

    def _restart(self, packet: Packet) -> None:
        """A second packet that goes on where the first stray one was makes it the stream (RFC 3550 appendix A.1)."""
        before, self._probation = self._probation, packet
        if before is None or _signed(packet.sequence_number - before.sequence_number, 16) != 1:
            return
        self._probation = None
        self._forget()
        self.push(before)
        self.push(packet)

    def _observe(self, arrival_s: float, transit_s: float) -> None:
        slices = self._slices
        newest = slices[-1] if slices else None
        if newest is not None and (arrival_s < newest.start_s + _SLICE_S or newest.count < _SLICE_PACKETS):
            newest.count += 1
            if newest.least_s <= transit_s <= newest.most_s:
                return  # nothing new: most packets of a slice
            newest.least_s, newest.most_s = min(newest.least_s, transit_s), max(newest.most_s, transit_s)
        else:
            slices.append(_Slice(arrival_s, 1, transit_s, transit_s))
            while slices[0].start_s < arrival_s - (WINDOW_S if len(slices) > _SLICES else PAUSED_WINDOW_S):
                slices.popleft()
        self._base_s = min([part.least_s for part in slices])
        worst = sorted([part.most_s for part in slices])
        spread_s = worst[max(0, len(worst) - 1 - math.ceil(EXEMPT * len(worst)))] - self._base_s
        if arrival_s > self._guard_until_s and self._guard_s > 0.0:
            self._guard_s = max(0.0, self._guard_s - GUARD_STEP_S)
            self._guard_until_s = arrival_s + GUARD_HOLD_S
        self.target_s = min(MAX_TARGET_S, max(MIN_TARGET_S, spread_s + MARGIN_S + self._guard_s))
        self._tolerance_s = TOLERANCE_S + spread_s / 30

    # --- out

    @property
    def waits(self) -> bool:
        """Whether there is a packet that has not been played."""
        return bool(self._packets)

    def pop(self, play_s: float, early_s: float = 0.0) -> Packet | Lost | None:
        """What follows in a stream whose next sample is played at `play_s`, asked for `early_s` before that.

        None: nothing yet, ask again with the next block.
        """
        pull_s = play_s - early_s
        while self._packets:
            if self._too_late(play_s):
                self._discard_first()
                continue
            first = min(self._packets)
            missing = 0 if self._next is None else first - self._next
            lost_frames = self._lost_frames(first, missing) if missing else 0
            begin_ts = self._times[first] - missing * lost_frames
            if self._next is None or begin_ts > self._next_ts:
                # A beginning, or the sender paused (DTX): start afresh, at the target.
                if pull_s < self._base_s + begin_ts / CLOCK_HZ + self.target_s:
                    return None
                self._next_ts = begin_ts
                self._starving = False
            if missing:
                if self.delay_s(pull_s) < self.target_s - self._tolerance_s:
                    break
                self._starving = False
                lost = self._lose_next(first, lost_frames, self._excess_s(play_s, early_s, 0.0))
                if lost.play_frames == 0 and lost.fec is None:
                    continue
                return lost
            if self._starving:
                self.underruns += 1
                self._guard_s = min(MAX_GUARD_S, self._guard_s + GUARD_STEP_S)
                self._guard_until_s = play_s + GUARD_HOLD_S
                self._starving = False
            packet = self._packets.pop(first)
            self._next, self._next_ts = first + 1, self._times.pop(first) + packet.frames
            return packet
        self._starving = self._next is not None
        return None

    def delay_s(self, play_s: float) -> float:
        """Delay of the sample that is played at `play_s`; 0 before the first one. It grows on while none comes."""
        return 0.0 if self._next is None else play_s - self._base_s - self._next_ts / CLOCK_HZ

    def excess_s(self, play_s: float, early_s: float = 0.0) -> float:
        """Seconds of sound too much (only what is really there) or, negative, too little for the target."""
        return self._excess_s(play_s, early_s, 3 * self._tolerance_s)

    def _excess_s(self, play_s: float, early_s: float, spared_s: float) -> float:
        if self._next is None:
            return 0.0
        spare_s = self.delay_s(play_s - early_s) - self.target_s
        if spare_s < -self._tolerance_s:
            return min(0.0, early_s - math.ceil(-spare_s / BLOCK_S) * BLOCK_S)
        blocks = max(0, math.floor((spare_s - spared_s) / BLOCK_S))
        return min(early_s + blocks * BLOCK_S, self.buffered_s)

    @property
    def buffered_s(self) -> float:
        """Seconds from the next sample to the end of the newest packet here."""
        if not self._packets or self._next is None:
            return 0.0
        newest = max(self._packets)
        return max(0.0, (self._times[newest] + self._packets[newest].frames - self._next_ts) / CLOCK_HZ)

    def _too_late(self, play_s: float) -> bool:
        """Whether the first packet is better dropped; the last one never is, and before the start no delay is kept."""
        if len(self._packets) < 2:
            return False
        first = min(self._packets)
        delay_s = play_s - self._base_s - self._times[first] / CLOCK_HZ
        if self._next is not None:
            return delay_s > MAX_DELAY_S
        return delay_s - self._packets[first].frames / CLOCK_HZ > self.target_s + BLOCK_S

    def _discard_first(self) -> None:
        first = min(self._packets)
        packet, timestamp = self._packets.pop(first), self._times.pop(first)
        self.discarded += 1
        if self._next is not None:
            self._next, self._next_ts = first + 1, timestamp + packet.frames

    def _lost_frames(self, first: int, missing: int) -> int:
        """How long each packet was that is missing before `first`; the rest of the time there was a pause."""
        assert self._next is not None
        share = (self._times[first] - self._next_ts) // missing // STEP_FRAMES * STEP_FRAMES
        usual = min(_MAX_LOST_FRAMES, self._packets[first].frames)
        return min(share, usual) if share > 0 else usual

    def _lose_next(self, first: int, frames: int, excess_s: float) -> Lost:
        assert self._next is not None
        fec = self._packets[first].payload if first - self._next == 1 else None
        spare = max(0, round(excess_s * CLOCK_HZ))
        played = min(frames, spare // STEP_FRAMES * STEP_FRAMES)
        self.lost += 1
        self._next += 1
        self._next_ts += frames
        return Lost(frames, frames - played, fec)
