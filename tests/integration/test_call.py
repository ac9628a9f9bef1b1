"""The whole call: the appliance as its users start it, a real Chromium on the other side."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from appliance.hub.token_secret import load_or_create_secret
from appliance.hub.tokens import TokenSigner
from appliance.state_dir import TOKEN_SECRET_FILE
from hw.frame_code import read_code
from tests.integration.browser import chromium, hears, join, open_page, picture, until, user_id, write_tone
from tests.integration.programs import Unit, appliance, demo, free_port, program
from tests.integration.sound_and_picture import coded_clip, jpeg_code, two_codes, until_played

pytestmark = pytest.mark.chromium

UNIT_HZ, BROWSER_HZ = 1000, 600
BROWSER_CODES = 5000


@pytest.fixture
def unit_tone(tmp_path: Path) -> Path:
    return write_tone(tmp_path / "unit.wav", UNIT_HZ)


@asynccontextmanager
async def visitor(tmp_path: Path, frequency_hz: int = BROWSER_HZ) -> AsyncIterator[Browser]:
    """A browser that hums at `frequency_hz` and shows pictures that count from 5000."""
    tone = write_tone(tmp_path / f"browser-{frequency_hz}.wav", frequency_hz)
    clip = coded_clip(tmp_path / f"browser-{frequency_hz}.y4m", BROWSER_CODES)
    async with chromium(audio=tone, video=clip) as browser:
        yield browser


def unit_config(port: int, *, url: str = "hub:", token: str = "", more: str = "", user: str = "unit") -> str:
    return f"""
