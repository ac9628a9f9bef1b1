"""Videos that stand still, and media paths that break while the room goes on (U37 to U40, X26)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from appliance.errors import InvalidArgumentError
from appliance.media import aiortc_hooks
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.room import LocalStream
from appliance.room.events import (
    InterruptedUser,
    StreamConnectionStateChanged,
    StreamInterrupted,
    StreamRecovered,
    StreamSubscribed,
)
from appliance.room.stream_states import Interruptions, Key
from hw.mock import MockCamera
from hw.synthetic import SyntheticCamera
from tests.appliance.room.house import CALM, Guest, house
from tests.appliance.room.media import playout, until
from tests.appliance.room.routed import route
from tests.wire import Wire


def test_an_interruption_and_its_end_are_told_once() -> None:
    interruptions = Interruptions(2.0)
    key: Key = ("a", "main")
    assert interruptions.look({key: None}, 10.0) == ([], [])
    assert interruptions.look({key: 10.5}, 12.4) == ([], [])
    assert interruptions.look({key: 10.5}, 12.6) == ([key], [])
    assert interruptions.look({key: 10.5}, 20.0) == ([], [])
    assert interruptions.look({key: 20.1}, 20.2) == ([], [key])
    assert interruptions.look({key: 20.1}, 22.0) == ([], [])


def test_what_never_came_is_interrupted_and_what_is_left_out_is_forgotten() -> None:
    interruptions = Interruptions(2.0)
    key: Key = ("a", "screen")
    interruptions.look({key: None}, 10.0)
    assert interruptions.look({key: None}, 12.1) == ([key], [])
    assert interruptions.look({}, 12.2) == ([], []), "muted"
    assert interruptions.look({key: None}, 12.3) == ([], []), "it has its interval again"
    assert interruptions.look({key: 12.4}, 12.5) == ([], [])


@dataclass
class Scene:
    a: Guest
    b: Guest
    camera: MockCamera
    screen: MockCamera
    wire: Wire


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    """`a` shows camera and screen to `b`."""
    aiortc_hooks.install(["127.0.0.1"], loopback=True)
    sender = Uplink(UplinkSettings(VideoSettings(160, 160, fps=15, codec="vp8")))
    camera, screen = (MockCamera(SyntheticCamera(160, 160, 15)) for _ in range(2))
    sender.start(None, camera)
    sender.start_screen(screen)
    try:
        async with playout() as player, house(lost_after_s=8.0) as home:
            with Wire() as wire:
                a, b = home.guest(CALM, uplink=sender), home.guest(CALM, playout=player, auto_subscribe=True)
                route(a.client, wire)
                route(b.client, wire)
                await a.client.join("lobby", "a")
                await b.client.join("lobby", "b")
                await a.client.publish(LocalStream(audio=False))
                await a.client.publish(LocalStream(audio=False, name="screen"))
                await b.heard(StreamSubscribed, 2)
                yield Scene(a, b, camera, screen, wire)
                await b.client.leave()
                await a.client.leave()
    finally:
        await sender.close()


@pytest.mark.row("U37", "U38", "U39")
async def test_a_camera_that_stalls_is_told_once_and_so_is_its_recovery() -> None:
    async with scene() as one:
        one.b.client.enable_stream_state_detection(True, 1)
        one.screen.stalled = True
        began_s = time.monotonic()
        event = await one.b.heard(StreamInterrupted)
        assert time.monotonic() - began_s < 2.0
        assert event.users == (InterruptedUser("a", is_screen=True),)
        one.screen.stalled = False
        assert (await one.b.heard(StreamRecovered)).users == event.users
        await one.a.client.mute("video")
        await asyncio.sleep(1.3)  # more than the interval
        assert len(one.b.of(StreamInterrupted)) == len(one.b.of(StreamRecovered)) == 1, "muted is not interrupted"
        one.b.client.enable_stream_state_detection(False)
        one.screen.stalled = True
        await asyncio.sleep(1.3)
        assert len(one.b.of(StreamInterrupted)) == 1


@pytest.mark.row("IL22", "U39")
async def test_an_interval_out_of_range_is_refused() -> None:
    async with house() as home:
        guest = home.guest()
        for interval_s in (0, 61, -1, 0.5):
            with pytest.raises(InvalidArgumentError):
                guest.client.enable_stream_state_detection(True, interval_s)
        guest.client.enable_stream_state_detection(True, 60)
        guest.client.enable_stream_state_detection(False, 1)


@pytest.mark.row("U40")
async def test_a_media_path_that_breaks_is_told_of_each_stream_and_the_room_goes_on() -> None:
    async with scene() as one:
        (first, second) = one.b.client.streams

        def states(stream: object) -> list[str]:
            return [event.cur_state for event in one.b.of(StreamConnectionStateChanged) if event.stream is stream]

        await until(lambda: states(first) == states(second) == ["CONNECTING", "CONNECTED"])
        one.wire.cut = True
        await until(lambda: states(first)[-1] == states(second)[-1] == "RECONNECTING", 8)
        assert one.b.client.connection_state == "CONNECTED"
        one.wire.cut = False
        await until(lambda: states(first)[-1] == states(second)[-1] == "CONNECTED", 12)
        await one.b.client.unsubscribe(first)
        await until(lambda: states(first)[-1] == "DISCONNECTED")
        assert states(second)[-1] == "CONNECTED"
        assert one.b.names("stream-added", "stream-subscribed", "peer-joined") == ["CONNECTING", "CONNECTED"]
