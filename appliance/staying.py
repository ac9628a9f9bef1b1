"""One stay of the unit in a room: from the join to its end."""

from __future__ import annotations

import asyncio

from appliance.errors import JoinCancelledError, RtcError, ServiceUnavailableError
from appliance.rejoin import Ended
from appliance.room.client import RoomClient
from appliance.room.entry import Token
from appliance.room.events import ConnectionReason, ConnectionState, ConnectionStateChanged, Kicked, LoginState
from appliance.session_settings import SessionSettings


async def stay(client: RoomClient, settings: SessionSettings, room: str, token: Token) -> tuple[Ended, bool]:
    """Into `room` and in it until it ends; how it ended, and whether it came in at all."""
    notes = _Notes()
    client.on(ConnectionStateChanged, notes.take_change)
    client.on(Kicked, notes.take_kick)
    try:
        await _join(client, settings, room, token)
        await notes.out.wait()
    except JoinCancelledError:
        return Ended(ConnectionReason.LEAVE), False
    except RtcError as exc:
        retry_after_s = exc.retry_after_s if isinstance(exc, ServiceUnavailableError) else 0.0
        return Ended(ConnectionReason.ERROR, exc.code, retry_after_s=retry_after_s), False
    finally:
        client.off(ConnectionStateChanged, notes.take_change)
        client.off(Kicked, notes.take_kick)
    change = notes.change
    assert change is not None
    code = change.error.code if change.error is not None else None
    return Ended(change.reason, code, notes.kicked.reason if notes.kicked is not None else None), True


async def _join(client: RoomClient, settings: SessionSettings, room: str, token: Token) -> None:
    if client.login_state is LoginState.ABORTED or settings.user_id not in ("", client.login_user_id):
        await client.logout()
    client.set_encryption_mode(settings.encryption)
    if settings.encryption != "none":
        client.set_encryption_secret(settings.encryption_secret)
    await client.join(room, settings.user_id, token, user_name=settings.user_name, profile=settings.profile)


class _Notes:
    """What the client says meanwhile."""

    def __init__(self) -> None:
        self.change: ConnectionStateChanged | None = None
        self.kicked: Kicked | None = None
        self.out = asyncio.Event()

    def take_change(self, event: ConnectionStateChanged) -> None:
        self.change = event
        if event.cur_state is ConnectionState.DISCONNECTED:
            self.out.set()

    def take_kick(self, event: Kicked) -> None:
        self.kicked = event
