"""Media priority: one HIGH user a room, decided by the hub (U42, D13)."""

from __future__ import annotations

import pytest

from appliance.errors import ApiOrderError, InvalidArgumentError
from appliance.room.events import MediaPriorityChanged
from appliance.room.streams import MediaPriority
from tests.appliance.room.house import Guest, House, house
from tests.appliance.room.media import until


async def important(home: House, user_id: str, *, preemptive: bool = False) -> Guest:
    guest = home.guest()
    guest.client.set_local_media_priority(MediaPriority.HIGH, preemptive)
    await guest.client.join("lobby", user_id)
    return guest


def seen(guest: Guest) -> dict[str, int]:
    return {user_id: user.priority for user_id, user in guest.client.peers.items()}


@pytest.mark.row("U42")
async def test_one_user_has_high_priority_and_loses_it_only_to_one_who_takes_it_over() -> None:
    async with house() as home:
        watcher = await home.joined("w")
        a = await important(home, "a")
        b = await important(home, "b")
        assert [one.client.media_priority for one in (a, b)] == [50, 100]
        await until(lambda: seen(watcher) == {"a": 50, "b": 100})
        c = await important(home, "c", preemptive=True)
        assert c.client.media_priority == 50
        demoted = await a.heard(MediaPriorityChanged)
        assert (demoted.priority, demoted.by) == (100, "c")
        assert a.client.media_priority is MediaPriority.NORMAL
        await until(lambda: seen(watcher) == {"a": 100, "b": 100, "c": 50})
        await c.client.leave()
        await until(lambda: seen(watcher) == {"a": 100, "b": 100}, what="nobody gets it back")
        await important(home, "d")
        await until(lambda: seen(watcher).get("d") == 50, what="it was free")
        assert len(a.of(MediaPriorityChanged)) == 1
        assert b.of(MediaPriorityChanged) == []


@pytest.mark.row("U42")
async def test_who_was_demoted_stays_so_over_a_lost_link() -> None:
    async with house() as home:
        a = await important(home, "a")
        await home.proxy.cut()
        await a.state("RECONNECTING")
        late = home.guest(port=home.port)
        late.client.set_local_media_priority(50, preemptive=True)
        await late.client.join("lobby", "b")
        await home.proxy.restore()
        await a.state("CONNECTED")
        assert (await a.heard(MediaPriorityChanged)).by == "b"
        assert a.client.media_priority == 100


async def test_an_audience_has_none_and_a_host_who_becomes_audience_gives_it_up() -> None:
    async with house() as home:
        a = home.guest()
        a.client.set_local_media_priority(50)
        await a.client.join("lobby", "a", role="audience")
        assert a.client.media_priority == 100
        b = await important(home, "b")
        assert b.client.media_priority == 50
        await b.client.set_client_role("audience")
        await until(lambda: seen(a) == {"b": 100})
        assert b.client.media_priority == 100


@pytest.mark.row("IL13")
async def test_a_priority_after_join_or_one_that_there_is_not_is_refused() -> None:
    async with house() as home:
        a = home.guest()
        with pytest.raises(InvalidArgumentError):
            a.client.set_local_media_priority(75)
        a.client.set_local_media_priority(50)
        await a.client.join("lobby", "a")
        with pytest.raises(ApiOrderError):
            a.client.set_local_media_priority(100)
        assert a.client.media_priority == 50
