"""Being in a room: `RoomClient` is the public surface."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appliance.room.client import RoomClient
    from appliance.room.create import ClientConfig, create_client
    from appliance.room.member_client import ChannelInfo, JoinResult
    from appliance.room.options import RoomOptions
    from appliance.room.signaling_tasks import Canvas, LayoutImage, LayoutUser, RtmpTask, TaskAudio, TaskLayout
    from appliance.room.streams import LocalStream, RemoteStream, RemoteUser

__all__ = [
    "Canvas",
    "ChannelInfo",
    "ClientConfig",
    "JoinResult",
    "LayoutImage",
    "LayoutUser",
    "LocalStream",
    "RemoteStream",
    "RemoteUser",
    "RoomClient",
    "RoomOptions",
    "RtmpTask",
    "TaskAudio",
    "TaskLayout",
    "create_client",
]

_HOMES = {
    "Canvas": "signaling_tasks",
    "ChannelInfo": "member_client",
    "ClientConfig": "create",
    "JoinResult": "member_client",
    "LayoutImage": "signaling_tasks",
    "LayoutUser": "signaling_tasks",
    "LocalStream": "streams",
    "RemoteStream": "streams",
    "RemoteUser": "streams",
    "RoomClient": "client",
    "RoomOptions": "options",
    "RtmpTask": "signaling_tasks",
    "TaskAudio": "signaling_tasks",
    "TaskLayout": "signaling_tasks",
    "create_client": "create",
}


def __getattr__(name: str) -> Any:
    # On demand: the hub needs the wire messages of this package, but not all of aiortc behind the client.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
