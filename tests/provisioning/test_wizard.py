"""First set-up: which step is next follows from the facts, whatever they are and in whatever order they came."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.wizard import STEPS, Facts, Step, is_done, may_open, next_step

NEW = Facts(claimed=False, named=False, online=False, room_chosen=False, finished=False)
facts = st.builds(
    Facts,
    claimed=st.booleans(),
    named=st.booleans(),
    online=st.booleans(),
    room_chosen=st.booleans(),
    finished=st.booleans(),
)


def test_a_new_unit_is_walked_from_claim_to_done() -> None:
    now, walked = NEW, []
    for fact in ("claimed", "named", "online", "room_chosen", "finished"):
        walked.append(next_step(now))
        now = replace(now, **{fact: True})
    assert [*walked, next_step(now)] == list(STEPS)


@pytest.mark.parametrize(
    ("known", "step"),
    [
        (replace(NEW, claimed=True, online=True), "name"),  # a cable needs no step
        (replace(NEW, claimed=True, named=True, online=True), "room"),
        (replace(NEW, claimed=True, named=True, room_chosen=True), "network"),  # the Wi-Fi went away meanwhile
        (replace(NEW, claimed=True, finished=True), "done"),  # and later it is nobody's business
        (replace(NEW, named=True, online=True, room_chosen=True, finished=True), "claim"),  # set-up mode reopened
    ],
)
def test_it_goes_on_where_the_facts_are(known: Facts, step: Step) -> None:
    assert next_step(known) == step


@given(facts)
def test_the_next_step_can_be_opened_and_is_not_done(known: Facts) -> None:
    step = next_step(known)
    assert may_open(step, known)
    assert step == "done" or not is_done(step, known)
    assert all(is_done(before, known) for before in STEPS[: STEPS.index(step)])


@given(facts)
def test_nothing_opens_before_the_unit_has_an_owner(known: Facts) -> None:
    opened = {step for step in STEPS if may_open(step, replace(known, claimed=False))}
    assert opened == {"claim"}
    assert not may_open("claim", replace(known, claimed=True))  # and once is enough


@given(facts)
def test_what_is_done_can_be_gone_back_to(known: Facts) -> None:
    for step in STEPS[1:]:
        assert may_open(step, known) == (known.claimed and (is_done(step, known) or step == next_step(known)))
