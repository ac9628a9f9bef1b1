"""First set-up as a machine of facts: which step is next follows from what is so, so that it can be cut off anywhere.

    claim -> name -> network -> room -> test -> done

Nothing is remembered but that the whole was walked to its end (`Facts.finished`): a unit that loses power in the middle
goes on where it was, and a phone that comes back by another address finds the same step. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Step = Literal["claim", "name", "network", "room", "test", "done"]
STEPS: tuple[Step, ...] = get_args(Step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is so. `named` and `room_chosen`: somebody chose, even if it was the default; `online`: in a network that is
    not its own, or in one that is none of our business; `finished`: the wizard was walked to its end before."""

    claimed: bool
    named: bool
    online: bool
    room_chosen: bool
    finished: bool


def is_done(step: Step, facts: Facts) -> bool:
    """Whether `step` asks for nothing more. The last one asks for nothing at all, once it is reached."""
    if step == "claim" or not facts.claimed:
        return facts.claimed and step == "claim"
    if facts.finished:
        return True
    match step:
        case "name":
            return facts.named
        case "network":
            return facts.online
        case "room":
            return facts.room_chosen
    return False


def next_step(facts: Facts) -> Step:
    """The first step that is not done. Devices are tried out last: then everything else is as it will be."""
    return next((step for step in STEPS if not is_done(step, facts)), "done")


def may_open(step: Step, facts: Facts) -> bool:
    """Steps that are done can be gone back to, and the next one be begun; claiming happens once."""
    if step == "claim":
        return not facts.claimed
    return facts.claimed and (is_done(step, facts) or step == next_step(facts))
