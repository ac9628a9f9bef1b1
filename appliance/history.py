"""The last hour of the unit in samples: network quality, bit rates, heat, and whether the event loop was held up."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from appliance.events import Bus
from appliance.room.backend import LegReport
from appliance.room.events import ConnectionState, NetworkQualityChanged
from appliance.session import Session
from appliance.system_stats import SystemStats, read_system_stats

SAMPLE_S = 5.0
SAMPLES = 720  # an hour
LAG_LOOK_S = 0.25


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """`number` counts from the start; levels 0 (unknown) to 6 (down) as in the state. Loss 0..1. What was not measured
    is null. `loop_lag_ms`: the longest that the event loop was late since the last sample."""

    number: int
    monotonic_s: float
    in_room: bool
    uplink: int
    downlink: int
    rtt_ms: float | None
    uplink_loss: float | None
    downlink_loss: float | None
    uplink_bps: int
    downlink_bps: int
    loop_lag_ms: float
    temperature_c: float | None


class LegRate:
    """Bit rates of legs out of their growing counters."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[int, float]] = {}
        self.bps: dict[tuple[str, str], int] = {}

    def look(self, reports: Iterable[LegReport], now_s: float) -> None:
        """Take over the counters of now; `bps` is the mean since the look before."""
        last, self._last, self.bps = self._last, {}, {}
        for report in reports:
            key = (report.direction, report.leg_id)
            self._last[key] = (report.stats.bytes, now_s)
            before, before_s = last.get(key, (report.stats.bytes, now_s))
            if now_s > before_s:
                self.bps[key] = max(0, round(8 * (report.stats.bytes - before) / (now_s - before_s)))


class History:
    """Child of the unit's supervisor: `run` samples, `since` answers."""

    def __init__(
        self,
        session: Session,
        bus: Bus,
        *,
        sample_s: float = SAMPLE_S,
        system: Callable[[], SystemStats] = read_system_stats,
    ) -> None:
        self.rates = LegRate()
        self.system: SystemStats | None = None  # of the last sample
        self.sample_s = sample_s
        self._session = session
        self._bus = bus
        self._read_system = system
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)
        self._count = 0
        self._lag_s = 0.0

    def since(self, number: int = 0) -> list[Sample]:
        """Oldest first, those after `number`."""
        return [sample for sample in self._samples if sample.number > number]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_loop(), name="history-loop-lag")
            tasks.create_task(self._keep_sampling(), name="history-samples")

    async def _watch_loop(self) -> None:
        while True:
            start_s = time.monotonic()
            await asyncio.sleep(LAG_LOOK_S)
            self._lag_s = max(self._lag_s, time.monotonic() - start_s - LAG_LOOK_S)

    async def _keep_sampling(self) -> None:
        due_s = time.monotonic()
        while True:
            await self._sample()
            due_s = max(due_s + self.sample_s, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())

    async def _sample(self) -> None:
        self.system = await asyncio.to_thread(self._read_system)
        session, now_s = self._session, time.monotonic()
        self.rates.look(session.leg_reports(), now_s)
        rates = self.rates.bps.items()
        in_room = session.state is not ConnectionState.DISCONNECTED
        quality = self._bus.latest(NetworkQualityChanged) if in_room else None
        self._trace(quality)
        lag_s, self._lag_s = self._lag_s, 0.0
        self._count += 1
        self._samples.append(
            Sample(
                number=self._count,
                monotonic_s=round(now_s, 3),
                in_room=in_room,
                uplink=quality.uplink if quality is not None else 0,
                downlink=quality.downlink if quality is not None else 0,
                rtt_ms=_rtt_ms(quality),
                uplink_loss=quality.uplink_loss if quality is not None else None,
                downlink_loss=quality.downlink_loss if quality is not None else None,
                uplink_bps=sum(bps for (direction, _), bps in rates if direction == "up"),
                downlink_bps=sum(bps for (direction, _), bps in rates if direction == "down"),
                loop_lag_ms=round(lag_s * 1000, 1),
                temperature_c=self.system.temperature_c,
            )
        )

    def _trace(self, quality: NetworkQualityChanged | None) -> None:
        """The stages that nobody passes through: they are looked at."""
        playout, devices = self._session.playout, self._session.devices
        if playout is None or devices is None:
            return
        if (rtt_ms := _rtt_ms(quality)) is not None:
            playout.trace.add("network", rtt_ms / 2000)
        for device in devices.stats():
            if device.kind == "speaker" and device.sound is not None:
                playout.trace.add("audio-play", device.sound.latency_ms / 1000)


def _rtt_ms(quality: NetworkQualityChanged | None) -> float | None:
    if quality is None:
        return None
    return quality.uplink_rtt_ms if quality.uplink_rtt_ms is not None else quality.downlink_rtt_ms
