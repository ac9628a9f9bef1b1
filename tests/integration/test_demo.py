"""`room-appliance demo` as a stranger runs it: a real process, driven over HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
import time
import wave
from pathlib import Path

import aiohttp
import numpy as np
import psutil
import pytest

from tests.integration.programs import API_TOKEN, demo, free_port


async def test_it_joins_and_the_mute_button_lights_the_led(tmp_path: Path) -> None:
    async with demo(tmp_path) as unit:
        state = await unit.connected()
        assert state["room"] == "lobby"
        assert state["leds"]["connection"] == "on"
        assert state["leds"]["mute"] == "off"
        await unit.until(lambda now: now["device"]["microphone"] and now["device"]["camera"])
        await unit.click("mute")
        state = await unit.until(lambda now: now["mute"]["audio"])
        await unit.until(lambda now: now["leds"]["mute"] == "on")
        await unit.click("mute")
        await unit.until(lambda now: not now["mute"]["audio"] and now["leds"]["mute"] == "off")
        assert {words.partition(":")[0] for words in state["health"].values()} == {"ok"}


async def test_holding_the_buttons(tmp_path: Path) -> None:
    async with demo(tmp_path) as unit:
        await unit.connected()
        await unit.post("/api/mute", {"audio": True})
        await unit.until(lambda now: now["leds"]["mute"] == "on")
        await unit.post("/panel/buttons/mute", {"action": "press"})  # push to talk
        await unit.until(lambda now: not now["mute"]["audio"])
        await unit.post("/panel/buttons/mute", {"action": "release"})
        await unit.until(lambda now: now["mute"]["audio"])
        await unit.post("/panel/buttons/call", {"action": "press"})  # hang up
        await unit.until(lambda now: now["connection"]["state"] == "DISCONNECTED")
        await unit.post("/panel/buttons/call", {"action": "release"})
        state = await unit.state()
        assert state["leds"]["connection"] == "off"
        assert state["connection"]["retry_at"] is None
        await unit.click("call")
        await unit.connected()


async def test_without_the_token_nothing_is_told(tmp_path: Path) -> None:
    jar = aiohttp.CookieJar(unsafe=True)  # takes cookies of an address
    async with demo(tmp_path) as unit, aiohttp.ClientSession(cookie_jar=jar) as stranger:
        async with stranger.get(f"{unit.url}/api/state") as answer:
            assert answer.status == 401
        async with stranger.post(f"{unit.url}/panel/buttons/mute", json={"action": "click"}) as answer:
            assert answer.status == 401
        async with stranger.get(f"{unit.url}/admin/rooms") as answer:
            assert answer.status == 401
        async with stranger.get(f"{unit.url}/panel") as page:  # a page of the demo has its cookie
            assert page.status == 200
        async with stranger.get(f"{unit.url}/panel/speaker.wav") as answer:
            with wave.open(io.BytesIO(await answer.read())) as wav:
                assert wav.getframerate() == 48_000
        mode = (tmp_path / "token-secret").stat().st_mode
        assert mode & 0o077 == 0


async def test_two_units_hear_each_other(tmp_path: Path) -> None:
    """A demo, and a second program with a token that the first one's hub signed."""
    async with demo(tmp_path) as unit, aiohttp.ClientSession() as http:
        await unit.connected()
        async with http.get(f"{unit.url}/hub/token", params={"room": "lobby", "name": "Visitor"}) as answer:
            token = (await answer.json())["token"]
        port = free_port()
        config = (
            f'[room]\nurl = "ws://127.0.0.1:{unit.port}/hub/ws"\ntoken = "{token}"\n'
            '[audio]\ndriver = "mock"\n[video]\ndriver = "none"\n[gpio]\ndriver = "none"\n'
            '[network]\nice_addresses = ["127.0.0.1"]\n'
            f'[web]\nhost = "127.0.0.1"\nport = {port}\ntls = "off"\n[hub]\nenabled = false\n'
        )
        file = tmp_path / "visitor.toml"
        file.write_text(config)
        environment = os.environ | {"STATE_DIRECTORY": str(tmp_path / "visitor")}
        with (tmp_path / "visitor.log").open("wb") as log:
            visitor = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "appliance", "run", "--config", str(file),
                env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            state = await unit.until(lambda now: any(peer["audio"] for peer in now["peers"]))
            assert state["peers"][0]["video"] is None
            await unit.until(lambda now: now["peers"] and (now["peers"][0]["audio"]["level"] or 0) > 20)
            await asyncio.sleep(1)  # of the voice, to be recorded
            with wave.open(io.BytesIO(await unit.speaker())) as wav:
                samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2")
            assert np.abs(samples[-48_000:].astype(int)).max() > 500
            visitor.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(visitor.wait(), 3) == 0
            await unit.until(lambda now: not now["peers"], timeout_s=2)  # it said good-bye
        finally:
            if visitor.returncode is None:
                visitor.kill()
                await visitor.wait()


async def test_ctrl_c_ends_it_within_two_seconds_and_leaves_nothing(tmp_path: Path) -> None:
    async with demo(tmp_path) as unit:
        await unit.connected()
        page = await unit.http.get(f"{unit.url}/api/events")  # somebody is watching
        children = psutil.Process(unit.process.pid).children(recursive=True)
        assert await unit.stop() < 2
        page.close()
        assert not [child for child in children if child.is_running()]
        log = unit.log.read_text()
    assert "DISCONNECTED (LEAVE)" in log
    assert "left behind" not in log
    assert "Traceback" not in log


async def test_a_second_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    async with demo(tmp_path) as unit:
        await unit.connected()
        start_s = time.monotonic()
        unit.process.send_signal(signal.SIGINT)
        unit.process.send_signal(signal.SIGINT)
        await asyncio.wait_for(unit.process.wait(), 5)
        assert time.monotonic() - start_s < 3


async def test_it_says_where_it_is_and_which_token_opens_it(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "ROOM_APPLIANCE_API_TOKEN"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "appliance", "demo", "--port", "0",
        env=environment | {"STATE_DIRECTORY": str(tmp_path)}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            lines = [(await process.stdout.readline()).decode().strip() for _ in range(5)]
        url = lines[0].split()[-1]
        token = next(line.split()[-1] for line in lines if line.startswith("API token"))
        assert token != API_TOKEN
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{url}api/state", headers={"Authorization": f"Bearer {token}"}) as answer,
        ):
            assert json.loads(await answer.text())["device"]["name"] == "Room appliance"
    finally:
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 5) == 0


@pytest.mark.parametrize("host", ["evil.example", "192.168.1.2"])
async def test_another_name_of_this_computer_is_refused(tmp_path: Path, host: str) -> None:
    async with demo(tmp_path) as unit, unit.http.get(f"{unit.url}/", headers={"Host": host}) as answer:
        assert answer.status == 403
