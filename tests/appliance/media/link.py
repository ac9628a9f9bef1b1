"""A link on a virtual clock: pictures through a queue of limited rate, and what a receiver reports of them."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from appliance.media.feedback import BitrateEstimate, Feedback, PacketFate, ReceiverReport, TransportReport

STEP_S = 0.01
PACKET_BYTES = 1200
AUDIO_BYTES = 120
FEEDBACK_S = 0.1
KEYFRAME_S = 0.15  # of the bit rate
PACING = 2.5  # times the target: how fast the packets of a picture follow each other


@dataclass
class Link:
    """`rate_bps` at a time; `queue_s` before it, what would wait longer is lost."""

    rate_bps: Callable[[float], float]
    delay_s: float = 0.02
    queue_s: float = 0.5
    loss: float = 0.0
    jitter_s: float = 0.0
    stalls: bool = False  # once in four seconds nothing gets on for 0.3 s, as on a machine that has no time
    slow_s: float = 0.0  # of each packet, in spells of up to 0.6 s about each 2 s: a machine that others use as well
    seed: int = 1
    _free_s: float = 0.0
    _random: random.Random = field(init=False)
    _spell: tuple[float, float] = (0.0, 0.0)
    _last_s: float = 0.0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def arrival_s(self, sent_s: float, size_bytes: int) -> float | None:
        """None: lost."""
        waits_s = max(0.0, self._free_s - sent_s)
        if waits_s > self.queue_s:
            return None
        self._free_s = sent_s + waits_s + 8 * size_bytes / self.rate_bps(sent_s + waits_s)
        if self._random.random() < self.loss:
            return None
        arrival_s = self._free_s + self.delay_s + self._random.random() * self.jitter_s
        if self.slow_s:
            arrival_s = self._last_s = self._taken_s(arrival_s)
        stalled_s = 0.3 - arrival_s % 4.0
        return arrival_s + max(0.0, stalled_s) if self.stalls else arrival_s

    def _taken_s(self, arrival_s: float) -> float:
        while self._spell[1] < arrival_s:
            start_s = self._spell[1] + self._random.expovariate(1 / 2.0)
            self._spell = start_s, start_s + self._random.random() * 0.6
        in_spell = self._spell[0] <= arrival_s
        return max(arrival_s, self._last_s) + (self.slow_s if in_spell else 0.0)


@dataclass(frozen=True)
class Moment:
    """`waits_s`: how long what arrives now was on its way; `gap_s`: since the last whole picture."""

    at_s: float
    target_bps: float
    arriving_bps: float
    waits_s: float
    gap_s: float


class Call:
    """A sender that fills `share` of what it may send, a link, and reports of the kinds that are asked for.

    `keyframes_s`: from key frame to key frame.
    """

    def __init__(
        self,
        link: Link,
        target_bps: Callable[[float], float],
        report: Callable[[Feedback], None],
        *,
        transport: bool = True,
        remb: Callable[[float], float] | None = None,
        share: float = 0.95,
        fps: int = 30,
        keyframes_s: float = float("inf"),
    ) -> None:
        self._link, self._target_bps, self._report = link, target_bps, report
        self._transport, self._remb, self._share, self._fps = transport, remb, share, fps
        self._keyframes_s = keyframes_s
        self._random = random.Random(link.seed)
        self._clock_s = 100.0  # the receiver's is ahead

    def run(self, seconds: float) -> Iterator[Moment]:
        """A moment each 100 ms."""
        order = count()
        waiting: list[tuple[float, int, int, bool]] = []  # paced: time, order, bytes, ends a picture
        arrivals: list[tuple[float, int, float, int]] = []  # arrival, order, sent, bytes
        sent: list[PacketFate] = []
        outcome: list[tuple[float, bool]] = []  # known at, lost
        queue: list[tuple[float, int, Feedback]] = []
        rtt_s = 2 * self._link.delay_s
        picture_s = self._fps and 0.0
        sound_s = report_s = receiver_s = 0.0
        keyframe_s = self._keyframes_s
        whole_s, intact, delay_s, bits = 0.0, True, 0.0, 0
        pictures: list[tuple[float, bool]] = []
        for step in range(round(seconds / STEP_S)):
            now_s = step * STEP_S
            target_bps = self._target_bps(now_s)
            if now_s >= picture_s:
                picture_s += 1 / self._fps
                takes_s = self._random.uniform(0.7, 1.3) / self._fps
                if now_s >= keyframe_s:
                    keyframe_s, takes_s = now_s + self._keyframes_s, KEYFRAME_S
                size = max(200, round(self._share * (target_bps - 50_000) / 8 * takes_s))
                begins_s = max(now_s, waiting[-1][0] if waiting else 0.0)
                while size > 0:
                    part = min(size, PACKET_BYTES)
                    size -= part
                    waiting.append((begins_s, next(order), part, size <= 0))
                    begins_s += 8 * part / (PACING * target_bps)
            if now_s >= sound_s:
                sound_s += 0.02
                waiting.insert(0, (now_s, next(order), AUDIO_BYTES, False))
            while waiting and waiting[0][0] < now_s + STEP_S:
                at_s, number, part, last = waiting.pop(0)
                arrived_s = self._link.arrival_s(at_s, part)
                sent.append(PacketFate(at_s, None if arrived_s is None else arrived_s + self._clock_s, part))
                outcome.append((at_s + 0.1 if arrived_s is None else arrived_s, arrived_s is None))
                if part != AUDIO_BYTES:
                    intact = intact and arrived_s is not None
                    if last:
                        pictures.append((at_s if arrived_s is None else arrived_s, intact))
                        intact = True
                if arrived_s is not None:
                    heapq.heappush(arrivals, (arrived_s, number, at_s, part))
            while arrivals and arrivals[0][0] <= now_s:
                arrived_s, _, at_s, part = heapq.heappop(arrivals)
                delay_s, bits = arrived_s - at_s, bits + 8 * part
            if now_s >= report_s:
                report_s += FEEDBACK_S
                back_s = now_s + self._link.delay_s
                if self._transport:
                    known = [
                        fate
                        for fate in sent
                        if (fate.arrived_s or fate.sent_s + self._clock_s + 0.2) <= now_s + self._clock_s
                    ]
                    if known:
                        sent = [fate for fate in sent if fate not in known]
                        heapq.heappush(queue, (back_s, next(order), TransportReport(tuple(known), back_s)))
                if now_s >= receiver_s:
                    receiver_s += 1.0
                    done = [lost for at_s, lost in outcome if at_s <= now_s]
                    outcome = [entry for entry in outcome if entry[0] > now_s]
                    loss = sum(done) / len(done) if done else 0.0
                    rtt_s = 0.85 * rtt_s + 0.15 * (delay_s + self._link.delay_s)
                    heapq.heappush(queue, (back_s, next(order), ReceiverReport(loss, 0, 0, rtt_s, back_s)))
                    if self._remb is not None:
                        estimate = BitrateEstimate(round(self._remb(now_s)), back_s)
                        heapq.heappush(queue, (back_s, next(order), estimate))
            while queue and queue[0][0] <= now_s:
                self._report(heapq.heappop(queue)[2])
            for at_s, whole in pictures:
                if at_s <= now_s and whole:
                    whole_s = max(whole_s, at_s)
            pictures = [entry for entry in pictures if entry[0] > now_s]
            if step % 10 == 9:
                yield Moment(now_s, target_bps, bits / 0.1, delay_s, now_s - whole_s)
                bits = 0
