"""U01: a client out of one value."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from appliance.room import ClientConfig, LocalStream, create_client
from appliance.room.events import StreamSubscribed
from appliance.room.signaling_room import IceServer
from tests.appliance.room.house import BRISK, Guest, house
from tests.appliance.room.media import playout, uplink

STUN = IceServer(urls=("stun:127.0.0.1:9",))


@pytest.mark.row("U01", "U20")
async def test_a_new_client_is_nowhere_and_nobody() -> None:
    handlers = list(logging.getLogger().handlers)
    client = create_client(ClientConfig("ws://127.0.0.1:9/hub/ws"))
    assert (client.connection_state, client.get_connection_state()) == ("DISCONNECTED", "DISCONNECTED")
    assert (client.login_state, client.user_id, client.room_id, client.peers) == ("DISCONNECTED", None, None, {})
    assert logging.getLogger().handlers == handlers
    await client.destroy()


@pytest.mark.row("U01")
async def test_each_key_does_what_it_says(tmp_path: Path) -> None:
    async with uplink(camera=False) as sender, playout() as player, house(logs_path=tmp_path) as home:
        a = await home.joined("a", uplink=sender)
        url = f"ws://127.0.0.1:{home.port}"
        config = ClientConfig(
            url, ice_servers=(STUN,), auto_subscribe=True, log_upload=True, playout=player, options=BRISK
        )
        b = Guest(create_client(config))
        try:
            await b.client.join("lobby", "b")
            assert b.client._stay is not None
            assert b.client._stay.media.ice_servers == (STUN,)
            await a.client.publish(LocalStream(video=False))
            assert (await b.heard(StreamSubscribed)).kind == "audio"
            assert await b.client.upload_logs() == 200
        finally:
            await b.client.destroy()
