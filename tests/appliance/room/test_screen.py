"""A screen beside the camera: a stream of its own, published, received and muted by the kind `screen`."""

from __future__ import annotations

import asyncio

import pytest

from appliance.errors import EmptyStreamError, StreamNotFoundError
from appliance.room import LocalStream
from appliance.room.events import (
    ScreenMuted,
    ScreenUnmuted,
    StreamAdded,
    StreamRemoved,
    StreamSubscribed,
    StreamUpdated,
)
from hw.mock import MockCamera
from hw.synthetic import SyntheticCamera
from tests.appliance.room.house import house
from tests.appliance.room.media import playout, until, uplink

SCREEN = LocalStream(audio=False, name="screen", width=320, height=192)


@pytest.mark.row("U28", "U29", "U30", "U31", "U32", "U33", "U35", "U47", "U48", "U49")
async def test_a_screen_is_shown_muted_and_taken_back_while_the_camera_goes_on() -> None:
    async with uplink(camera=True) as sender, playout() as player, house() as home:
        sender.start_screen(MockCamera(SyntheticCamera(320, 192, 15)))
        a, b = await home.joined("a", uplink=sender), await home.joined("b", playout=player)
        await a.client.publish(LocalStream(width=160, height=160))
        await a.client.publish(SCREEN)
        added = await b.heard(StreamAdded, 2)
        main, screen = (event.stream for event in b.of(StreamAdded))
        assert (screen.name, added.kinds) == ("screen", ("screen",))
        with pytest.raises(StreamNotFoundError):
            await b.client.subscribe(screen, screen=False)
        await b.client.subscribe(main)
        await b.client.subscribe(screen)
        assert b.client.subscribed_kinds(screen) == {"screen"}
        assert {event.kind for event in b.of(StreamSubscribed)} == {"audio", "video", "screen"}
        assert screen.video is not None
        assert main.video is not None
        with screen.video.watch(), main.video.watch():
            async with asyncio.timeout(5):
                shown, filmed = await screen.video.wait_frame(), await main.video.wait_frame()
            assert ((shown.width, shown.height), (filmed.width, filmed.height)) == ((320, 192), (160, 160))
            await a.client.mute("screen")
            muted = await b.heard(ScreenMuted)
            assert (muted.room_id, muted.user_id, muted.status, muted.reason) == ("lobby", "a", "UNAVAILABLE", 1)
            assert a.client.is_muted("screen")
            assert not a.client.is_muted("video")
            frames = screen.video.stats().frames_shown
            async with asyncio.timeout(5):
                await main.video.wait_frame()
                await main.video.wait_frame()
            assert screen.video.stats().frames_shown <= frames + 1, "one was on its way"
            await a.client.unmute("screen")
            assert (await b.heard(ScreenUnmuted)).reason == 2
            async with asyncio.timeout(5):
                await screen.video.wait_frame()
        await b.client.unsubscribe(screen, ("screen",))
        await until(lambda: screen.video is None)
        assert main.video is not None
        await a.client.unpublish("screen", ("screen",))
        assert (await b.heard(StreamRemoved)).stream is screen
        assert b.of(StreamUpdated) == []


async def test_a_screen_that_nobody_films_is_not_published() -> None:
    async with uplink(camera=True) as sender, house() as home:
        a = await home.joined("a", uplink=sender)
        with pytest.raises(EmptyStreamError):
            await a.client.publish(SCREEN)


@pytest.mark.row("U34")
async def test_another_camera_and_another_size_are_told() -> None:
    async with uplink(camera=True) as sender, house() as home:
        a, b = await home.joined("a", uplink=sender), await home.joined("b")
        await a.client.publish(LocalStream(video=False))
        stream = (await b.heard(StreamAdded)).stream
        await a.client.publish(LocalStream(video_track="front", width=640, height=360))
        await a.client.publish(LocalStream(video_track="back", width=640, height=360))
        await a.client.publish(LocalStream(video_track="back", width=1280, height=720))
        await a.client.unpublish("main", ("audio",))
        await b.heard(StreamUpdated, 4)
        told = [(event.added, event.replaced, event.removed, event.video_spec) for event in b.of(StreamUpdated)]
        assert told == [
            (("video",), (), (), None),
            ((), ("video",), (), None),
            ((), (), (), (1280, 720)),
            ((), (), ("audio",), None),
        ]
        assert all(event.stream is stream for event in b.of(StreamUpdated))
