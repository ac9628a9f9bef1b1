"""Clocks that no correction of the system's time moves."""

from __future__ import annotations

import datetime
import time
from typing import Any

import aiortc.clock
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender

_epoch = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=time.monotonic())
NTP_AT_ZERO_S = (_epoch - aiortc.clock.NTP_EPOCH).total_seconds()  # of the monotonic clock


def install() -> None:
    modules: tuple[Any, ...] = (aiortc.rtcrtpsender, aiortc.rtcrtpreceiver)
    for module in modules:
        module.time = _MonotonicTime
    clock: Any = aiortc.clock
    clock.current_datetime = monotonic_datetime
    # Once and twice a packet: aiortc's way through datetime is a tenth of a leg's cost.
    clock.current_ms = ntp_ms
    clock.current_ntp_time = ntp_time


class _MonotonicTime:
    """In place of the module `time` where only differences of `time.time()` are used."""

    time = staticmethod(time.monotonic)


def monotonic_datetime() -> datetime.datetime:
    """Wall-clock time of the start of this process, and monotonic from there on."""
    return _epoch + datetime.timedelta(seconds=time.monotonic())


def ntp_time() -> int:
    return int((NTP_AT_ZERO_S + time.monotonic()) * (1 << 32))


def ntp_ms() -> int:
    return int((NTP_AT_ZERO_S + time.monotonic()) * 1000)
