"""U81, U82: who is online, through real WebSockets."""

from __future__ import annotations

import pytest

from appliance.errors import InvalidArgumentError, NotLoggedInError
from appliance.room.events import LoginStateChanged, PeersOnlineChanged
from tests.appliance.room.house import Guest, house


def told(guest: Guest) -> list[dict[str, str]]:
    return [dict(event.statuses) for event in guest.of(PeersOnlineChanged)]


@pytest.mark.row("U81", "U82")
async def test_one_online_and_one_offline_then_every_change() -> None:
    async with house() as home:
        b, a = home.guest(), home.guest()
        await b.client.login("b")
        await a.client.login("a")
        await a.client.subscribe_peers_online(["b", "c"])
        await a.heard(PeersOnlineChanged)
        c = await home.joined("c")
        await a.heard(PeersOnlineChanged, 2)
        await b.client.logout()
        await a.heard(PeersOnlineChanged, 3)
        assert told(a) == [{"b": "ONLINE", "c": "OFFLINE"}, {"c": "ONLINE"}, {"b": "OFFLINE"}]
        await a.client.unsubscribe_peers_online(["c"])
        await c.client.logout()
        await a.client.subscribe_peers_online(["c"])
        await a.heard(PeersOnlineChanged, 4)
        assert told(a)[3:] == [{"c": "OFFLINE"}]


@pytest.mark.row("U82")
async def test_a_peer_that_falls_silent_becomes_unreachable_then_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.hub.presence.UNREACHABLE_S", 0.3)
    async with house(seat_grace_s=1.0) as home:
        b, a = home.guest(), home.guest(port=home.port)
        await b.client.login("b")
        await a.client.login("a")
        await a.client.subscribe_peers_online(["b"])
        await home.proxy.cut()
        await a.heard(PeersOnlineChanged, 3)
        assert told(a) == [{"b": "ONLINE"}, {"b": "UNREACHABLE"}, {"b": "OFFLINE"}]


@pytest.mark.parametrize("new_hub", [False, True])
@pytest.mark.row("U82", "OR09")
async def test_what_changed_while_away_is_told_once_after_the_return(new_hub: bool) -> None:  # OR09
    async with house() as home:
        b, a = home.guest(port=home.port), home.guest()
        await b.client.login("b")
        await a.client.login("a")
        await a.client.subscribe_peers_online(["b", "c"])
        await a.heard(PeersOnlineChanged)
        if new_hub:
            await home.kill()
            await home.revive()
        else:
            await home.proxy.cut()
            await a.heard(LoginStateChanged, 3)
            await b.client.logout()
            await home.proxy.restore()
        await a.heard(PeersOnlineChanged, 2)
        assert told(a)[1:] == [{"b": "OFFLINE"}]
        names = [event.event_name for event in a.events]
        assert names[-2:] == ["login-state-changed", "peers-online-changed"]


@pytest.mark.row("U81")
async def test_what_is_refused_changes_nothing() -> None:
    async with house() as home:
        a = home.guest()
        with pytest.raises(NotLoggedInError):
            await a.client.subscribe_peers_online(["b"])
        await a.client.login("a")
        for bad in ([], [""], ["x" * 65], [str(number) for number in range(513)], "desk", ["\ud800"]):
            with pytest.raises(InvalidArgumentError):
                await a.client.subscribe_peers_online(bad)
        assert told(a) == []
        await a.client.subscribe_peers_online([42])
        await a.heard(PeersOnlineChanged)
        await a.client.unsubscribe_peers_online([42])
        b = await home.joined("42")
        await b.client.logout()
        await a.client.logout()
        await a.client.login("a")
        await a.client.subscribe_peers_online(["b"])
        await a.heard(PeersOnlineChanged, 2)
        assert told(a) == [{"42": "OFFLINE"}, {"b": "OFFLINE"}]
