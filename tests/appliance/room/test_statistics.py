"""The figures of a call against counters on the wire (U57 to U64, X33, X34)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from appliance.errors import InvalidArgumentError, NotJoinedError
from appliance.media import aiortc_hooks
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.room import LocalStream, RemoteStream
from appliance.room.events import RtcStats, StreamSubscribed
from appliance.room.statistics import TransportStats
from hw.mock import MockCamera, MockMicrophone
from hw.synthetic import SyntheticCamera, SyntheticMicrophone
from tests.appliance.room.house import CALM, Guest, house
from tests.appliance.room.media import playout, until
from tests.appliance.room.routed import Counter, route
from tests.wire import Wire

WIDTH, HEIGHT, FPS = 640, 480, 15


@dataclass
class Scene:
    """`a` sends to `b` through a wire that counts."""

    a: Guest
    b: Guest
    wire: Wire
    counter: Counter
    camera: MockCamera

    @property
    def stream(self) -> RemoteStream:
        (stream,) = self.b.client.streams
        return stream


@asynccontextmanager
async def scene(published: LocalStream) -> AsyncIterator[Scene]:
    aiortc_hooks.install(["127.0.0.1"], loopback=True)
    sender = Uplink(UplinkSettings(VideoSettings(width=WIDTH, height=HEIGHT, fps=FPS, codec="vp8")))
    camera = MockCamera(SyntheticCamera(WIDTH, HEIGHT, FPS))
    sender.start(MockMicrophone(SyntheticMicrophone(tone_hz=440)), camera)
    try:
        async with playout() as player, house(lost_after_s=8.0) as home:
            with Wire() as wire:
                a, b = home.guest(CALM, uplink=sender), home.guest(CALM, playout=player, auto_subscribe=True)
                for guest, name in ((a, "a"), (b, "b")):
                    route(guest.client, wire)
                    await guest.client.join("lobby", name, user_name=name.upper())
                await a.client.publish(published)
                await b.heard(StreamSubscribed, len(published.kinds))
                yield Scene(a, b, wire, Counter(wire), camera)
                await a.client.leave()
                await b.client.leave()
    finally:
        await sender.close()


async def watched(counter: Counter, seconds: float) -> list[tuple[float, int]]:
    """What had passed of the main stream at which time."""
    passed: list[tuple[float, int]] = []
    began_s = time.monotonic()
    while time.monotonic() - began_s < seconds:
        if counter.streams:
            passed.append((time.monotonic(), counter.main.bytes))
        await asyncio.sleep(0.02)
    return passed


def rates_kbps(passed: list[tuple[float, int]]) -> list[float]:
    """Of the last two to three seconds: the client's window is one of these."""
    end_s, size = passed[-1]
    return [(size - was) * 8 / 1000 / (end_s - at_s) for at_s, was in passed if 1.95 < end_s - at_s < 3.05]


async def agrees(counter: Counter, ask: Callable[[], Awaitable[float]]) -> None:
    """Until a rate is within 5 % of the wire's: a machine that is late moves bytes from one window to the next."""
    for _ in range(4):
        passed = await watched(counter, 3.2)
        kbps = await ask()
        if any(kbps == pytest.approx(rate, rel=0.05) for rate in rates_kbps(passed)):
            return
    raise AssertionError(f"{kbps} kbit/s, the wire counts {rates_kbps(passed)[::20]}")


async def rate_heard(guest: Guest) -> float:
    return (await guest.client.get_remote_audio_stats())["a"].bitrate_kbps


async def rate_seen(guest: Guest) -> float:
    return (await guest.client.get_remote_video_stats())["a"]["video"].bitrate_kbps


async def rate_shown(guest: Guest) -> float:
    return (await guest.client.get_local_video_stats())[0].bitrate_kbps


@pytest.mark.row("U57", "U58", "U60", "U62")
async def test_the_picture_of_640_by_480_at_15_as_the_wire_counts_it() -> None:
    async with scene(LocalStream(audio=False, width=WIDTH, height=HEIGHT)) as one:
        one.b.client.enable_rtc_stats(True, 200)
        assert one.stream.video is not None
        with one.stream.video.watch():
            await agrees(one.counter, lambda: rate_seen(one.b))
            await agrees(one.counter, lambda: rate_shown(one.a))
            (local,) = await one.a.client.get_local_video_stats()
            remote = (await one.b.client.get_remote_video_stats("video"))["a"]["video"]
            assert (local.width, local.height, local.codec, local.layer) == (WIDTH, HEIGHT, "vp8", "high")
            assert (remote.width, remote.height, remote.codec) == (WIDTH, HEIGHT, "vp8")
            assert local.receivers == 1
            for stats in (local, remote):
                assert stats.frame_rate == pytest.approx(local.capture_frame_rate, abs=2)
            assert local.capture_frame_rate == pytest.approx(FPS, abs=3)
            assert local.frames_sent >= remote.frames_received > 3 * FPS * 0.8
            assert remote.loss == 0.0
            assert remote.packets_lost == 0
        rows = one.b.of(RtcStats)[-1].rows
        (row,) = rows
        assert (row.user_id, row.user_name, row.is_remote, row.rtt_ms) == ("a", "A", True, None)
        assert (row.stream_type, row.media_type, row.layer) == ("main", "video", "high")
        assert row.frame_rate == pytest.approx(FPS, abs=3)
        assert one.a.of(RtcStats) == [], "off at first"
        one.b.client.enable_rtc_stats(False)
        with pytest.raises(InvalidArgumentError):
            one.b.client.enable_rtc_stats(True, 50)
        for client in (one.a.client, one.b.client):
            with pytest.raises(InvalidArgumentError):
                await client.get_local_video_stats("audio")  # type: ignore[arg-type]
            with pytest.raises(InvalidArgumentError):
                await client.get_remote_video_stats("audio")  # type: ignore[arg-type]


