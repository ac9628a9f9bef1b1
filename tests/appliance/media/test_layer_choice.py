"""A slow receiver among quick ones is moved to the low layer, and tried again."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from appliance.media.frames import Layer
from appliance.media.layer_choice import MAX_RETRY_S, RETRY_S, SLOW_S, TRIAL_S, LayerChoice, LegView

NEVER = float("-inf")


class Room:
    """Three receivers on a virtual clock; `slow` is the one whose link changes."""

    def __init__(self) -> None:
        self.choice = LayerChoice()
        self.now_s = 100.0
        self.slow_bps, self.congested_s = 300_000.0, NEVER
        self.layers: dict[Hashable, Layer] = {}

    def pass_s(self, seconds: float) -> Layer:
        for _ in range(round(seconds * 4)):
            self.now_s += 0.25
            legs: dict[Hashable, LegView] = {
                "a": LegView("high", 2e6, NEVER),
                "b": LegView("high", 1.5e6, NEVER),
                "slow": LegView("high", self.slow_bps, self.congested_s),
            }
            self.layers = dict(self.choice.choose(legs, self.now_s))
            assert self.layers["a"] == self.layers["b"] == "high"
        return self.layers["slow"]


def test_who_is_far_slower_than_the_others_for_a_while_gets_the_low_layer() -> None:
    room = Room()
    assert room.pass_s(SLOW_S) == "high"
    assert room.pass_s(0.5) == "low"


def test_a_short_dip_moves_nobody() -> None:
    room = Room()
    for _ in range(10):
        room.slow_bps = 300_000
        assert room.pass_s(SLOW_S / 2) == "high"
        room.slow_bps = 900_000
        assert room.pass_s(1.0) == "high"


def test_it_is_tried_again_and_stays_when_its_link_carries_it() -> None:
    room = Room()
    room.pass_s(SLOW_S + 0.5)
    assert room.pass_s(RETRY_S) == "high"
    assert room.choice.is_tried("slow")
    room.slow_bps = 2e6
    assert room.pass_s(TRIAL_S + 1) == "high"
    assert not room.choice.is_tried("slow")


def test_trials_that_fail_come_after_longer_and_longer_times() -> None:
    room = Room()
    ended_s: list[float] = []
    room.pass_s(SLOW_S + 0.5)
    while len(ended_s) < 8:
        if room.pass_s(0.25) == "high":
            room.congested_s = room.now_s + 0.01
            assert room.pass_s(0.25) == "low"
            ended_s.append(room.now_s)
    waits_s = [later - earlier for earlier, later in pairwise(ended_s)]
    assert waits_s == sorted(waits_s)
    assert waits_s[0] > 2 * RETRY_S - 1
    assert MAX_RETRY_S <= waits_s[-1] < MAX_RETRY_S + 2


def test_alone_nobody_is_moved_and_who_asks_for_the_low_layer_gets_it() -> None:
    choice = LayerChoice()
    for number in range(100):
        assert choice.choose({"a": LegView("high", 1e5, number / 4)}, number / 4) == {"a": "high"}
        both: dict[Hashable, LegView] = {"a": LegView("high", 1e5, NEVER), "b": LegView("low", 2e6, NEVER)}
        assert choice.choose(both, number / 4) == {"a": "high", "b": "low"}


LEGS = st.dictionaries(
    st.integers(0, 5).map(str),
    st.builds(LegView, st.sampled_from(["high", "low"]), st.floats(5e4, 3e6), st.floats(0, 100)),
)


@given(st.lists(LEGS, max_size=20))
def test_somebody_stays_on_the_high_layer_as_long_as_somebody_wants_it(looks: list[dict[Hashable, LegView]]) -> None:
    choice = LayerChoice()
    for number, legs in enumerate(looks):
        chosen = choice.choose(legs, float(number))
        assert set(chosen) == set(legs)
        assert all(chosen[name] == "low" for name, view in legs.items() if view.wanted == "low")
        if any(view.wanted == "high" for view in legs.values()):
            assert "high" in chosen.values()
