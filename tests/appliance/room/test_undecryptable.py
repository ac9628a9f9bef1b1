from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.room.undecryptable import MIN_REFUSED, Undecryptable


def run(*looks: tuple[int, int]) -> list[bool]:
    """Whether the one track there is fails, after each (opened, refused)."""
    watched = Undecryptable[str]()
    return [watched.look({"a": counts}) == {"a"} for counts in looks]


def test_what_never_opens_fails() -> None:
    assert run((0, 0), (0, MIN_REFUSED - 1), (0, MIN_REFUSED), (0, 500)) == [False, False, True, True]


def test_damaged_frames_among_good_ones_are_no_other_key() -> None:
    assert run((50, 0), (99, 40), (150, 90)) == [False, False, False]


def test_a_key_that_changes_in_the_middle_fails_and_one_that_fits_again_does_not() -> None:
    assert run((50, 0), (50, 9), (50, 20), (51, 21), (90, 21)) == [False, True, True, False, False]


def test_who_sends_nothing_stays_as_it_was_and_a_new_leg_begins_anew() -> None:
    watched = Undecryptable[str]()
    assert watched.look({"a": (0, 9)}) == {"a"}
    assert watched.look({"a": (0, 9), "b": (7, 0)}) == {"a"}
    assert watched.look({"b": (7, 0)}) == set()
    assert watched.look({"a": (0, 0)}) == set()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=20))
def test_whatever_opens_does_not_fail(steps: list[tuple[int, int]]) -> None:
    watched, opened, refused = Undecryptable[str](), 0, 0
    for more, worse in steps:
        opened, refused = opened + more, refused + worse
        failing = watched.look({"a": (opened, refused)})
        assert not (failing and more)
