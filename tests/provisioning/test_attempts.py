from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.attempts import (
    FORGET_S,
    FREE_FAILURES,
    LONGEST_WAIT_S,
    MAX_ADDRESSES,
    TOTAL_BURST,
    TOTAL_PER_S,
    Attempts,
    network_of,
)


def guesses(attempts: Attempts, address: str, from_s: float, for_s: float) -> int:
    """How many one makes who asks again as soon as it may."""
    now_s, made = from_s, 0
    while now_s < from_s + for_s:
        wait_s = attempts.begin(address, now_s)
        if wait_s == 0:
            made += 1
        now_s += max(wait_s, 0.01)
    return made


def test_slips_are_free_and_then_each_one_doubles_the_wait() -> None:
    attempts = Attempts(0)
    for _ in range(FREE_FAILURES):
        assert attempts.begin("a", 10) == 0
    assert [attempts.begin("a", 10), attempts.begin("a", 11)] == [2, 1]
    assert attempts.begin("a", 12) == 0
    assert attempts.begin("a", 12) == 4
    assert attempts.begin("b", 12) == 0  # somebody else


def test_an_address_guesses_a_few_hundred_times_a_day_and_is_never_locked_out() -> None:
    attempts = Attempts(0)
    made = guesses(attempts, "a", 0, 86_400)
    assert 250 < made < 320
    assert attempts.begin("a", 86_400) <= LONGEST_WAIT_S
    assert attempts.begin("a", 86_400 + LONGEST_WAIT_S) == 0
    assert attempts.begin("a", 90_000 + FORGET_S) == 0
    assert attempts.begin("a", 90_000 + FORGET_S) == 0  # it starts anew


def test_many_addresses_guess_no_faster_than_the_bucket() -> None:
    attempts = Attempts(0)
    made = sum(attempts.begin(f"10.0.{n // 250}.{n % 250}", n / 100) == 0 for n in range(6000))
    assert made <= TOTAL_BURST + 60 * TOTAL_PER_S + 1


def test_the_owner_does_not_wait_for_strangers() -> None:
    attempts = Attempts(0)
    assert attempts.begin("owner", 0) == 0
    attempts.succeeded("owner", 0)
    for n in range(100):
        attempts.begin(f"10.0.0.{n}", 1)
    assert attempts.begin("10.0.1.1", 1) > 0
    assert attempts.begin("owner", 1) == 0


def test_who_got_in_starts_anew() -> None:
    attempts = Attempts(0)
    for _ in range(FREE_FAILURES):
        attempts.begin("a", 0)
    assert attempts.begin("a", 2) == 0
    attempts.succeeded("a", 2)
    assert [attempts.begin("a", 2) for _ in range(FREE_FAILURES)] == [0] * FREE_FAILURES


def test_guesses_at_once_count_before_they_are_judged() -> None:
    attempts = Attempts(0)
    assert sum(attempts.begin("a", 0) == 0 for _ in range(1000)) == FREE_FAILURES


def test_what_is_remembered_has_an_end() -> None:
    attempts = Attempts(0)
    for n in range(3 * MAX_ADDRESSES):
        attempts.begin(f"10.{n // 65536}.{n // 256 % 256}.{n % 256}", n * 60.0)
    assert len(attempts._addresses) == MAX_ADDRESSES


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%wlan0", "fe80::2%wlan0", True),
        ("", "10.0.0.1", False),
    ],
)
def test_which_addresses_are_one(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "::1"]), st.floats(0, 100), st.booleans()), max_size=60))
def test_a_wait_that_was_told_is_enough(steps: list[tuple[str, float, bool]]) -> None:
    attempts, now_s = Attempts(0), 0.0
    for address, later_s, right in steps:
        now_s += later_s
        wait_s = attempts.begin(address, now_s)
        assert 0 <= wait_s <= LONGEST_WAIT_S
        if wait_s:
            now_s += wait_s + 0.001
            assert attempts.begin(address, now_s) == 0
        if right:
            attempts.succeeded(address, now_s)
