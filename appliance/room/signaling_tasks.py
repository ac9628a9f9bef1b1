"""Relay tasks on the wire (U85 to U88, D08 to D12): a picture composed of a live room's members, pushed over RTMP or
recorded. The structs of a task are the public API as well: `RoomClient.add_tasks` takes them.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from appliance.room.signaling_base import Message, RequestId, StreamName, UserId

MAX_TASKS = 3  # of a room (X42)
MAX_LAYOUT_USERS = 32
MAX_IMAGES = 8
MAX_IMAGE_URL_CHARS = 160 * 1024  # a data: URL of 120 KB

TaskId = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_]+\Z")]
Pixels = Annotated[int, msgspec.Meta(ge=0, le=1920)]
Adaption = Literal["fit", "crop"]


class Canvas(Message, frozen=True):
    """Pixels; odd values are rounded down. 0 by 0: sound alone. `color`: 65536 * red + 256 * green + blue."""

    width: Pixels
    height: Pixels
    color: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFF)] = 0


class LayoutUser(Message, frozen=True):
    """Where a user's picture, or the screen that it shares, goes; a higher `z_order` covers a lower one. `fit`: the
    whole picture within the rectangle; `crop`: the whole rectangle filled.
    """

    user_id: Annotated[UserId, msgspec.Meta(min_length=1)]
    x: Pixels
    y: Pixels
    width: Pixels
    height: Pixels
    adaption: Adaption = "crop"
    push_audio: bool = True
    push_video: bool = True
    z_order: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    stream: StreamName = "main"


class LayoutImage(Message, frozen=True):
    """A picture below all users, in view where one is absent. `url`: "data:image/png;base64,..." (or jpeg), or
    "hub:NAME" for a file that the hub's owner has put there.
    """

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_IMAGE_URL_CHARS)]
    x: Pixels
    y: Pixels
    width: Pixels
    height: Pixels
    adaption: Adaption = "crop"


class TaskLayout(Message, frozen=True):
    canvas: Canvas
    users: Annotated[tuple[LayoutUser, ...], msgspec.Meta(max_length=MAX_LAYOUT_USERS)] = ()
    images: Annotated[tuple[LayoutImage, ...], msgspec.Meta(max_length=MAX_IMAGES)] = ()


class TaskAudio(Message, frozen=True):
    """AAC-LC."""

    bitrate_kbps: Annotated[int, msgspec.Meta(ge=10, le=192)] = 64
    sample_rate_hz: Literal[32_000, 44_100, 48_000] = 48_000
    channels: Literal[1, 2] = 2


class RtmpTask(Message, frozen=True):
    """`stream_url`: "rtmp://HOST/APP/KEY" or rtmps; empty: nothing is pushed. `record`: into a file of the hub's
    owner, beside the push or alone. `extra_info` goes into the metadata of both.
    """

    task_id: TaskId
    layout: TaskLayout
    stream_url: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    record: bool = False
    audio: TaskAudio = TaskAudio()
    extra_info: Annotated[str, msgspec.Meta(max_length=1024)] = ""


# --- client to hub


class AddTasks(Message, frozen=True, tag="add-tasks"):
    """Exactly one a call (X42); the bound here is only the wire's."""

    id: RequestId
    tasks: Annotated[tuple[RtmpTask, ...], msgspec.Meta(max_length=MAX_TASKS)]


class UpdateTasks(Message, frozen=True, tag="update-tasks"):
    """Each task becomes what is given here; it goes on where layout alone changes."""

    id: RequestId
    tasks: Annotated[tuple[RtmpTask, ...], msgspec.Meta(max_length=MAX_TASKS)]


class DeleteTasks(Message, frozen=True, tag="delete-tasks"):
    id: RequestId
    task_ids: Annotated[tuple[TaskId, ...], msgspec.Meta(max_length=MAX_TASKS)]


ClientTaskMessage = AddTasks | UpdateTasks | DeleteTasks


# --- hub to client


class TaskChanged(Message, frozen=True, tag="task-changed"):
    """To the hosts of the room. `url` is whole for the task's own user; to others its stream key is not told. `code`:
    505, 506, 511 or 512 (D11).
    """

    task_id: str
    url: str
    host_user_id: str
    code: int
    message: str = ""


HubTaskMessage = TaskChanged
