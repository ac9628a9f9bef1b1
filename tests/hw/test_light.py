from __future__ import annotations

import pytest

from hw import LED_NAMES, LedName
from hw.light import bar_led, rgb


def lit(*names: LedName) -> dict[LedName, float]:
    return {name: float(name in names) for name in LED_NAMES}


BAR: tuple[LedName, ...] = LED_NAMES[2:]


@pytest.mark.parametrize(("length", "lit_by_level"), [(1, [1] * 5), (3, [3, 3, 2, 2, 1]), (5, [5, 4, 3, 2, 1])])
def test_a_shorter_bar_goes_dark_as_the_network_worsens_and_never_wholly(length: int, lit_by_level: list[int]) -> None:
    shows = [bar_led(place, length) for place in range(1, length + 1)]
    for level, expected in enumerate(lit_by_level, 1):
        burning = BAR[: 6 - level]
        assert sum(name in burning for name in shows) == expected


@pytest.mark.parametrize(
    ("brightness", "color"),
    [
        (lit("mute", "connection", *BAR), (1, 0, 0)),  # the gate wins
        (lit("connection", *BAR), (0, 1, 0)),
        (lit("connection"), (0, 0, 1)),  # the quality is not known yet, or the bar flashes
        (lit(*BAR), (0, 0, 0)),
        ({}, (0, 0, 0)),
    ],
)
def test_colors(brightness: dict[LedName, float], color: tuple[float, float, float]) -> None:
    assert rgb(brightness) == pytest.approx(color)


def test_a_worse_network_is_bluer() -> None:
    blues = [rgb(lit("connection", *BAR[:count]))[2] for count in (5, 4, 3, 2, 1)]
    assert blues == sorted(blues)
    assert len(set(blues)) == 5


def test_the_gate_pulses_over_the_rest() -> None:
    assert rgb({**lit("connection", *BAR), "mute": 0.25}) == pytest.approx((0.25, 0.75, 0))
