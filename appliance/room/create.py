"""`create_client`: a room client out of one value (U01)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from appliance.media.playout import Playout
from appliance.media.uplink import Uplink
from appliance.room.client import RoomClient
from appliance.room.options import RoomOptions
from appliance.room.signaling_room import IceServer


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """`server_url`: ws:// or wss://, a bare HOST:PORT means the hub there. `ice_servers` are used beside the hub's.

    Without an `uplink` the client sends nothing, without a `playout` it cannot subscribe; both belong to the caller.
    """

    server_url: str
    _: KW_ONLY
    ice_servers: tuple[IceServer, ...] = ()
    auto_subscribe: bool = False
    log_upload: bool = False
    uplink: Uplink | None = None
    playout: Playout | None = None
    options: RoomOptions = RoomOptions()  # noqa: RUF009 - frozen


def create_client(config: ClientConfig) -> RoomClient:
    """DISCONNECTED, and without a user id until it is in a room."""
    client = RoomClient(
        config.server_url,
        uplink=config.uplink,
        playout=config.playout,
        auto_subscribe=config.auto_subscribe,
        options=config.options,
        ice_servers=config.ice_servers,
    )
    if config.log_upload:
        client.enable_log_upload()
    return client
