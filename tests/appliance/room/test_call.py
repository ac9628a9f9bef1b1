"""Calls with sound and pictures through RoomClient, the real hub and real legs on 127.0.0.1."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import psutil
import pytest

from appliance.errors import MediaTimeoutError, StreamNotFoundError
from appliance.media import aiortc_hooks
from appliance.room import LocalStream, RemoteStream
from appliance.room.events import (
    ActiveSpeaker,
    AudioVolume,
    NetworkQualityChanged,
    PeerLeft,
    StreamAdded,
    StreamRemoved,
    StreamSubscribed,
    StreamUpdated,
)
from appliance.room.mesh import Mesh
from tests.appliance.room.house import BRISK, Guest, House, house, settled
from tests.appliance.room.media import playout, until, uplink

SHORT = replace(BRISK, leave_timeout_s=0.2)


class Call:
    """`a` speaks and shows, `b` listens and watches; both are in the room."""

    def __init__(self, home: House, a: Guest, b: Guest) -> None:
        self.home, self.a, self.b = home, a, b

    @property
    def stream(self) -> RemoteStream:
        (stream,) = self.b.client.streams
        return stream

    def packets(self) -> int:
        """Received by `b` so far."""
        assert self.b.client._stay is not None
        return sum(report.stats.packets for report in self.b.client._stay.media.reports())

    async def flows(self, more: int = 20) -> None:
        start = self.packets()
        await until(lambda: self.packets() >= start + more, what="packets")


@asynccontextmanager
async def call(*, camera: bool = False, auto_subscribe: bool = True) -> AsyncIterator[Call]:
    async with uplink(camera=camera) as sender, playout() as player, house() as home:
        a = await home.joined("a", uplink=sender)
        b = await home.joined("b", playout=player, auto_subscribe=auto_subscribe)
        yield Call(home, a, b)


@pytest.mark.row("U28", "U30", "U31", "U35", "OR10")
async def test_a_call_with_sound_and_picture() -> None:  # U28, U30, U35, OR10
    async with call(camera=True, auto_subscribe=False) as one:
        await one.a.client.publish(LocalStream(width=160, height=160))
        stream = (await one.b.heard(StreamAdded)).stream
        assert one.b.client.subscribed_kinds(stream) == frozenset()
        await one.b.client.subscribe(stream)
        assert sorted(event.kind for event in one.b.of(StreamSubscribed)) == ["audio", "video"]
        assert stream.audio is not None
        assert stream.video is not None
        await until(lambda: stream.audio is not None and stream.audio.level > 20, what="the tone is heard")
        with stream.video.watch():
            async with asyncio.timeout(5):
                await stream.video.wait_frame()
        await one.b.client.unsubscribe(stream, ("video",))
        await until(lambda: stream.video is None and stream.audio is not None)
        await one.b.client.unsubscribe(stream)
        await until(lambda: stream.audio is None)
        await one.b.client.subscribe(stream, video=False)
        assert [event.kind for event in one.b.of(StreamSubscribed)].count("audio") == 2


@pytest.mark.row("U30", "U31", "U35", "OR10")
async def test_sound_first_then_the_picture_and_then_nothing() -> None:
    async with call(camera=True, auto_subscribe=False) as one:
        await one.a.client.publish(LocalStream(width=160, height=160))
        stream = (await one.b.heard(StreamAdded)).stream
        await one.b.client.subscribe(stream, video=False)
        assert [event.kind for event in one.b.of(StreamSubscribed)] == ["audio"]
        await one.flows()
        assert stream.video is None
        assert one.b.client.subscribed_kinds(stream) == {"audio"}
        await one.b.client.subscribe(stream)
        assert [event.kind for event in one.b.of(StreamSubscribed)] == ["audio", "video"]
        assert stream.video is not None
        with stream.video.watch():
            async with asyncio.timeout(5):
                await stream.video.wait_frame()
        await one.b.client.unsubscribe(stream)
        await until(lambda: not one.b.client.leg_reports() and not one.a.client.leg_reports(), what="no more packets")
        await one.a.client.unpublish("main")
        await one.b.heard(StreamRemoved)
        heard = len(one.b.events)
        await one.b.client.unsubscribe(stream)
        await settled()
        assert [event.event_name for event in one.b.events[heard:] if event.event_name != "network-quality"] == []


@pytest.mark.row("U28", "U31", "U34", "U35")
async def test_an_auto_subscriber_follows_what_is_published() -> None:
    async with call(camera=True) as one:
        await one.a.client.publish(LocalStream(video=False))
        assert (await one.b.heard(StreamSubscribed)).kind == "audio"
        await one.a.client.publish(LocalStream())
        await one.b.heard(StreamUpdated)
        assert (await one.b.heard(StreamSubscribed, 2)).kind == "video"
        await one.a.client.unpublish("main")
        await one.b.heard(StreamRemoved)
        await until(lambda: one.a.client._stay is not None and not one.a.client._stay.media.reports())


@pytest.mark.row("U49")
async def test_a_late_subscriber_of_a_muted_stream() -> None:
    async with call() as one:
        await one.a.client.mute("audio")
        await one.a.client.publish(LocalStream(video=False))
        await one.b.heard(StreamSubscribed)
        await until(lambda: one.stream.audio is not None)
        await one.flows()
        assert one.stream.audio is not None
        assert one.stream.audio.level == 0
        await one.a.client.unmute("audio")
        await until(lambda: one.stream.audio is not None and one.stream.audio.level > 20)
        await one.a.client.mute("audio")
        await until(lambda: one.stream.audio is not None and one.stream.audio.level == 0)


@pytest.mark.row("U08")
async def test_media_goes_on_while_the_link_is_lost() -> None:
    async with call() as one:
        await one.a.client.publish(LocalStream(video=False))
        await one.b.heard(StreamSubscribed)
        before = one.stream.audio
        await one.home.proxy.cut()
        await one.b.state("RECONNECTING")
        await one.a.state("RECONNECTING")
        await one.flows()
        await one.home.proxy.restore()
        await one.b.state("CONNECTED")
        await one.a.state("CONNECTED")
        await one.flows()
        assert one.stream.audio is before, "the very same leg"
        assert one.b.names()[-3:] == ["RECONNECTING", "RECONNECTED", "CONNECTED"]


async def test_the_gate_shuts_at_once_while_the_link_is_lost() -> None:
    async with call() as one:
        await one.a.client.publish(LocalStream(video=False))
        await until(lambda: one.b.client.streams and one.stream.audio is not None and one.stream.audio.level > 20)
        await one.home.proxy.cut()
        await one.a.state("RECONNECTING")
        await one.a.client.mute("audio")
        await until(lambda: one.stream.audio is not None and one.stream.audio.level == 0)


async def test_media_goes_on_while_the_hub_is_killed_and_started_again() -> None:
    async with call() as one:
        await one.a.client.publish(LocalStream(video=False))
        await one.b.heard(StreamSubscribed)
        before = one.stream.audio
        await one.home.kill()
        await one.b.state("RECONNECTING")
        await one.flows()
        await one.home.revive()
        await one.a.state("CONNECTED")
        await one.b.state("CONNECTED")
        await asyncio.sleep(BRISK.return_grace_s + 0.2)  # the time that the others had to come back
        await one.flows()
        assert one.stream.audio is before
        assert one.b.of(PeerLeft) == []
        assert len(one.b.of(StreamSubscribed)) == 1


@pytest.mark.row("U08")
async def test_a_new_link_restores_what_was_lost_with_the_old() -> None:
    async with call() as one:
        await one.a.client.publish(LocalStream(video=False))
        await one.b.heard(StreamSubscribed)
        before = one.stream.audio
        await one.home.proxy.cut()
        await one.b.state("RECONNECTING")
        assert one.b.client._stay is not None
        (leg,) = one.b.client._stay.media.reports()
        assert one.a.client._stay is not None
        one.a.client._stay.media._uplinks._end(("b", leg.leg_id))  # type: ignore[attr-defined]
        await until(lambda: one.stream.audio is None, what="the receiver sees that the leg is gone")
        await one.home.proxy.restore()
        await until(lambda: one.stream.audio not in (None, before), what="a new leg")
        assert len(one.b.of(StreamSubscribed)) == 1


async def test_no_media_in_time() -> None:
    async with playout() as player, house() as home:
        a = await home.joined("a")  # announces, but has nothing to send
        b = await home.joined("b", playout=player, options=replace(BRISK, subscribe_timeout_s=0.3))
        await a.client.publish(LocalStream())
        stream = (await b.heard(StreamAdded)).stream
        with pytest.raises(MediaTimeoutError):
            await b.client.subscribe(stream)
        assert b.client.subscribed_kinds(stream) == {"audio", "video"}
        waiting = asyncio.create_task(b.client.subscribe(stream))
        await settled()
        await a.client.unpublish("main")
        with pytest.raises(StreamNotFoundError):
            await waiting
        assert b.client.connection_state == "CONNECTED"


@pytest.mark.row("U51", "U52", "U55")
async def test_what_is_reported_of_a_call() -> None:  # U51, U52, U55
    async with call() as one:
        one.b.client.enable_audio_volume_evaluation(100)
        await one.a.client.publish(LocalStream(video=False))
        await one.b.heard(StreamSubscribed)
        assert (await one.b.heard(ActiveSpeaker)).user_id == "a"

        def loud() -> bool:
            last = one.b.of(AudioVolume)[-1].result
            return [item.user_id for item in last] == ["a", "b"] and last[0].volume > 20

        await until(loud)
        item = one.b.of(AudioVolume)[-1].result[0]
        assert (item.is_local, item.stream) == (False, one.stream)
        await until(lambda: one.b.of(NetworkQualityChanged)[-1].downlink == 1, what="EXCELLENT")
        await until(lambda: one.a.of(NetworkQualityChanged)[-1].uplink == 1, 8, what="EXCELLENT")
        assert one.b.of(NetworkQualityChanged)[-1].downlink_loss == 0
        assert one.b.of(NetworkQualityChanged)[-1].uplink == 0


async def test_who_has_left_is_sent_no_more_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "appliance.room.stay")
    async with call() as one:
        await one.a.client.publish(LocalStream(video=False))
        await one.b.heard(StreamSubscribed)
        await one.a.client.leave()
        await one.b.heard(PeerLeft)
        assert one.b.names()[-2:] == ["stream-removed", "peer-left"]
        await one.b.client.publish(LocalStream())  # the hub answers this after anything that was said before
        assert "the hub says" not in caplog.text


async def test_who_is_kicked_is_neither_seen_nor_heard() -> None:
    async with call() as one:
        await one.a.client.publish(LocalStream(video=False))
        stream = (await one.b.heard(StreamSubscribed)).stream
        await one.home.admin("POST", "/rooms/lobby/members/a/kick")
        await one.b.heard(PeerLeft)
        await until(lambda: stream.audio is None)
        assert one.b.names()[-2:] == ["stream-removed", "peer-left"]
        await one.a.state("DISCONNECTED")


async def test_twenty_calls_leave_nothing() -> None:
    async with call(camera=True) as one:
        await one.a.client.publish(LocalStream())
        process = psutil.Process()

        async def once() -> None:
            await until(lambda: one.b.client.streams and one.stream.audio is not None)
            await one.b.client.leave()
            await until(lambda: one.a.client._stay is not None and not one.a.client._stay.media.reports())

        await once()
        await one.b.client.join("lobby", "b")
        await once()
        await settled()
        tasks, threads, sockets = len(asyncio.all_tasks()), threading.active_count(), len(process.net_connections())
        for _ in range(20):
            await one.b.client.join("lobby", "b")
            await once()
        await until(lambda: len(asyncio.all_tasks()) <= tasks, what="tasks")
        await until(lambda: len(process.net_connections()) <= sockets, what="sockets")
        await until(lambda: threading.active_count() <= threads, what="threads")


@pytest.fixture
def _slow_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that take longer to end than a leave may."""
    close = aiortc_hooks.Connecting.close

    async def slowly(connecting: aiortc_hooks.Connecting) -> None:
        await asyncio.sleep(2 * SHORT.leave_timeout_s)
        await close(connecting)

    monkeypatch.setattr(aiortc_hooks.Connecting, "close", slowly)


