"""Whether new settings stay: a pure machine over values.

              changed                 healthy for HEALTHY_S, online again, page reached again
    proved ------------> on trial -------------------------------------------------------------> proved
      ^                     |  it cannot start; it started MAX_STARTS times and was never proved;
      |                     |  DEADLINE_S (VISIT_S for the page) passed
      '---- last good ------'

A text is on trial whenever it is not the last good one, however it came about: the marker on disk only adds what must
outlive a crash. Times are monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

MAX_STARTS = 3  # two power cuts in the first seconds are nobody's fault; a third start that ends is no coincidence
HEALTHY_S = 10.0  # without interruption
DEADLINE_S = 90.0  # to be healthy and online: DHCP and a slow access point fit in
VISIT_S = 180.0  # to find the page at its new address and to trust its certificate

Visitor = Literal["", "local", "remote"]
Need = Literal["", "any", "remote"]


class Trial(msgspec.Struct, frozen=True):
    """Of the text with this SHA-256 `digest`. `starts`: begun so far. `visit`: who must have been at the page again."""

    digest: str
    starts: int = 0
    was_online: bool = False
    visit: Need = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """`healthy`: the page is served and nothing says that it failed. `visitor`: the farthest one since this start."""

    healthy: bool
    online: bool
    visitor: Visitor = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered from look to look."""

    started_s: float
    healthy_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` says why they are taken back, in words for the page."""

    what: Literal["wait", "keep", "take-back"]
    reason: str = ""


def opened(digest: str, good: str | None, remembered: Trial | None) -> Trial | None:
    """The trial of the text that is about to run, None when it is the last good one."""
    if digest == good:
        return None
    return remembered if remembered is not None and remembered.digest == digest else Trial(digest)


def started_too_often(trial: Trial) -> str:
    """Why this text gets no further start, or ""."""
    if trial.starts < MAX_STARTS:
        return ""
    return f"the unit was started {trial.starts} times with them and ended each time before it was well"


def judge(trial: Trial, watch: Watch, facts: Facts, now_s: float) -> tuple[Watch, Verdict]:
    """One look at the running unit."""
    healthy_since_s = (watch.healthy_since_s if watch.healthy_since_s is not None else now_s) if facts.healthy else None
    watch = Watch(watch.started_s, healthy_since_s)
    lasting = healthy_since_s is not None and now_s - healthy_since_s >= HEALTHY_S
    online = facts.online or not trial.was_online
    visited = facts.visitor == "remote" or not trial.visit or (trial.visit == "any" and facts.visitor == "local")
    elapsed_s = now_s - watch.started_s
    if lasting and online and visited:
        return watch, Verdict("keep")
    if elapsed_s >= DEADLINE_S and healthy_since_s is None:
        return watch, Verdict("take-back", f"the unit was not well within {DEADLINE_S:g} s")
    if elapsed_s >= DEADLINE_S and not online:
        return watch, Verdict("take-back", f"the network did not come back within {DEADLINE_S:g} s")
    if elapsed_s >= VISIT_S and not visited:
        return watch, Verdict("take-back", f"nobody reached the page with them within {VISIT_S:g} s")
    if elapsed_s >= VISIT_S:
        return watch, Verdict("take-back", f"the unit was not well for {HEALTHY_S:g} s on end")
    return watch, Verdict("wait")
