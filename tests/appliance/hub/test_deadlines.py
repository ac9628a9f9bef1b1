"""Deadlines do what a dictionary and `min` would do, only faster."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.hub.deadlines import Deadlines

KEYS = st.integers(0, 8)
TIMES = st.integers(0, 20).map(float)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, TIMES),
        st.tuples(st.just("drop"), KEYS, TIMES),
        st.tuples(st.just("due"), KEYS, TIMES),
    ),
    max_size=60,
)


@given(STEPS)
def test_like_a_dictionary(steps: list[tuple[str, int, float]]) -> None:
    deadlines, plain = Deadlines[int](), dict[int, float]()
    for what, key, at_s in steps:
        if what == "set":
            deadlines.set(key, at_s)
            plain.pop(key, None)
            plain[key] = at_s
        elif what == "drop":
            deadlines.drop(key)
            plain.pop(key, None)
        else:
            expected = sorted((key for key in plain if plain[key] <= at_s), key=lambda key: plain[key])
            assert deadlines.due(at_s) == expected
            for key in expected:
                del plain[key]
        assert deadlines.next_s() == min(plain.values(), default=None)
        assert len(deadlines) == len(plain)
        assert all((key in deadlines) == (key in plain) for key in range(9))


def test_what_is_set_again_and_again_does_not_pile_up() -> None:
    deadlines = Deadlines[str]()
    for at_s in range(10_000):
        deadlines.set("key", float(at_s))
    assert len(deadlines._heap) < 100
    assert deadlines.due(9_998.0) == []
    assert deadlines.due(9_999.0) == ["key"]
