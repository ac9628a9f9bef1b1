"""Media priority: one HIGH user a room, decided by the hub (U42, D13)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from appliance.errors import ApiOrderError, InvalidArgumentError
from appliance.media import aiortc_hooks
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.room import LocalStream
from appliance.room.events import MediaPriorityChanged, StreamSubscribed
from appliance.room.streams import MediaPriority
from hw.synthetic import SyntheticCamera
from tests.appliance.room.house import CALM, Guest, House, house
from tests.appliance.room.media import playout, until
from tests.appliance.room.routed import route
from tests.wire import Wire

pytestmark = pytest.mark.alone


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


@pytest.mark.row("U42")
async def test_a_squeezed_downlink_gives_up_the_others_pictures_and_keeps_the_important_ones() -> None:
    aiortc_hooks.install(["127.0.0.1"], loopback=True)
    settings = VideoSettings(640, 360, fps=15, codec="vp8", max_bitrate_bps=400_000)
    watching = replace(CALM, quality_interval_s=0.5, layer_down_s=1.5, layer_up_s=1.0)
    async with AsyncExitStack() as stack:
        uplinks = [Uplink(UplinkSettings(settings)) for _ in range(2)]
        for uplink in uplinks:
            stack.push_async_callback(uplink.close)
            uplink.start(None, SyntheticCamera(640, 360, 15))
        player = await stack.enter_async_context(playout())
        home = await stack.enter_async_context(house(lost_after_s=8.0))
        wire = stack.enter_context(Wire())
        important, other = (home.guest(CALM, uplink=uplink) for uplink in uplinks)
        viewer = home.guest(watching, playout=player, auto_subscribe=True)
        for guest in (important, other, viewer):
            route(guest.client, wire)
        important.client.set_local_media_priority(MediaPriority.HIGH)
        for guest, name in ((viewer, "v"), (important, "i"), (other, "o")):
            await guest.client.join("lobby", name)
        for guest in (important, other):
            await guest.client.publish(LocalStream(audio=False, width=640, height=360))
        await viewer.heard(StreamSubscribed, 2, 10)
        streams = {stream.user_id: stream for stream in viewer.client.streams}
        layers: list[tuple[str, str]] = []

        def now() -> tuple[str, str]:
            layers.append((viewer.client.received_layer(streams["i"]), viewer.client.received_layer(streams["o"])))
            return layers[-1]

        assert now() == ("high", "high")
        wire.shared, wire.rate_bps = True, 350_000
        await until(lambda: now()[1] != "high", 15, "the other's picture is made smaller")
        await asyncio.sleep(3.0)  # what was queued and what the senders had to learn
        video = {user: kinds["video"] for user, kinds in (await viewer.client.get_remote_video_stats()).items()}
        assert now()[0] == "high"
        assert video["i"].bitrate_kbps > video["o"].bitrate_kbps
        assert video["i"].frame_rate > 5
        assert all(layer == "high" for layer, _ in layers), "never given up"
        wire.rate_bps = None
        await until(lambda: now() == ("high", "high"), 30, "room for both again")
        for guest in (viewer, important, other):
            await guest.client.leave()
