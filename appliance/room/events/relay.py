"""What becomes of relay tasks."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.events import Event


@dataclass(frozen=True, kw_only=True)
class RtmpState(Event):
    """U88: of a relay task, told to the hosts. `code`: 505 it pushes (or records), 506 it failed and is tried again,
    511 it ended, 512 an image could not be shown. `url`: with the stream key for the task's own user only.
    """

    task_id: str
    url: str
    host_user_id: str
    code: int
    message: str = ""
