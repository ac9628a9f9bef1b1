"""Being in a room: `RoomClient` is the public surface."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appliance.room.client import RoomClient
    from appliance.room.create import ClientConfig, create_client
    from appliance.room.member_client import ChannelInfo, JoinResult
    from appliance.room.options import RoomOptions
    from appliance.room.streams import LocalStream, RemoteStream, RemoteUser

__all__ = [
    "ChannelInfo",
    "ClientConfig",
    "JoinResult",
    "LocalStream",
    "RemoteStream",
    "RemoteUser",
    "RoomClient",
    "RoomOptions",
    "create_client",
]

_HOMES = {
    "ChannelInfo": "member_client",
    "ClientConfig": "create",
    "JoinResult": "member_client",
    "LocalStream": "streams",
    "RemoteStream": "streams",
    "RemoteUser": "streams",
    "RoomClient": "client",
    "RoomOptions": "options",
    "create_client": "create",
}


def __getattr__(name: str) -> Any:
    # On demand: the hub needs the wire messages of this package, but not all of aiortc behind the client.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
