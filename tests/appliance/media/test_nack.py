"""Requests for lost packets on a virtual clock."""

from __future__ import annotations

from itertools import pairwise

from appliance.media.nack import NackList


def test_who_never_answers_is_asked_less_and_less() -> None:
    nacks, asked_s = NackList(), []
    nacks.lose(7, 8, 10.0)
    while (due_s := nacks.due_s) is not None and due_s < 13:
        if nacks.take(due_s):
            asked_s.append(due_s)
    gaps_s = [after - before for before, after in pairwise(asked_s)]
    assert gaps_s[0] < 0.1
    assert gaps_s[-1] > 6 * nacks.round_s
