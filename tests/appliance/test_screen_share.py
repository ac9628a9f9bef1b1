"""What a unit shares beside its camera, in a real room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from appliance import screen_share as screen_share_module
from appliance.events import Bus
from appliance.room.client import RoomClient
from appliance.room.events import (
    ConnectionState,
    MuteForced,
    ScreenMuted,
    ScreenShareStopped,
    ScreenUnmuted,
    StreamAdded,
    StreamRemoved,
)
from appliance.screen_share import ScreenShare
from appliance.session import Session
from appliance.unit_events import MuteChanged
from hw import Camera, HardwareError, OnLost, PictureSink
from hw.mock import MockCamera
from hw.synthetic import SyntheticCamera
from tests.appliance.room.house import Guest
from tests.appliance.room.media import playout
from tests.appliance.unit import SIGNER, MockDevices, hub_at, running, settings, until


@asynccontextmanager
async def viewing() -> AsyncIterator[tuple[str, Guest]]:
    """The address of a hub, and a moderator in its room."""
    async with playout() as player, hub_at() as (_, url):
        viewer = Guest(RoomClient(url, playout=player))
        try:
            as_moderator = SIGNER.sign("viewer", "lobby", "host", "", 600, time.time(), moderator=True)
            await viewer.client.join("lobby", "viewer", as_moderator)
            yield url, viewer
        finally:
            await viewer.client.destroy()


class Source:
    """Makes cameras, one after the other."""

    def __init__(self, make: Callable[[], MockCamera] | None = None) -> None:
        self.made: list[MockCamera] = []
        self._make = make or (lambda: MockCamera(SyntheticCamera(320, 192, 15)))

    def __call__(self) -> Camera:
        self.made.append(self._make())
        return self.made[-1]


@asynccontextmanager
async def sharing(url: str, share: ScreenShare) -> AsyncIterator[tuple[Session, Bus]]:
    bus = Bus()
    session = Session(settings(url), MockDevices().drivers, bus, share)
    async with running(session):
        await until(lambda: session.state is ConnectionState.CONNECTED)
        yield session, bus


def screens(viewer: Guest) -> list[str]:
    return [stream.user_id for stream in viewer.client.streams if stream.name == "screen"]


@pytest.mark.row("U71")
async def test_it_is_shared_until_its_source_ends_and_again_when_that_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen_share_module, "REOPEN_DELAYS_S", (0.05,))
    source = Source()
    share = ScreenShare(source, shared=True)
    async with viewing() as (url, viewer), sharing(url, share) as (_, bus):
        with bus.subscribe(ScreenShareStopped, name="test") as stopped:
            await until(lambda: screens(viewer) == ["unit"], "shared")
            stream = next(stream for stream in viewer.client.streams if stream.name == "screen")
            await viewer.client.subscribe(stream)
            assert stream.video is not None
            with stream.video.watch():
                async with asyncio.timeout(5):
                    frame = await stream.video.wait_frame()
            assert (frame.width, frame.height) == (320, 192)
            assert share.is_shared
            source.made[0].unplug()
            event = await asyncio.wait_for(anext(stopped), 5)
            assert isinstance(event, ScreenShareStopped)
            assert event.stream.name == "screen"
            await until(lambda: stream in [event.stream for event in viewer.of(StreamRemoved)], "withdrawn")
            await until(lambda: screens(viewer) == ["unit"], "shared again")
            assert len(source.made) == 2


@pytest.mark.row("U71")
async def test_the_stop_button(monkeypatch: pytest.MonkeyPatch) -> None:
    share = ScreenShare(Source(), shared=False)
    async with viewing() as (url, viewer), sharing(url, share) as (session, bus):
        with bus.subscribe(ScreenShareStopped, name="test") as stopped:
            await until(lambda: viewer.of(StreamAdded))
            assert screens(viewer) == []
            share.share(True)
            await until(lambda: screens(viewer) == ["unit"])
            share.share(False)
            await asyncio.wait_for(anext(stopped), 5)
            await until(lambda: screens(viewer) == [])
            assert not share.is_shared
            assert session.uplink is not None
            assert not session.uplink.has("screen")


@pytest.mark.row("U47", "U48", "U49")
async def test_a_host_stops_it_and_only_a_host_brings_it_back() -> None:
    share = ScreenShare(Source(), shared=True)
    async with viewing() as (url, viewer), sharing(url, share) as (session, bus):
        await until(lambda: screens(viewer) == ["unit"], "shared")
        stream = next(stream for stream in viewer.client.streams if stream.name == "screen")
        await viewer.client.subscribe(stream)
        assert session.uplink is not None
        uplink = session.uplink

        def received() -> int:
            return sum(report.stats.packets for report in viewer.client.leg_reports() if report.stream == "screen")

        await viewer.client.mute_peer("unit", "screen")
        await viewer.heard(ScreenMuted)
        assert (told := bus.latest(MuteChanged)) is not None
        assert (told.screen, told.video) == (True, False)
        assert uplink.is_muted("screen")
        assert session.gates.forced == {"screen"}

        async def capture(pictures: int) -> None:
            made = uplink.captured("screen")
            await until(lambda: uplink.captured("screen") >= made + pictures, "the source goes on")

        await capture(5)  # what was on its way has come
        arrived = received()
        await capture(10)
        assert received() == arrived, "nothing leaves"
        await session.share_screen(True)
        assert uplink.is_muted("screen")

        await viewer.client.unmute_peer("unit", "screen")
        await viewer.heard(ScreenUnmuted)
        assert not session.gates.forced
        assert not uplink.is_muted("screen")
        await until(lambda: received() > arrived + 5, "it is seen again")
        assert screens(viewer) == ["unit"], "the same stream"


async def test_what_its_own_user_has_stopped_no_host_starts() -> None:
    share = ScreenShare(Source(), shared=True)
    async with viewing() as (url, viewer), sharing(url, share) as (session, bus):
        await until(lambda: screens(viewer) == ["unit"], "shared")
        await session.gates.set("screen", True)
        await viewer.client.mute_peer("unit", "screen")
        await until(lambda: session.gates.forced == {"screen"})
        with bus.subscribe(MuteForced, name="test") as forced:
            await viewer.client.unmute_peer("unit", "screen")
            await asyncio.wait_for(anext(forced), 5)
        await viewer.client.mute_peer("unit", "screen")
        await until(lambda: session.gates.forced == {"screen"})
        await session.gates.set("screen", False)  # a wish for later
        await session.gates.set("screen", True)  # and taken back
        await viewer.client.unmute_peer("unit", "screen")
        await until(lambda: not session.gates.forced)
        await session.gates.set("audio", True)
        await until(
            lambda: any(
                stream.name == "main" and stream.is_muted("audio")
                for stream in viewer.client.peers["unit"].streams.values()
            ),
            "what is said later has come",
        )
        assert session.is_muted("screen")
        assert viewer.of(ScreenUnmuted) == []


async def test_a_mute_of_one_stay_is_over_with_it() -> None:
    share = ScreenShare(Source(), shared=True)
    async with viewing() as (url, viewer), sharing(url, share) as (session, _):
        await until(lambda: screens(viewer) == ["unit"], "shared")
        await viewer.client.mute_peer("unit", "screen")
        await viewer.client.mute_peer("unit", "video")
        await until(lambda: session.gates.forced == {"screen", "video"})
        await session.attendance.leave()
        session.attendance.join()
        await until(lambda: screens(viewer) == ["unit"], "shared again")
        await until(lambda: not viewer.client.peers["unit"].streams["screen"].is_muted("video"), "and seen")
        assert session.is_muted("video"), "a person decides of the camera"


async def test_out_of_the_room_its_source_is_closed() -> None:
    source = Source()
    share = ScreenShare(source, shared=True)
    async with viewing() as (url, viewer), sharing(url, share) as (session, _):
        await until(lambda: screens(viewer) == ["unit"])
        await session.attendance.leave()
        await until(lambda: session.uplink is not None and not session.uplink.has("screen"))
        session.attendance.join()
        await until(lambda: screens(viewer) == ["unit"])
        assert len(source.made) == 2


class Broken(MockCamera):
    def start(self, sink: PictureSink, on_lost: OnLost) -> None:
        raise HardwareError("/dev/video9 is not there")


async def test_a_source_that_cannot_be_opened_says_why_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen_share_module, "REOPEN_DELAYS_S", (0.05,))
    makers = [Broken, Broken, lambda: MockCamera(SyntheticCamera(320, 192, 15))]
    source = Source(lambda: makers.pop(0)())
    share = ScreenShare(source, shared=True)
    async with viewing() as (url, viewer), sharing(url, share):
        await until(lambda: "video9" in share.error)
        await until(lambda: screens(viewer) == ["unit"])
        assert share.error == ""


async def test_a_unit_with_nothing_to_share() -> None:
    share = ScreenShare(None, shared=True)
    share.share(True)
    assert not share.is_available
    assert not share.is_wished
