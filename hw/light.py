"""Front panels with fewer LEDs than the seven that are named. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from hw import LED_NAMES, LedName

_BAR: tuple[LedName, ...] = LED_NAMES[2:]


def bar_led(place: int, of: int) -> LedName:
    """Which LED of the quality bar the one at `place` (1: the last to go dark) in a bar `of` 1 to 5 shows."""
    return _BAR[(place - 1) * len(_BAR) // of]


def rgb(brightness: Mapping[LedName, float]) -> tuple[float, float, float]:
    """Red, green and blue of one LED that stands for all.

    Red is the mute gate, and wins. Else the connection's light, green on a good network and the bluer the shorter the
    bar; a bar that flashes (ringing, network down) flashes between the two.
    """
    gate = brightness.get("mute", 0.0)
    rest = (1 - gate) * brightness.get("connection", 0.0)
    bar = sum(brightness.get(name, 0.0) for name in _BAR) / len(_BAR)
    return gate, rest * bar, rest * (1 - bar)
