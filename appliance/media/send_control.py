"""How much one leg may send: what its receiver says, turned into a target bit rate. Pure, time comes with the reports.

With transport-wide feedback it is Google Congestion Control (draft-ietf-rmcat-gcc-02): the trend of the delay and the
loss. Without, receiver reports: loss, and a round trip time that rises. A REMB counts only where those two agree that
the link is full, for some receivers (aiortc) send one that falls by itself.

    overuse, loss over 10 % ---> decrease, below what the link lets through, the more the longer the queue
    overuse by a burst --------> hold: what it served of the burst is more than we want
    loss over 2 %, underuse ---> hold
    else --------------------> increase: fast where the limit of the link is not known, slowly near it
    queue gone in no time ---> nearly back to where it was: a machine had no time for us, no link was full
"""

from __future__ import annotations

from collections import deque

from appliance.media.bottleneck import Arrival, served_bps
from appliance.media.delay_trend import DelayTrend
from appliance.media.feedback import BitrateEstimate, Feedback, ReceiverReport, TransportReport

GROWTH = 1.25  # a second, far from any known limit
NEAR_GROWTH, MIN_NEAR_GROWTH_BPS = 0.08, 40_000  # of the limit a second, near it
NEAR_GROWTH_RISE_S = 4.0  # once more of it for each such time without a sign of the limit
PROVEN = 1.5  # times what arrives: more is not asked of a link that has shown its limit, for it may not be there
PROVEN_BPS = 30_000  # beside it, for pictures that need next to nothing
PROVEN_RISE_S = 8.0  # a link that shows no sign of its limit for so long gets once more what arrives
BACK_OFF, DEEP_BACK_OFF = 0.85, 0.6  # of what the link lets through, with a short and with a long queue
LONG_QUEUE_S = 0.3
NARROW_PASSES, DRAIN_QUEUE_S = 0.5, 0.15  # a link that passes less of what is sent, with a longer queue, is to drain
DRAIN, MAX_DRAIN_S = 1.5, 0.4  # times the queue that was seen, for it has grown since then
DRAIN_INTERVAL_S = 1.0  # what was sent before is still told of
DOUBT_S = 2.0  # after a decrease, and between two that are taken back
RUN, DISPROVED = 5, 2.0  # packets in a row that arrive at so many times the target before
FULL_PASSES, USED = 0.8, 0.6  # a link that passes more of what is sent, and of which less is used, shows no limit
BURST_QUEUE_S = 0.1  # a queue up to this, before a link that has room, is that of a key frame
MIN_QUEUE_S = 0.02  # a machine that stalls makes a trend too, but leaves no queue
CAPACITY_GAIN = 0.4
CAPACITY_LIFE_S = 30.0  # a limit that was not met for so long is forgotten
ABOVE_CAPACITY = 1.15  # more than that of it arrives: it was another link's
ABOVE_BLIND = 1.3  # the same of what is sent, where nobody tells what arrives
HOLD_LOSS, DECREASE_LOSS, HEAVY_LOSS, MOST_LOSS = 0.02, 0.10, 0.25, 0.5
ARRIVAL_WINDOW_S, SHORT_WINDOW_S = 0.5, 0.25
LOSS_WINDOW_S = 1.0
MIN_LOSS_PACKETS = 20
DECREASE_INTERVAL_S = 0.3  # until a decrease can be seen in what is reported, at the least
RTT_RISE_S, RTT_ABOVE_BASE_S = 0.015, 0.03  # of a smoothed round trip time, from report to report
EVIDENCE_S = 3.0  # a sign that the link is full makes a REMB credible for so long
TRANSPORT_LIFE_S = 2.0
SILENCE_S = 3.0  # reports of any kind come at least every 1.5 s
SILENCE_DECREASE = 0.7  # a second