[room]
url = "{url}"
user = "{user}"
token = "{token}"
[network]
ice_addresses = ["127.0.0.1"]
[web]
host = "127.0.0.1"
port = {port}
tls = "off"
[gpio]
driver = "mock"
{more}
"""


async def token_for(state_dir: Path, config: str, user: str, *options: str) -> str:
    """What `room-appliance token` prints: the token is on the first line."""
    file = state_dir / "hub.toml"
    file.write_text(config)
    return (await run_command(state_dir, "token", "--config", str(file), "--room", "lobby", "--user", user, *options))[
        0
    ]


async def run_command(state_dir: Path, *arguments: str) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "appliance",
        *arguments,
        env=os.environ | {"STATE_DIRECTORY": str(state_dir)},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().splitlines()


def audible(state: dict[str, Any]) -> set[str]:
    return {peer["user_id"] for peer in state["peers"] if (peer["audio"] or {}).get("level")}


async def both_hear_and_see(unit: Unit, page: Page, unit_id: str, unit_hz: float = UNIT_HZ) -> None:
    browser_id = await user_id(page)

    async def at_browser() -> int | None:
        return read_code(await picture(page, unit_id))

    async def at_unit() -> int | None:
        async with unit.http.get(f"{unit.url}/panel/peer.jpg", params={"user": browser_id}) as answer:
            return jpeg_code(await answer.read()) if answer.status == 200 else None

    await until(page, hears(unit_id, unit_hz))
    await until_played(unit, BROWSER_HZ)
    await until(page, f"room.peers.some((peer) => peer.userId === '{unit_id}' && peer.video?.width > 0)")
    await two_codes(at_browser)
    for code in await two_codes(at_unit):
        assert BROWSER_CODES <= code < BROWSER_CODES + 60


async def test_demo_and_browser_hear_and_see_each_other(tmp_path: Path, unit_tone: Path) -> None:
    async with demo(tmp_path / "unit", microphone=unit_tone) as unit, visitor(tmp_path) as browser:
        state = await unit.connected()
        page = await join(browser, unit.room_url(), name="Anna")
        await both_hear_and_see(unit, page, state["user_id"])


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_either_video_codec(tmp_path: Path, codec: str) -> None:
    tone, port = write_tone(tmp_path / "unit.wav", UNIT_HZ), free_port()
    more = f'[audio]\ndriver = "file"\nmicrophone_file = "{tone}"\n[video]\ndriver = "mock"\ncodec = "{codec}"\n'
    config = unit_config(port, more=more)
    state_dir = tmp_path / "unit"
    async with appliance(state_dir, config, port) as unit, visitor(tmp_path) as browser:
        await unit.connected()
        token = await token_for(state_dir, config, "anna")
        page = await join(browser, unit.room_url(token=token), name="Anna", query=f"&codec={codec}")
        await both_hear_and_see(unit, page, "unit")
        stats = await page.evaluate("room.stats()")
        used = {name for leg in [*stats["downlinks"].values(), *stats["uplinks"]] for name in leg["codecs"]}
        assert used == {"audio/opus", f"video/{codec.upper()}"}


async def test_mute_button_silences_the_browser_and_lights_the_led(tmp_path: Path, unit_tone: Path) -> None:
    async with demo(tmp_path / "unit", microphone=unit_tone) as unit, visitor(tmp_path) as browser:
        state = await unit.connected()
        page = await join(browser, unit.room_url(), name="Anna")
        peer = f"room.peers.find((peer) => peer.userId === '{state['user_id']}')"
        await until(page, hears(state["user_id"], UNIT_HZ))
        await unit.click("mute")
        state = await unit.until(lambda state: bool(state["mute"]["audio"]))
        assert state["leds"]["mute"] == "on"
        await until(page, f"{peer}.audio.muted && {peer}.audio.level === 0")
        await unit.click("mute")
        await until(page, hears(state["user_id"], UNIT_HZ))
        assert (await unit.until(lambda state: not state["mute"]["audio"]))["leds"]["mute"] == "off"


async def test_kick_and_disband_show_their_words(tmp_path: Path) -> None:
    async with demo(tmp_path / "unit") as unit, chromium() as browser:
        await unit.connected()
        page = await join(browser, unit.room_url(), name="Anna")
        await unit.post(f"/admin/rooms/lobby/members/{await user_id(page)}/kick", {"message": "Time is up"})
        await until(page, "room.state === 'ended'")
        assert await page.get_by_text("Time is up").is_visible()
        page = await join(browser, unit.room_url(), name="Anna")
        status, _ = await unit.send("DELETE", "/admin/rooms/lobby")
        assert status < 300
        await until(page, "room.state === 'ended'")
        assert await page.locator("html[data-ending=room-closed]").count() == 1
        await unit.until(lambda state: state["connection"]["reason"] == "ROOM_CLOSED")


async def test_full_room_and_bad_tokens_show_their_words(tmp_path: Path) -> None:
    port, state_dir = free_port(), tmp_path / "unit"
    config = unit_config(
        port, more='[audio]\ndriver = "mock"\n[video]\ndriver = "mock"\n[hub]\nroom_capacity = 2\ntoken_ttl = 60\n'
    )
    async with appliance(state_dir, config, port) as unit, chromium() as browser:
        await unit.connected()
        await join(browser, unit.room_url(token=await token_for(state_dir, config, "anna")), name="Anna")
        third = await token_for(state_dir, config, "ben")
        signer = TokenSigner(load_or_create_secret(state_dir / TOKEN_SECRET_FILE))
        expired = signer.sign("cleo", "lobby", "host", "Cleo", 60, time.time() - 3600)
        for token, code in ((third, "room-full"), (third[:-3] + "AAA", "token-invalid"), (expired, "token-expired")):
            page = await open_page(browser, unit.room_url(token=token).replace("#", "?auto=1&name=Ben#"))
            await until(page, "room.state === 'ended'")
            assert await page.evaluate("room.reason") == code
            assert len(await page.inner_text("#ended-title")) > 5
            await page.context.close()


async def test_hub_killed_under_a_call_and_back(tmp_path: Path, unit_tone: Path) -> None:
    hub_port, port, hub_dir = free_port(), free_port(), tmp_path / "hub"
    hub_config = hub_dir / "hub-program.toml"
    hub_dir.mkdir()
    text = unit_config(hub_port)
    hub_config.write_text(text)
    token = await token_for(hub_dir, text, "unit")
    more = (
        f'[audio]\ndriver = "file"\nmicrophone_file = "{unit_tone}"\n[video]\ndriver = "mock"\n[hub]\nenabled = false\n'
    )
    config = unit_config(port, url=f"ws://127.0.0.1:{hub_port}", token=token, more=more)
    anna = await token_for(hub_dir, text, "anna")
    hub_arguments = ("hub", "--config", str(hub_config))
    async with (
        visitor(tmp_path) as browser,
        program(hub_dir, hub_port, *hub_arguments) as hub,
        appliance(tmp_path / "unit", config, port) as unit,
    ):
        await unit.connected()
        page = await join(browser, hub.room_url(token=anna), name="Anna")
        await both_hear_and_see(unit, page, "unit")
        await hub.kill()
        await unit.until(lambda state: state["connection"]["state"] == "RECONNECTING")
        await until(page, "room.state === 'reconnecting'")
        async with program(hub_dir, hub_port, *hub_arguments):
            await asyncio.gather(unit.connected(3.0), until(page, "room.state === 'connected'", 3.0))
            await both_hear_and_see(unit, page, "unit")
            assert (await unit.state())["peers"][0]["user_id"] == "anna"


async def test_two_browsers_and_two_appliances_in_one_room(tmp_path: Path) -> None:
    hz = {"one": 800, "two": 1200, "anna": 500, "ben": 700}
    tones = {user: write_tone(tmp_path / f"{user}.wav", hz[user]) for user in ("one", "two")}
    small = '[video]\ndriver = "mock"\nwidth = 320\nheight = 180\nfps = 10\n'

    def sources(user: str) -> str:
        return f'[audio]\ndriver = "file"\nmicrophone_file = "{tones[user]}"\n{small}'

    first_port, second_port = free_port(), free_port()
    first = unit_config(first_port, user="one", more=sources("one"))
    first_dir = tmp_path / "one"
    async with appliance(first_dir, first, first_port) as one:
        await one.connected()
        token = {user: await token_for(first_dir, first, user) for user in ("two", "anna", "ben")}
        second = unit_config(
            second_port,
            url=f"ws://127.0.0.1:{first_port}",
            token=token["two"],
            user="two",
            more=sources("two") + "[hub]\nenabled = false\n",
        )
        async with (
            appliance(tmp_path / "two", second, second_port) as two,
            visitor(tmp_path, hz["anna"]) as annas,
            visitor(tmp_path, hz["ben"]) as bens,
        ):
            anna = await join(annas, one.room_url(token=token["anna"]), name="Anna")
            ben = await join(bens, one.room_url(token=token["ben"]), name="Ben")
            for page, others in ((anna, ("one", "two", "ben")), (ben, ("one", "two", "anna"))):
                for user in others:
                    await until(page, hears(user, hz[user]))
                    await until(page, f"room.peers.find((peer) => peer.userId === '{user}').video?.width > 0")
            for unit, users in ((one, {"two", "anna", "ben"}), (two, {"one", "anna", "ben"})):
                state = await unit.until(lambda state, users=users: audible(state) == users)  # type: ignore[misc]
                assert state["network_quality"]["downlink"] in range(1, 6)
