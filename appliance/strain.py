"""Video gives way before the board throttles: heat, throttling, load and late encoders -> rungs down the ladder.

A rung is a step of `appliance.media.ladder`: the next smaller size or rate of pictures. Down within seconds, one at a
time; up after a minute of ease, and after twice as long each time that ease does not last.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from appliance.events import Bus
from appliance.session import Session
from appliance.system_stats import Cpu, SystemStats, read_system_stats
from appliance.unit_events import StrainReason, VideoStrainChanged

logger = logging.getLogger(__name__)

LOOK_S = 2.0
HOT_C, COOL_C = 78.0, 72.0  # a Pi slows down from 80 on, step by step; a 3B+ says so by its flag
BUSY, AT_EASE = 0.92, 0.75  # of all cores
LATE, IN_TIME = 0.85, 0.5  # of the time from picture to picture, in the encoder
WORTH = 0.3  # the same: with less, it is not video that keeps the processor busy
THROTTLED_FLAGS = ("throttled", "frequency_capped", "soft_temperature_limit")
HOLD_S = 6.0  # a load that does not last that long costs nobody a picture
HEAT_INTERVAL_S = 20.0  # a heat sink needs that long to feel the last step
EASE_S, MAX_EASE_S = 60.0, 600.0
MAX_RUNGS = 5


@dataclass(frozen=True, slots=True)
class Reading:
    """What cannot be told is None, and strains nobody."""

    temperature_c: float | None = None
    throttled: tuple[str, ...] = ()  # flags that are set now
    busy: float | None = None  # of all cores, 0..1
    encoding: float | None = None  # of the time from picture to picture, in the slowest encoder

    @property
    def reason(self) -> StrainReason:
        """Why there is too much to do; empty: there is not."""
        if self.throttled:
            return "throttled"
        if self.temperature_c is not None and self.temperature_c >= HOT_C:
            return "heat"
        if self.encoding is not None and self.encoding >= LATE:
            return "encoder"
        if self.busy is not None and self.busy >= BUSY and (self.encoding or 0.0) >= WORTH:
            return "load"
        return ""

    @property
    def at_ease(self) -> bool:
        """There is room for a rung more."""
        return not self.throttled and all(
            value is None or value < limit
            for value, limit in ((self.temperature_c, COOL_C), (self.busy, AT_EASE), (self.encoding, IN_TIME))
        )


class StrainPolicy:
    """Pure. `rungs` down, and `reason` of the newest step; empty where there is none."""

    def __init__(self) -> None:
        self.rungs = 0
        self.reason: StrainReason = ""
        self._strained_s: float | None = None  # since when
        self._eased_s: float | None = None
        self._ease_s = EASE_S
        self._down_s = self._up_s = float("-inf")

    def look(self, reading: Reading, now_s: float) -> bool:
        """Whether `rungs` changed."""
        before = self.rungs
        reason = reading.reason
        is_heat = reason in ("throttled", "heat")
        if reason:
            self._eased_s = None
            if self._strained_s is None:
                self._strained_s = now_s
            wait_s = HEAT_INTERVAL_S if is_heat else HOLD_S
            if now_s - self._down_s >= wait_s and (is_heat or now_s - self._strained_s >= HOLD_S):
                self._down(reason, now_s)
        elif self.rungs and reading.at_ease:
            self._strained_s = None
            if self._eased_s is None:
                self._eased_s = now_s
            elif now_s - self._eased_s >= self._ease_s:
                self._up(now_s)
        else:
            self._strained_s = self._eased_s = None
        return self.rungs != before

    def _down(self, reason: StrainReason, now_s: float) -> None:
        if self.rungs < MAX_RUNGS:
            self.rungs, self.reason = self.rungs + 1, reason
        recent = now_s - self._up_s < 2 * self._ease_s
        self._ease_s = min(MAX_EASE_S, 2 * self._ease_s) if recent else EASE_S
        self._down_s = self._strained_s = now_s

    def _up(self, now_s: float) -> None:
        self.rungs -= 1
        if not self.rungs:
            self.reason = ""
        self._up_s = self._eased_s = now_s


class StrainWatch:
    """Child of the unit's supervisor: looks at the machine and the encoders, and tells the Uplink."""

    def __init__(
        self,
        session: Session,
        bus: Bus,
        *,
        look_s: float = LOOK_S,
        system: Callable[[], SystemStats] = read_system_stats,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session, self._bus = session, bus
        self._look_s, self._read_system = look_s, system
        self._clock = clock
        self._policy = StrainPolicy()
        self._cpu: Cpu | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._look(await asyncio.to_thread(self._read_system))
            await asyncio.sleep(self._look_s)

    def _look(self, system: SystemStats) -> None:
        uplink = self._session.uplink
        encoding = max((made.load for made in uplink.encodings()), default=None) if uplink is not None else None
        flags = system.throttled or {}
        reading = Reading(
            temperature_c=system.temperature_c,
            throttled=tuple(name for name in THROTTLED_FLAGS if flags.get(name)),
            busy=self._busy(system.cpu) if encoding is not None else None,  # without video there is nothing to spare
            encoding=encoding,
        )
        if self._policy.look(reading, self._clock()):
            policy = self._policy
            logger.warning("video is reduced by %d rungs, %s: %s", policy.rungs, policy.reason or "at ease", reading)
            self._bus.publish(VideoStrainChanged(rungs=policy.rungs, reason=policy.reason))
        if uplink is not None:
            uplink.set_strain(self._policy.rungs)

    def _busy(self, cpu: Cpu | None) -> float | None:
        before, self._cpu = self._cpu, cpu
        percent = cpu.percent_since(before) if cpu is not None and before is not None else None
        return percent / 100 if percent is not None else None