class LegControl:
    """`target_bps` is for all that the leg sends, sound and headers included."""

    def __init__(self, min_bps: int, start_bps: int, max_bps: int) -> None:
        self.target_bps = float(start_bps)
        self.congested_s = float("-inf")  # when there was the newest sign of a full link
        self.drained_s = float("-inf")  # until then a picture that is sent only makes a queue longer that is too long
        self._min_bps, self._max_bps = min_bps, max_bps
        self._trend = DelayTrend()
        self._arrivals: deque[Arrival] = deque()
        self._arrived_bits = 0  # of `_arrivals`
        self._fates: deque[tuple[float, bool]] = deque()  # our time, lost
        self._lost = 0
        self._capacity_bps: float | None = None
        self._capacity_s = float("-inf")
        self._before_bps: float | None = None  # the target before a decrease that may have been wrong
        self._restored_s = float("-inf")
        self._rtt_s = 0.1
        self._base_rtt_s = float("inf")
        self._rr_loss = 0.0
        self._transport_s = float("-inf")
        self._report_s: float | None = None
        self._grown_s: float | None = None
        self._decreased_s = float("-inf")

    def report(self, feedback: Feedback) -> None:
        now_s = feedback.at_s
        if isinstance(feedback, TransportReport):
            self._transport_s = now_s
            self._take_transport(feedback)
        elif isinstance(feedback, ReceiverReport):
            self._take_receiver(feedback)
        else:
            self._take_estimate(feedback)
        self._report_s = now_s

    def restart(self, bps: int) -> None:
        """Tries the link with `bps`, whatever it was before."""
        self.target_bps = self._limited(bps)
        self._capacity_bps = None

    def look(self, now_s: float) -> float:
        """`target_bps`, less when nothing was heard for a while. Called some times a second."""
        if self._report_s is not None and now_s - self._report_s > SILENCE_S:
            since_s = now_s - max(self._report_s + SILENCE_S, self._decreased_s)
            if since_s >= DECREASE_INTERVAL_S:
                self._set(self.target_bps * SILENCE_DECREASE ** min(1.0, since_s), now_s)
        return self.target_bps

    # --- transport-wide feedback

    def _take_transport(self, report: TransportReport) -> None:
        now_s = report.at_s
        self._trend.add(report.packets)
        for packet in report.packets:
            lost = packet.arrived_s is None
            self._fates.append((now_s, lost))
            self._lost += lost
            if packet.arrived_s is not None:
                self._arrivals.append(Arrival(packet.arrived_s, 8 * packet.size_bytes, packet.sent_s))
                self._arrived_bits += 8 * packet.size_bytes
        while self._fates and now_s - self._fates[0][0] > LOSS_WINDOW_S:
            self._lost -= self._fates.popleft()[1]
        while self._arrivals and self._arrivals[-1].arrived_s - self._arrivals[0].arrived_s > ARRIVAL_WINDOW_S:
            self._arrived_bits -= self._arrivals.popleft().bits
        arriving_bps = self._arrived_bits / ARRIVAL_WINDOW_S
        if self._capacity_bps is not None and (
            arriving_bps > ABOVE_CAPACITY * self._capacity_bps or now_s - self._capacity_s > CAPACITY_LIFE_S
        ):
            self._capacity_bps = None
        loss = self._lost / len(self._fates) if len(self._fates) >= MIN_LOSS_PACKETS else 0.0
        if self._before_bps is not None:
            self._doubt(now_s, self._before_bps)
        if self._trend.usage == "over" and self._trend.queue_s >= MIN_QUEUE_S:
            self._overused(now_s)
        elif loss > DECREASE_LOSS:
            self.congested_s = self._grown_s = now_s
            if self._may_decrease(now_s):
                self._set(self.target_bps * (1 - 0.5 * loss), now_s)
        elif self._trend.usage != "under" and loss <= HOLD_LOSS:
            self._grow(now_s, arriving_bps)
        else:
            self._grown_s = now_s

    def _overused(self, now_s: float) -> None:
        self._grown_s = now_s
        since_s = self._arrivals[-1].arrived_s - SHORT_WINDOW_S if self._arrivals else 0.0
        recent = [arrival for arrival in self._arrivals if arrival.arrived_s >= since_s]
        served = served_bps(recent, self._trend.base_s) or 0.0
        if BACK_OFF * served > self.target_bps and self._trend.queue_s < BURST_QUEUE_S:
            return
        self.congested_s = now_s
        if not recent or not self._may_decrease(now_s):
            return
        arriving_bps = max(served, sum(arrival.bits for arrival in recent) / SHORT_WINDOW_S)
        sent_s = [arrival.sent_s for arrival in recent]
        passes = min(1.0, (max(sent_s) - min(sent_s)) / SHORT_WINDOW_S)
        is_used = arriving_bps > USED * self.target_bps
        if is_used or passes < FULL_PASSES:
            if self._capacity_bps is None or not 0.7 < arriving_bps / self._capacity_bps < 1.3:
                self._capacity_bps = arriving_bps
            else:
                self._capacity_bps += CAPACITY_GAIN * (arriving_bps - self._capacity_bps)
            self._capacity_s = now_s
        queue_s = self._trend.queue_s
        if passes < NARROW_PASSES and queue_s > DRAIN_QUEUE_S and now_s - self.drained_s > DRAIN_INTERVAL_S:
            self.drained_s = now_s + min(MAX_DRAIN_S, DRAIN * queue_s)
        carried_bps = arriving_bps if is_used else max(arriving_bps, passes * self.target_bps)
        if self._before_bps is None:
            self._before_bps = self.target_bps
        deep = min(1.0, max(0.0, queue_s) / LONG_QUEUE_S)
        self._set(min(self.target_bps, (BACK_OFF + deep * (DEEP_BACK_OFF - BACK_OFF)) * carried_bps), now_s)

    def _doubt(self, now_s: float, before_bps: float) -> None:
        """A queue that empties much faster than its link was thought to be stood before a machine without time, not
        before a link.
        """
        if now_s - self._decreased_s > DOUBT_S:
            self._before_bps = None
        elif self._trend.usage != "over" and self._trend.queue_s < MIN_QUEUE_S and now_s - self._restored_s > DOUBT_S:
            arrivals = list(self._arrivals)
            for first, run in ((arrivals[n], arrivals[n + 1 : n + 1 + RUN]) for n in range(len(arrivals) - RUN)):
                took_s = max(0.001, run[-1].arrived_s - first.arrived_s)
                if sum(arrival.bits for arrival in run) > DISPROVED * before_bps * took_s:
                    self.target_bps = max(self.target_bps, BACK_OFF * before_bps)
                    self._capacity_bps = self._before_bps = None
                    self._restored_s = now_s
                    return

    # --- what both kinds of feedback do

    def _may_decrease(self, now_s: float) -> bool:
        return now_s - self._decreased_s >= DECREASE_INTERVAL_S + min(0.5, self._rtt_s)

    def _grow(self, now_s: float, arriving_bps: float | None) -> None:
        if self._grown_s is not None:
            passed_s = max(0.0, min(1.0, now_s - self._grown_s))
            if self._capacity_bps is None:
                wanted_bps = self.target_bps * GROWTH**passed_s
            else:
                quiet = 1 + (now_s - self._capacity_s) / NEAR_GROWTH_RISE_S
                growth_bps = quiet * max(NEAR_GROWTH * self._capacity_bps, MIN_NEAR_GROWTH_BPS)
                wanted_bps = self.target_bps + growth_bps * passed_s
                if arriving_bps is not None:
                    proven = PROVEN + (now_s - self._capacity_s) / PROVEN_RISE_S
                    wanted_bps = min(wanted_bps, max(self.target_bps, proven * arriving_bps + PROVEN_BPS))
            self.target_bps = self._limited(wanted_bps)
        self._grown_s = now_s

    def _set(self, bps: float, now_s: float) -> None:
        self.target_bps, self._decreased_s = self._limited(bps), now_s

    def _limited(self, bps: float) -> float:
        return max(float(self._min_bps), min(float(self._max_bps), bps))

    # --- receiver reports and REMB

    def _take_receiver(self, report: ReceiverReport) -> None:
        now_s = report.at_s
        rises = False
        if report.rtt_s is not None:
            self._base_rtt_s = min(self._base_rtt_s, report.rtt_s)
            rises = report.rtt_s > self._rtt_s + RTT_RISE_S and report.rtt_s > self._base_rtt_s + RTT_ABOVE_BASE_S
            self._rtt_s = report.rtt_s
        last_loss, self._rr_loss = self._rr_loss, report.loss
        if now_s - self._transport_s < TRANSPORT_LIFE_S:
            return  # it says the same, later
        if report.loss > MOST_LOSS or min(report.loss, last_loss) > HEAVY_LOSS:
            self._blind_decrease(BACK_OFF * (1 - report.loss), now_s)
        elif report.loss > DECREASE_LOSS:
            self._blind_decrease(1 - 0.5 * report.loss, now_s)
        elif rises:
            self._blind_decrease(BACK_OFF, now_s)
        elif report.loss <= HOLD_LOSS:
            if self._capacity_bps is not None and self.target_bps > ABOVE_BLIND * self._capacity_bps:
                self._capacity_bps = None
            self._grow(now_s, None)
        else:
            self.congested_s = self._grown_s = now_s

    def _blind_decrease(self, share: float, now_s: float) -> None:
        self.congested_s = self._grown_s = now_s
        if self._may_decrease(now_s):
            self._set(share * self.target_bps, now_s)
            self._capacity_bps, self._capacity_s = self.target_bps / BACK_OFF, now_s

    def _take_estimate(self, estimate: BitrateEstimate) -> None:
        now_s = estimate.at_s
        if now_s - self._transport_s < TRANSPORT_LIFE_S or now_s - self.congested_s > EVIDENCE_S:
            return
        if estimate.bitrate_bps < self.target_bps:
            self._set(estimate.bitrate_bps, now_s)
