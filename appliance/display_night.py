"""When the screen of a unit that nobody speaks on is dark. Pure: the time of day is passed in."""

from __future__ import annotations

import datetime
import re

PATTERN = r"^(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]-(?:[01][0-9]|2[0-3]):[0-5][0-9])?\Z"


def is_night(night: str, now: datetime.time) -> bool:
    """Whether `now` lies in `night`, "22:00-06:30" or empty: never. Its end is day again; from X to X is always."""
    if not night:
        return False
    if not re.match(PATTERN, night):
        raise ValueError(f"{night!r} is no time such as 22:00-06:30")
    start, end = (datetime.time.fromisoformat(text) for text in night.split("-"))
    if start < end:
        return start <= now < end
    return now >= start or now < end


def seconds_to_next_minute(now: datetime.datetime) -> float:
    """Until the clock shows something else; over 0."""
    return 60.0 - now.second - now.microsecond / 1e6
