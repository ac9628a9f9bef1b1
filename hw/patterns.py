"""What an LED does over time. Pure."""

from __future__ import annotations

import math
from enum import StrEnum

PULSE_S = 3.0
_TWO_FLASHES_S = 5.0
_FLASH_S = 0.15


class Pattern(StrEnum):
    OFF = "off"
    ON = "on"
    BLINK_1_HZ = "1hz"
    BLINK_4_HZ = "4hz"
    SLOW_PULSE = "slow-pulse"  # breathing, 3 s a breath
    TWO_FLASHES = "two-flashes"  # every 5 s
    ALL_FLASH = "all-flash"  # 2 Hz; said of LEDs that flash together


def is_animated(pattern: Pattern) -> bool:
    return pattern not in (Pattern.OFF, Pattern.ON)


def brightness(pattern: Pattern, t_s: float) -> float:
    """Brightness 0..1 at `t_s`. LEDs given the same time are in step; every pattern begins dark or lit at t_s = 0."""
    match pattern:
        case Pattern.OFF:
            return 0.0
        case Pattern.ON:
            return 1.0
        case Pattern.BLINK_1_HZ:
            return _square(t_s, 1.0)
        case Pattern.BLINK_4_HZ:
            return _square(t_s, 0.25)
        case Pattern.ALL_FLASH:
            return _square(t_s, 0.5)
        case Pattern.SLOW_PULSE:
            return (1 - math.cos(2 * math.pi * t_s / PULSE_S)) / 2
        case Pattern.TWO_FLASHES:
            at_s = t_s % _TWO_FLASHES_S
            return 1.0 if at_s < _FLASH_S or 2 * _FLASH_S <= at_s < 3 * _FLASH_S else 0.0


def _square(t_s: float, period_s: float) -> float:
    return 1.0 if t_s % period_s < period_s / 2 else 0.0