@pytest.mark.usefixtures("_slow_close")
async def test_destroy_waits_for_a_lost_leg_whose_close_was_under_way() -> None:
    async with call() as one:
        await one.a.client.publish(LocalStream(video=False))
        await one.b.heard(StreamSubscribed)
        stay = one.b.client._stay
        assert stay is not None
        (report,) = one.b.client.leg_reports()
        stay.media.network_changed(back=False, gone=frozenset({report.local_address or ""}))
        await asyncio.sleep(0)
        # Only b's: a closes its end of the leg under the same name, soon.
        closing = [task for task in asyncio.all_tasks() if task.get_name() == f"leg-close-{report.leg_id}"]
        await one.b.client.destroy()
        assert [task.done() for task in closing] == [True]


@pytest.mark.usefixtures("_slow_close")
@pytest.mark.parametrize("then", ["destroy", "join"])
async def test_destroy_and_the_next_join_wait_for_what_a_leave_left_behind(then: str) -> None:
    async with uplink(camera=False) as sender, playout() as player, house() as home:
        a = await home.joined("a", uplink=sender, options=SHORT)
        b = await home.joined("b", playout=player, auto_subscribe=True)
        await a.client.publish(LocalStream(video=False))
        await b.heard(StreamSubscribed)
        assert a.client._stay is not None
        mesh = a.client._stay.media
        assert isinstance(mesh, Mesh)
        (served,) = mesh._uplinks._served.values()
        assert served.leg is not None
        await a.client.leave()
        assert served.leg.pc.connectionState == "connected"
        await (a.client.destroy() if then == "destroy" else a.client.join("lobby", "a"))
        assert served.leg.pc.connectionState == "closed"
