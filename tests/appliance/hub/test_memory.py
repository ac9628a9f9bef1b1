"""A hub over its restarts: bans, messages, missed calls and rooms, through its own doors."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import BannedError
from appliance.room.events import InvitationCanceled, InvitationFailed, InvitationReceived, Kicked, PeerMessage
from tests.appliance.room.house import Guest, House, house


async def logged_in(home: House, name: str) -> Guest:
    guest = home.guest()
    await guest.client.login(name, user_name=name.title())
    return guest


async def test_bans_messages_calls_and_rooms_outlive_a_kill(tmp_path: Path) -> None:
    async with house(store_path=tmp_path / "hub.sqlite3") as home:
        a, b = await home.joined("a"), await home.joined("b")
        await a.client.ban("b")
        await b.heard(Kicked)
        assert (await a.client.send_peer_message("c", "for later", offline=True)).stored
        invitation = a.client.create_invitation("c", "door")
        await invitation.send()
        await a.heard(InvitationFailed)
        assert await home.admin("PUT", "/rooms/standing") == 204
        await home.kill()
        await home.revive()
        late = home.guest()
        with pytest.raises(BannedError):
            await late.client.join("lobby", "b")
        assert "standing" in home.hub.rooms.rooms
        c = await logged_in(home, "c")
        assert (await c.heard(PeerMessage)).message.text == "for later"
        (call,) = await c.client.get_missed_calls()
        assert (call.sender, call.content) == ("a", "door")
        await c.client.clear_missed_calls()
        assert await home.admin("DELETE", "/rooms/standing") == 204
        assert await home.admin("DELETE", "/rooms/lobby/bans/b") == 204
        await home.kill()
        await home.revive()
        await late.client.join("lobby", "b")
        assert "standing" not in home.hub.rooms.rooms
        again = home.guest()
        await again.client.login("c")
        assert await again.client.get_missed_calls() == ()
        assert again.of(PeerMessage) == []


async def test_a_room_that_stands_keeps_its_profile_when_everybody_has_left() -> None:
    async with house() as home:
        assert await home.admin("PUT", "/rooms/standing") == 204
        a = await home.joined("a", room="standing")
        await a.client.leave()
        assert "standing" in home.hub.rooms.rooms
        await a.client.join("standing", profile="live")
        assert a.client.get_channel_info().profile == "rtc"


async def test_what_counts_as_missed() -> None:
    async with house() as home:
        a, b = await logged_in(home, "a"), await logged_in(home, "b")
        for number, way in enumerate(("canceled", "answered elsewhere", "refused", "accepted"), 1):
            invitation = a.client.create_invitation("b", way)
            await invitation.send()
            remote = (await b.heard(InvitationReceived, number)).invitation
            if way == "refused":
                await remote.refuse()
            elif way == "accepted":
                await remote.accept()
            else:
                await invitation.cancel(answered=way == "answered elsewhere")
                await b.heard(InvitationCanceled, number)
        assert [call.content for call in await b.client.get_missed_calls()] == ["canceled"]
        assert [call.sender_name for call in await b.client.get_missed_calls()] == ["A"]
