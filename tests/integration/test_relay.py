"""Relaying a live room: into nginx over RTMP and read back picture by picture, and into files (U85 to U88)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from appliance.errors import (
    InvalidArgumentError,
    NotJoinedError,
    ProfileError,
    RoleError,
    TaskExistsError,
    TaskLimitError,
    TaskNotFoundError,
)
from appliance.room import Canvas, LayoutImage, LayoutUser, RtmpTask, TaskAudio, TaskLayout
from appliance.room.events import RtmpState
from hw.frame_code import read_code
from tests.appliance.room.house import Guest, House, house
from tests.integration import axe, browser
from tests.integration.programs import program
from tests.integration.stage import (
    BLUE,
    FPS,
    GREEN,
    RED,
    WHITE,
    YELLOW,
    HubAt,
    color_at,
    flat,
    is_like,
    performer,
    strength,
)
from tests.rtmp_server import RtmpServer, Watched, free_port, rtmp_server, watch

pytestmark = pytest.mark.alone

ANNA_HZ, BEN_HZ = 500.0, 1300.0
SIDE_BY_SIDE = TaskLayout(
    canvas=Canvas(width=640, height=360, color=40 * 65536 + 40 * 256 + 210),
    users=(
        LayoutUser(user_id="anna", x=0, y=0, width=320, height=180),
        LayoutUser(user_id="ben", x=320, y=180, width=320, height=180, push_audio=False),
    ),
)


@pytest.fixture
def server(tmp_path: Path) -> Any:
    with rtmp_server(tmp_path / "nginx") as running:
        yield running


@asynccontextmanager
async def stage(directory: Path, *, ben: bool = True, **settings: Any) -> AsyncIterator[tuple[House, Guest]]:
    """A hub with recordings, and anna (red, 500 Hz) and ben (green, 1300 Hz) on it."""
    async with AsyncExitStack() as stack:
        defaults: dict[str, Any] = {"relay_hosts": ("127.0.0.1",), "recordings_bytes": 10**8}
        home = await stack.enter_async_context(house(state_path=directory, **(defaults | settings)))
        anna = await stack.enter_async_context(performer(home, "anna", RED, ANNA_HZ))
        if ben:
            await stack.enter_async_context(performer(home, "ben", GREEN, BEN_HZ))
        yield home, anna


async def told(guest: Guest, code: int, count: int = 1, timeout_s: float = 15.0) -> RtmpState:
    """The `count`th rtmp_state with this code."""
    async with asyncio.timeout(timeout_s):
        while len(found := [event for event in guest.of(RtmpState) if event.code == code]) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found[count - 1]


def shows(where: dict[tuple[int, int], tuple[int, int, int]]) -> Any:
    """Whether the newest picture has these colors at these points."""

    def look(seen: Watched) -> bool:
        if not seen.pictures:
            return False
        return all(is_like(color_at(seen.pictures[-1], *point), color) for point, color in where.items())

    return look


@pytest.mark.row("U85", "U86", "U87", "U88")
async def test_who_is_where_and_who_speaks(tmp_path: Path, server: RtmpServer) -> None:
    async with stage(tmp_path) as (_, anna):
        task = RtmpTask(task_id="show", stream_url=server.url("show"), layout=SIDE_BY_SIDE, extra_info="a note")
        await anna.client.add_tasks([task])
        state = await told(anna, 505)
        assert (state.task_id, state.url, state.host_user_id) == ("show", server.url("show"), "anna")
        both = {(160, 60): RED, (480, 240): GREEN, (480, 60): BLUE, (160, 300): BLUE}
        seen = await watch(server.url("show"), until=lambda seen: shows(both)(seen) and seen.times_s[-1] > 3)
        assert shows(both)(seen), [color_at(seen.pictures[-1], *point) for point in both]
        assert seen.size == (640, 360)
        assert (seen.rate_hz, seen.channels) == (48_000, 2)
        # The pictures move as anna's do, at the stream's own pace.
        steady = list(zip(seen.times_s[-40:], map(code_of, seen.pictures[-40:]), strict=True))
        known = [(at_s, code) for at_s, code in steady if code is not None]
        (first_s, first), (last_s, last) = known[0], known[-1]
        assert len(known) > 10
        assert [code for _, code in known] == sorted(code for _, code in known)
        assert (last - first) / FPS == pytest.approx(last_s - first_s, abs=0.3)
        heard = seen.sound[-48_000:]
        assert strength(heard, 48_000, ANNA_HZ) > 0.03
        assert strength(heard, 48_000, BEN_HZ) < 0.01

        moved = (
            LayoutUser(user_id="anna", x=0, y=0, width=640, height=360, push_audio=False),
            LayoutUser(user_id="ben", x=16, y=16, width=200, height=200, z_order=5, adaption="fit"),
        )
        updated = msgspec.structs.replace(task, layout=msgspec.structs.replace(SIDE_BY_SIDE, users=moved))
        await anna.client.update_tasks([updated])
        over = {(116, 110): GREEN, (116, 30): RED, (400, 250): RED}
        again = await watch(server.url("show"), until=lambda seen: shows(over)(seen) and seen.times_s[-1] > 2.5)
        assert shows(over)(again), [color_at(again.pictures[-1], *point) for point in over]
        heard = again.sound[-24_000:]
        assert strength(heard, 48_000, BEN_HZ) > 0.03
        assert strength(heard, 48_000, ANNA_HZ) < 0.01
        assert [event.code for event in anna.of(RtmpState)] == [505]

        wider = msgspec.structs.replace(updated, layout=TaskLayout(canvas=Canvas(width=321, height=240), users=moved))
        await anna.client.update_tasks([wider])
        await told(anna, 505, 2)
        assert (await watch(server.url("show"), until=lambda seen: seen.pictures)).size == (320, 240)
        begun = threading.Event()
        to_the_end = asyncio.create_task(
            watch(server.url("show"), until=lambda seen: begun.set() if seen.pictures else None)
        )
        assert await asyncio.to_thread(begun.wait, 10)
        await anna.client.delete_tasks(["show"])
        assert (await told(anna, 511)).message == "deleted"
        assert (await to_the_end).ended

        async def is_quiet() -> bool:
            return not [thread.name for thread in threading.enumerate() if thread.name.startswith("relay")]

        await eventually(is_quiet, 0.05)


@pytest.mark.row("U88")
async def test_a_dead_server_and_one_that_comes_back(tmp_path: Path, server: RtmpServer) -> None:
    async with stage(tmp_path, ben=False) as (_, anna):
        dead = f"rtmp://127.0.0.1:{free_port()}/live/x"
        await anna.client.add_tasks([RtmpTask(task_id="dead", stream_url=dead, layout=SIDE_BY_SIDE)])
        assert "cannot connect" in (await told(anna, 506)).message
        await anna.client.delete_tasks(["dead"])
        await told(anna, 511)
        await anna.client.add_tasks([RtmpTask(task_id="a", stream_url=server.url("a"), layout=SIDE_BY_SIDE)])
        await told(anna, 505)
        server.stop()
        assert (await told(anna, 506, 2)).task_id == "a"
        server.start()
        await told(anna, 505, 2)
        red = {(160, 60): RED, (480, 240): BLUE}
        seen = await watch(server.url("a"), until=shows(red))
        assert shows(red)(seen)
        sound_alone = msgspec.structs.replace(SIDE_BY_SIDE, canvas=Canvas(width=0, height=0))
        await anna.client.update_tasks([RtmpTask(task_id="a", stream_url=server.url("a"), layout=sound_alone)])
        await told(anna, 505, 3)
        seen = await watch(server.url("a"), seconds=1.5, streams=1)
        assert not seen.pictures
        assert strength(seen.sound[-24_000:], 48_000, ANNA_HZ) > 0.03


async def test_screens_and_images_where_somebody_is_absent(tmp_path: Path, server: RtmpServer) -> None:
    (tmp_path / "relay-images").mkdir()
    (tmp_path / "relay-images" / "logo.png").write_bytes(png(WHITE))
    images = (
        LayoutImage(url="hub:logo.png", x=320, y=180, width=320, height=180),
        LayoutImage(url="hub:gone.png", x=0, y=0, width=640, height=360),
    )
    screen = LayoutUser(user_id="ben", stream="screen", x=320, y=0, width=320, height=180)
    layout = msgspec.structs.replace(SIDE_BY_SIDE, images=images, users=(*SIDE_BY_SIDE.users, screen))
    async with stage(tmp_path, ben=False) as (home, anna):
        await anna.client.add_tasks([RtmpTask(task_id="a", stream_url=server.url("a"), layout=layout)])
        assert "gone.png" in (await told(anna, 512)).message
        absent = {(160, 60): RED, (480, 60): BLUE, (480, 240): WHITE}
        assert shows(absent)(await watch(server.url("a"), until=shows(absent)))
        async with performer(home, "ben", GREEN, BEN_HZ, screen=YELLOW) as ben:
            there = {(160, 60): RED, (480, 60): YELLOW, (480, 240): GREEN}
            assert shows(there)(await watch(server.url("a"), until=shows(there)))
            await ben.client.mute("video")
            hidden = {(480, 60): YELLOW, (480, 240): WHITE}
            assert shows(hidden)(await watch(server.url("a"), until=shows(hidden)))


async def test_a_recording_can_be_read_back(tmp_path: Path) -> None:
    async with stage(tmp_path) as (home, anna):
        task = RtmpTask(
            task_id="tape",
            record=True,
            layout=SIDE_BY_SIDE,
            audio=TaskAudio(sample_rate_hz=44_100, channels=1),
            extra_info="evening",
        )
        await anna.client.add_tasks([task])
        await told(anna, 505)
        name = "00000001-stage-tape.mp4"
        path = tmp_path / "recordings" / name
        both = {(160, 60): RED, (480, 240): GREEN}

        async def is_whole() -> bool:
            """Also while it grows."""
            return path.stat().st_size > 100_000 and bool(shows(both)(await watch(str(path))))

        await eventually(is_whole, 0.3)
        assert (await home.admin("DELETE", f"/recordings/{name}")) == 400
        await anna.client.delete_tasks(["tape"])
        await told(anna, 511)

        async def is_done() -> bool:
            return '"growing":true' not in (await home.asked("GET", "/recordings"))[1].replace(" ", "")

        await eventually(is_done, 0.05)
        status, listed = await home.asked("GET", "/recordings")
        assert status == 200
        assert name in listed
        seen = await watch(str(path))
        assert shows(both)(seen)
        assert (seen.rate_hz, seen.channels, seen.metadata["comment"]) == (44_100, 1, "evening")
        assert strength(seen.sound[-22_050:], 44_100, ANNA_HZ) > 0.03
        assert np.median(np.diff(seen.times_s)) == pytest.approx(0.04, abs=0.001)
        assert seen.sound.size / 44_100 == pytest.approx(seen.times_s[-1], abs=0.5)
        assert await home.admin("GET", f"/recordings/{name}") == 200
        assert await home.admin("GET", "/recordings/..%2Fhub.sqlite3") == 404
        assert await home.admin("DELETE", f"/recordings/{name}") == 204
        assert await home.admin("GET", f"/recordings/{name}") == 404


async def test_a_hub_that_is_killed_leaves_a_recording_that_plays(tmp_path: Path) -> None:
    """A hub and nothing else: it had no media until then."""
    port = free_port()
    config = tmp_path / "hub.toml"
    config.write_text(
        f'[web]\nhost = "127.0.0.1"\nport = {port}\ntls = "off"\n[network]\nice_addresses = ["127.0.0.1"]\n'
        "[hub]\nsecure = false\n"
    )
    async with (
        program(tmp_path / "state", port, "hub", "--config", str(config)) as hub,
        performer(HubAt(f"ws://127.0.0.1:{port}"), "anna", RED, ANNA_HZ) as anna,
    ):
        await anna.client.add_tasks([RtmpTask(task_id="tape", record=True, layout=SIDE_BY_SIDE)])
        await told(anna, 505)
        path = tmp_path / "state" / "recordings" / "00000001-stage-tape.mp4"

        async def has_begun() -> bool:
            return path.stat().st_size > 60_000

        await eventually(has_begun, 0.1)
        await hub.kill()
    seen = await watch(str(path))
    assert shows({(160, 60): RED, (480, 240): BLUE})(seen)
    assert len(seen.pictures) >= 50
    assert strength(seen.sound[-24_000:], 48_000, ANNA_HZ) > 0.03


@pytest.mark.chromium
async def test_a_moderator_streams_from_the_room_page(tmp_path: Path, server: RtmpServer) -> None:
    """And a browser's picture is relayed."""
    async with (
        house(state_path=tmp_path, relay_hosts=("127.0.0.1",)) as home,
        performer(home, "ben", GREEN, BEN_HZ),
        browser.chromium() as chromium,
    ):
        page = await browser.join(
            chromium, f"http://127.0.0.1:{home.port}/join/stage", name="Anna", query="&profile=live"
        )
        await browser.until(page, "room.control.mayModerate && room.peers.length === 1")
        await page.click("#open-people")
        await page.click("#open-stream")
        assert await axe.violations(page) == []
        await page.fill("#stream-url", server.url("page"))
        await page.click("#stream-submit")
        running = "document.getElementById('stream-state').textContent.includes('running')"
        await browser.until(page, running)

        def both(seen: Watched) -> bool:
            """The browser's pattern on the left, ben on the right."""
            return shows({(960, 200): GREEN})(seen) and max(color_at(seen.pictures[-1], 320, 200)) > 60

        assert both(await watch(server.url("page"), until=both))
        await page.click("#stream-submit")
        await browser.until(page, "document.getElementById('stream-state').hidden")
        assert not home.hub.rooms.relay.rooms
        await browser.close(page)


