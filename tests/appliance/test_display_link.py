"""The unit's own screen in a real room: who is shown, and that nothing is decoded for nobody."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace

import pytest

from appliance import display_link as display_link_module
from appliance.display_link import UNDECRYPTABLE, DisplayLink, DisplaySettings
from appliance.events import Bus
from appliance.intercom import CallRules
from appliance.intercom_link import IntercomLink
from appliance.intercom_settings import IntercomSettings
from appliance.room.events import ActiveSpeaker, LoginState
from appliance.room.undecryptable import Undecryptable
from appliance.session import Session
from hw import Scene, ScreenClosedError
from hw.mock import MockDisplay
from tests.appliance.unit import MockDevices, hub_at, settings, token, until

DAY = DisplaySettings("Front door")
NIGHT = DisplaySettings("Front door", night="22:00-06:00")
NOON = datetime.datetime(2026, 11, 28, 12, 5, 30, tzinfo=datetime.UTC)


@dataclass
class Shown:
    display: MockDisplay
    link: DisplayLink
    session: Session
    intercom: IntercomLink
    bus: Bus
    devices: MockDevices

    async def until(self, condition: Callable[[Scene], object], what: str = "") -> Scene:
        await until(lambda: self.display.scene is not None and condition(self.display.scene), what)
        assert self.display.scene is not None
        return self.display.scene


@asynccontextmanager
async def unit_at(
    url: str,
    user_id: str = "unit",
    *,
    auto_join: bool = True,
    now: datetime.datetime = NOON,
    peers: tuple[str, ...] = (),
    shows: DisplaySettings = DAY,
) -> AsyncIterator[Shown]:
    devices, bus, display = MockDevices(), Bus(), MockDisplay()
    session = Session(settings(url, auto_join=auto_join, user_id=user_id), devices.drivers, bus)
    intercom = IntercomLink(session, bus, IntercomSettings(rules=CallRules(), mint=token, peers=peers))
    link = DisplayLink(display, session, intercom, bus, shows, now=lambda: now)
    tasks = [
        asyncio.create_task(run(), name=name)
        for name, run in (("session", session.run), ("intercom", intercom.run), ("display", link.run))
    ]
    try:
        await until(lambda: session.client is not None and session.client.login_state is LoginState.CONNECTED)
        yield Shown(display, link, session, intercom, bus, devices)
    finally:
        for task in reversed(tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert not display.is_open


def keys(scene: Scene) -> list[str]:
    return [tile.key for tile in scene.tiles]


async def test_alone_it_shows_the_time_and_then_who_comes() -> None:
    async with hub_at() as (_, url), unit_at(url) as unit:
        idle = await unit.until(lambda scene: scene.title)
        assert (idle.title, idle.subtitle) == ("12:05", "Front door \N{MIDDLE DOT} lobby")
        async with unit_at(url, "anna") as anna:
            scene = await unit.until(lambda scene: scene.tiles and scene.tiles[0].frame is not None, "her picture")
            assert (keys(scene), scene.tiles[0].label) == (["anna/main"], "The unit")
            assert (scene.tiles[0].width, scene.tiles[0].height) == (1280, 720)
            first = scene.tiles[0].frame
            await unit.until(lambda scene: scene.tiles[0].frame not in (None, first), "the next picture")
            await anna.session.gates.set("video", True)
            await unit.until(lambda scene: scene.tiles[0].frame is None, "no picture of a muted camera")
        await unit.until(lambda scene: scene.title == "12:05", "the time again")


async def test_pictures_are_decoded_only_of_who_is_shown() -> None:
    async with hub_at() as (_, url), AsyncExitStack() as stack:
        unit = await stack.enter_async_context(unit_at(url))
        await stack.enter_async_context(unit_at(url, "anna"))
        await unit.until(lambda scene: scene.tiles and scene.tiles[0].frame is not None)
        stream = unit.session.peers["anna"].streams["main"]
        client, video = unit.session.client, stream.video
        assert client is not None
        assert video is not None
        assert video.wanted
        assert client.received_layer(stream) == "high"
        unit.display.resize(320, 180)
        await until(lambda: client.received_layer(stream) == "low", "a small picture for a small screen")
        unit.display.unplug()
        await until(lambda: not unit.display.is_open)
        assert not video.wanted
        await until(lambda: client.received_layer(stream) == "none", "nobody looks")
        assert unit.link.health == "ok: mock-display: gone"


async def test_who_speaks_is_marked_and_a_smaller_screen_followed() -> None:
    async with hub_at() as (_, url), AsyncExitStack() as stack:
        unit = await stack.enter_async_context(unit_at(url))
        for name in ("anna", "bert"):
            await stack.enter_async_context(unit_at(url, name))
        await unit.until(lambda scene: len(scene.tiles) == 2)

        def is_bert_marked(scene: Scene) -> bool:
            unit.bus.publish(ActiveSpeaker(user_id="bert"))  # again: the others' tones are heard, too
            return [tile.key for tile in scene.tiles if tile.is_marked] == ["bert/main"]

        await unit.until(is_bert_marked, "bert marked")
        unit.display.resize(600, 1000)
        await unit.until(lambda scene: [tile.height for tile in scene.tiles] == [500, 500], "below each other")


async def test_who_cannot_be_decrypted_is_a_name_with_a_key_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Undecryptable, "look", lambda self, tracks: set(tracks))  # the hub lets in nobody with two keys
    async with hub_at() as (_, url), unit_at(url) as unit, unit_at(url, "anna"):
        scene = await unit.until(lambda scene: any(UNDECRYPTABLE in tile.label for tile in scene.tiles), "marked")
        assert [(tile.key, tile.frame) for tile in scene.tiles] == [("anna/main", None)]


async def test_who_rings_is_shown_out_of_any_room_and_at_night() -> None:
    night = NOON.replace(hour=23)
    async with (
        hub_at() as (_, url),
        unit_at(url, auto_join=False, now=night, shows=NIGHT) as unit,
        unit_at(url, "anna", auto_join=False, peers=("unit",)) as anna,
    ):
        assert await unit.until(lambda scene: True) == Scene()
        anna.intercom.call()
        await unit.until(lambda scene: scene.title == "The unit" and scene.subtitle, "who rings")
        anna.intercom.hang_up()
        await unit.until(lambda scene: scene == Scene(), "dark again")


async def test_by_night_it_is_dark_until_somebody_comes() -> None:
    async with hub_at() as (_, url), unit_at(url, now=NOON.replace(hour=3), shows=NIGHT) as unit:
        assert await unit.until(lambda scene: True) == Scene()
        async with unit_at(url, "anna"):
            await unit.until(lambda scene: scene.tiles)


@pytest.mark.parametrize("is_required", [True, False])
async def test_a_screen_that_comes_later_is_used(is_required: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display_link_module, "LOOK_AGAIN_S", 0.05)
    async with hub_at() as (_, url), unit_at(url, shows=replace(DAY, is_required=is_required)) as unit:
        await unit.until(lambda scene: scene.title)
        unit.display.unplug()
        await until(lambda: "no screen is connected" in unit.link.health)
        assert unit.link.health.startswith("degraded" if is_required else "ok: ")
        unit.display.plug()
        await unit.until(lambda scene: scene.title)
        assert unit.link.health == "ok"


async def test_a_window_that_somebody_closed_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def watched(seconds: float) -> None:
        waits.append(seconds)
        await sleep(min(seconds, 3600))

    monkeypatch.setattr(asyncio, "sleep", watched)
    async with hub_at() as (_, url), unit_at(url) as unit:
        await unit.until(lambda scene: scene.title)
        waits.clear()
        unit.display.unplug(ScreenClosedError("somebody closed the window"))
        await until(lambda: not unit.display.is_open and float("inf") in waits)


async def test_a_driver_that_fails_does_not_take_the_unit_along(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise ZeroDivisionError("a fault of the driver")

    monkeypatch.setattr(MockDisplay, "start", fails)
    async with hub_at() as (_, url), unit_at(url) as unit:
        await until(lambda: "a fault of the driver" in unit.link.health)