async def settled_transport(guest: Guest) -> TransportStats:
    """With the wire's 50 ms each way: now and then the machine is late, and a round trip takes longer."""
    async with asyncio.timeout(10):
        while True:
            stats = await guest.client.get_transport_stats()
            if stats.rtt_ms == pytest.approx(100, abs=10):
                return stats
            await asyncio.sleep(0.2)


@pytest.mark.row("U59", "U61", "U63", "U64")
async def test_sound_with_loss_and_delay_as_the_wire_counts_it() -> None:
    async with scene(LocalStream(video=False)) as one:
        one.wire.delay_s, one.counter.loss = 0.05, 0.1
        stays = [await guest.client.get_session_stats() for guest in (one.a, one.b)]
        await watched(one.counter, 8.0)
        remote = (await one.b.client.get_remote_audio_stats())["a"]
        local = await one.a.client.get_local_audio_stats()
        came, lost, size = one.counter.main.came, one.counter.main.lost, one.counter.main.bytes
        assert local is not None
        assert remote.packets_lost == pytest.approx(lost, abs=4)
        assert remote.packets_lost / (remote.packets_lost + remote.packets_received) == pytest.approx(
            lost / (came + 25), abs=0.01
        )
        assert remote.loss == pytest.approx(0.10, abs=0.09), "of two seconds"
        assert local.loss is not None
        assert 0.0 <= local.loss < 0.4, "in the newest report, of few packets"
        assert local.packets_sent == pytest.approx(came, abs=30), "those before the counter"
        assert (local.codec, local.muted, local.receivers, local.sample_rate_hz) == ("opus", False, 1, 48_000)
        assert local.level > 20
        assert remote.level > 20
        assert remote.delay_ms is not None
        await agrees(one.counter, lambda: rate_heard(one.b))
        size = one.counter.main.bytes
        sent, received = [await guest.client.get_session_stats() for guest in (one.a, one.b)]
        assert sent.bytes_sent - stays[0].bytes_sent == pytest.approx(size / 0.9, rel=0.05)
        assert received.bytes_received - stays[1].bytes_received == pytest.approx(size, rel=0.05)
        assert (sent.user_count, received.user_count) == (2, 2)
        assert sent.duration_s >= 8.0
        transport = await settled_transport(one.b)
        assert transport.downlinks_rtt_ms == {"a": transport.downlink_rtt_ms}
        assert transport.uplink_rtt_ms is None
        assert transport.incoming_kbps == pytest.approx(remote.bitrate_kbps, rel=0.2)
        assert transport.network_type == "other", "the loopback"
        assert (await settled_transport(one.a)).downlink_rtt_ms is None


@pytest.mark.row("U62")
async def test_a_source_that_freezes_is_counted_while_it_does() -> None:
    async with scene(LocalStream(audio=False, width=WIDTH, height=HEIGHT)) as one:
        assert one.stream.video is not None

        async def frozen_ms() -> float:
            return (await one.b.client.get_remote_video_stats())["a"]["video"].total_freeze_ms

        with one.stream.video.watch():
            async with asyncio.timeout(5):
                for _ in range(10):
                    await one.stream.video.wait_frame()
            before_ms = await frozen_ms()
            one.camera.stalled = True
            began_s = time.monotonic()
            await until(lambda: time.monotonic() - began_s > 1.0)
            during_ms = await frozen_ms()
            one.camera.stalled = False
            async with asyncio.timeout(5):
                await one.stream.video.wait_frame()
            await until(lambda: time.monotonic() - began_s > 1.4)
            after_ms = await frozen_ms()
        assert during_ms - before_ms > 800
        assert 900 < after_ms - before_ms < 2000


@pytest.mark.row("IL19")
async def test_there_are_none_outside_of_a_room() -> None:
    async with house() as home:
        guest = home.guest()
        for ask in (
            guest.client.get_session_stats,
            guest.client.get_transport_stats,
            guest.client.get_local_audio_stats,
            guest.client.get_remote_video_stats,
        ):
            with pytest.raises(NotJoinedError):
                await ask()
        await guest.client.join("lobby", "a")
        stats = await guest.client.get_session_stats()
        assert (stats.user_count, stats.bytes_sent, stats.send_kbps) == (1, 0, 0.0)
        assert await guest.client.get_local_audio_stats() is None
        assert await guest.client.get_local_video_stats() == []
        assert (await guest.client.get_transport_stats()).rtt_ms is None
