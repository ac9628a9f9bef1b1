"""When new settings stay and when they are taken back: the machine alone."""

from __future__ import annotations

import pytest

from appliance.config_trial import (
    DEADLINE_S,
    HEALTHY_S,
    MAX_STARTS,
    VISIT_S,
    Facts,
    Trial,
    Verdict,
    Watch,
    judge,
    opened,
    started_too_often,
)

WELL = Facts(healthy=True, online=True)


def at(trial: Trial, looks: list[tuple[float, Facts]]) -> Verdict:
    """The verdict after these looks, the start at 1000 s."""
    watch, verdict = Watch(1000.0), Verdict("wait")
    for after_s, facts in looks:
        assert verdict.what == "wait"
        watch, verdict = judge(trial, watch, facts, 1000.0 + after_s)
    return verdict


def test_what_is_not_the_last_good_text_is_on_trial() -> None:
    assert opened("a", "a", None) is None
    assert opened("a", "b", None) == Trial("a")
    assert opened("a", None, Trial("other", starts=2)) == Trial("a")
    assert opened("a", "b", Trial("a", starts=2, was_online=True)) == Trial("a", starts=2, was_online=True)


def test_a_third_start_without_proof_is_the_last() -> None:
    assert not started_too_often(Trial("a", starts=MAX_STARTS - 1))
    assert "3 times" in started_too_often(Trial("a", starts=MAX_STARTS))


def test_well_for_ten_seconds_on_end_is_good() -> None:
    assert at(Trial("a"), [(1, WELL), (1 + HEALTHY_S - 0.1, WELL)]).what == "wait"
    assert at(Trial("a"), [(1, WELL), (1 + HEALTHY_S, WELL)]).what == "keep"
    ill = Facts(healthy=False, online=True)
    assert at(Trial("a"), [(1, WELL), (6, ill), (1 + HEALTHY_S, WELL)]).what == "wait"


@pytest.mark.parametrize(
    ("trial", "facts", "deadline_s", "words"),
    [
        (Trial("a"), Facts(healthy=False, online=True), DEADLINE_S, "not well"),
        (Trial("a", was_online=True), Facts(healthy=True, online=False), DEADLINE_S, "network"),
        (Trial("a", visit="any"), WELL, VISIT_S, "nobody reached"),
        (Trial("a", visit="remote"), Facts(healthy=True, online=True, visitor="local"), VISIT_S, "nobody reached"),
    ],
)
def test_what_does_not_come_in_time_is_taken_back(trial: Trial, facts: Facts, deadline_s: float, words: str) -> None:
    assert at(trial, [(1, facts), (deadline_s - 0.1, facts)]).what == "wait"
    verdict = at(trial, [(1, facts), (deadline_s, facts)])
    assert verdict.what == "take-back"
    assert words in verdict.reason


def test_a_unit_that_never_was_online_need_not_become_it() -> None:
    facts = Facts(healthy=True, online=False)
    assert at(Trial("a", was_online=False), [(1, facts), (12, facts)]).what == "keep"


@pytest.mark.parametrize(("visit", "visitor"), [("any", "local"), ("any", "remote"), ("remote", "remote")])
def test_the_page_was_reached_again(visit: str, visitor: str) -> None:
    trial = Trial("a", visit=visit)  # type: ignore[arg-type]
    reached = Facts(healthy=True, online=True, visitor=visitor)  # type: ignore[arg-type]
    assert at(trial, [(1, WELL), (100, WELL), (101, reached)]).what == "keep"


def test_a_unit_that_is_never_well_for_long_is_taken_back() -> None:
    ill = Facts(healthy=False, online=True)
    looks = [(after, WELL if after % 9 else ill) for after in range(1, int(DEADLINE_S) + 1)]
    assert at(Trial("a"), looks).what == "take-back"  # type: ignore[arg-type]