@pytest.mark.row("IL14", "IL15", "IL16", "IL17", "IL18")
async def test_what_is_refused(tmp_path: Path) -> None:
    def task(name: str, **fields: Any) -> RtmpTask:
        url = f"rtmp://127.0.0.1:{free_port()}/live/{name}"
        return RtmpTask(**{"task_id": name, "stream_url": url, "layout": SIDE_BY_SIDE, **fields})

    async with house(state_path=tmp_path, relay_hosts=("127.0.0.1",)) as home:
        guest = home.guest()
        for call in (guest.client.add_tasks([task("a")]), guest.client.delete_tasks(["a"])):
            with pytest.raises(NotJoinedError):
                await call
        await guest.client.join("talk", "guest")
        for call in (
            guest.client.add_tasks([task("a")]),
            guest.client.update_tasks([task("a")]),
            guest.client.delete_tasks(["a"]),
        ):
            with pytest.raises(ProfileError):
                await call
        host, viewer = home.guest(), home.guest()
        await host.client.join("stage", "host", profile="live")
        await viewer.client.join("stage", "viewer", profile="live", role="audience")
        with pytest.raises(RoleError):
            await viewer.client.add_tasks([task("a")])
        for wrong in ([], [task("a"), task("b")], [task("no spaces")], [task("a", stream_url="http://127.0.0.1/a/b")]):
            with pytest.raises(InvalidArgumentError):
                await host.client.add_tasks(wrong)
        for name in ("a", "b", "c"):
            await host.client.add_tasks([task(name)])
        with pytest.raises(TaskLimitError):
            await host.client.add_tasks([task("d")])
        _, described = await home.asked("GET", "/rooms/stage")
        listed = msgspec.json.decode(described)["tasks"]
        assert [(one["task_id"], one["host_user_id"], one["record"]) for one in listed] == [
            (name, "host", False) for name in ("a", "b", "c")
        ]
        assert listed[0]["url"].endswith("/live/...")
        assert await home.admin("DELETE", "/rooms/stage/tasks/b") == 204
        assert (await host.heard(RtmpState)).message
        assert await home.admin("DELETE", "/rooms/stage/tasks/b") == 404
        await host.client.add_tasks([task("b")])
        await host.client.delete_tasks(["c"])
        with pytest.raises(TaskExistsError):
            await host.client.add_tasks([task("a")])
        for call in (host.client.delete_tasks(["c"]), host.client.update_tasks([task("c")])):
            with pytest.raises(TaskNotFoundError):
                await call
        assert not viewer.of(RtmpState)
        assert list(viewer.client.peers) == ["host"]


async def eventually(holds: Callable[[], Awaitable[bool]], pause_s: float) -> None:
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - any condition at all
            await asyncio.sleep(pause_s)


def code_of(picture: npt.NDArray[np.uint8]) -> int | None:
    """Anna's frame code, in the upper left quarter."""
    return read_code(np.ascontiguousarray(picture[:180, :320]))


def png(color: tuple[int, int, int]) -> bytes:
    frame = flat(color, 64, 64).reformat(format="rgb24")
    codec: Any = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = 64, 64, "rgb24"
    codec.time_base = Fraction(1, 25)
    return b"".join(bytes(packet) for packet in (*codec.encode(frame), *codec.encode(None)))
