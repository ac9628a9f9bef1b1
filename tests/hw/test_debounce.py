from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.debounce import MIN_GAP_S, SETTLE_S, Debounce, Edge


def play(changes: list[tuple[float, bool]], level: bool = False) -> list[Edge]:
    """What a contact that does this means, with `settle` called exactly when it is due."""
    contact = Debounce(level)
    edges: list[Edge] = []

    def due(now_s: float) -> None:
        while (deadline_s := contact.deadline_s()) is not None and deadline_s <= now_s:
            edge = contact.settle(deadline_s)
            assert edge is not None
            edges.append(edge)

    for at_s, to in changes:
        due(at_s)
        contact.change(to, at_s)
    due(1e9)
    return edges


def bounces(at_s: float, to: bool, count: int = 4, gap_s: float = 0.001) -> list[tuple[float, bool]]:
    return [(at_s + index * gap_s, to == (index % 2 == 0)) for index in range(2 * count + 1)]


def test_a_press_that_bounces_is_one_edge_at_its_first_touch() -> None:
    assert play(bounces(1.0, True) + bounces(2.0, False)) == [Edge(True, 1.0), Edge(False, 2.0)]


def test_a_spike_is_nothing() -> None:
    assert play([(1.0, True), (1.0 + SETTLE_S / 2, False)]) == []


def test_a_clean_press_is_told_after_the_settling_time() -> None:
    contact = Debounce(False)
    contact.change(True, 1.0)
    assert contact.deadline_s() == 1.0 + SETTLE_S
    assert contact.settle(1.0 + SETTLE_S / 2) is None
    assert contact.settle(1.0 + SETTLE_S) == Edge(True, 1.0)
    assert contact.deadline_s() is None


def test_a_worn_contact_that_opens_once_more_is_one_press() -> None:
    worn = [(1.0, True), (1.0 + 1.5 * SETTLE_S, False), (1.0 + 3 * SETTLE_S, True)]
    assert play([*worn, (1.5, False)]) == [Edge(True, 1.0), Edge(False, 1.5)]


def test_a_release_within_the_gap_is_told_late_and_not_lost() -> None:
    contact = Debounce(False)
    contact.change(True, 1.0)
    assert contact.settle(1.0 + SETTLE_S)
    contact.change(False, 1.01)
    assert contact.deadline_s() == 1.0 + MIN_GAP_S
    assert contact.settle(1.0 + MIN_GAP_S) == Edge(False, 1.01)


def test_a_button_that_is_down_from_the_start_means_nothing_until_let_go() -> None:
    assert play([(1.0, False), (2.0, True)], level=True) == [Edge(False, 1.0), Edge(True, 2.0)]


def test_a_line_that_never_rests_means_nothing() -> None:
    assert play(bounces(1.0, True, count=5000)[:-1]) == []


@given(st.lists(st.tuples(st.floats(0.0, 0.1), st.booleans()), max_size=60), st.booleans())
def test_edges_alternate_in_the_order_of_time_and_end_at_the_last_level(
    steps: list[tuple[float, bool]], level: bool
) -> None:
    at_s, changes = 1.0, []
    for step_s, to in steps:
        at_s += step_s
        changes.append((at_s, to))
    edges = play(changes, level)
    assert [edge.level for edge in edges] == [(index % 2 == 0) != level for index in range(len(edges))]
    assert all(later.at_s >= earlier.at_s for earlier, later in itertools.pairwise(edges))
    final = changes[-1][1] if changes else level
    assert (edges[-1].level if edges else level) == final


@pytest.mark.parametrize("level", [True, False])
def test_saying_the_same_again_is_no_change(level: bool) -> None:
    assert play([(1.0, level), (2.0, level)], level) == []
