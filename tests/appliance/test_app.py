"""The composition root within this process: what it refuses, and what it leaves behind (nothing)."""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import psutil
import pytest

from appliance.app import run
from appliance.config import Config, parse
from appliance.config_store import ConfigStore, with_values
from appliance.demo import DemoOptions, demo_keys
from appliance.errors import ConfigError
from appliance.lone_hub import run_hub

MOCK = (
    '[audio]\ndriver = "mock"\n[video]\ndriver = "mock"\n[gpio]\ndriver = "mock"\n[web]\nhost = "127.0.0.1"\nport = 0\n'
)


def store(tmp_path: Path, text: str) -> ConfigStore:
    file = tmp_path / "unit.toml"
    file.write_text(text)
    return ConfigStore(file)


def demo(tmp_path: Path, port: int = 0) -> ConfigStore:
    return ConfigStore(tmp_path / "demo.toml", fixed=demo_keys(DemoOptions(port=port)))


def test_the_demo_is_for_this_computer_only() -> None:
    config = parse('[web]\nhost = "0.0.0.0"\n[hub]\nsecure = false\n', "t")
    demo = with_values(config, demo_keys(DemoOptions(port=1234)))
    assert (demo.web.host, demo.web.port, demo.web.tls) == ("127.0.0.1", 1234, "off")
    assert (demo.room.url, demo.room.room, demo.hub.secure) == ("hub:", "lobby", True)
    assert (demo.audio.driver, demo.video.driver, demo.gpio.driver) == ("mock", "mock", "mock")


def test_the_demo_plays_files_and_shows_devices() -> None:
    demo = with_values(Config(), demo_keys(DemoOptions(camera="a.mp4", microphone="b.wav")))
    assert (demo.video.driver, demo.video.camera_file) == ("file", "a.mp4")
    assert (demo.audio.driver, demo.audio.microphone_file) == ("file", "b.wav")
    demo = with_values(Config(), demo_keys(DemoOptions(camera="/dev/video2")))
    assert (demo.video.driver, demo.video.device) == ("v4l2", "/dev/video2")


async def test_a_film_that_is_missing_is_named(tmp_path: Path) -> None:
    text = MOCK.replace('[video]\ndriver = "mock"', '[video]\ndriver = "file"\ncamera_file = "/no/film"')
    with pytest.raises(ConfigError, match="/no/film"):
        await run(store(tmp_path, text), state_dir=tmp_path / "state")
    assert not (tmp_path / "state").exists()


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is in use"):
            await run(demo(tmp_path, port), state_dir=tmp_path, is_demo=True)


async def _stop(task: asyncio.Task[None]) -> float:
    start_s = time.monotonic()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return time.monotonic() - start_s


async def _said(capsys: pytest.CaptureFixture[str], pattern: str, task: asyncio.Task[None]) -> tuple[str, ...]:
    """The groups of `pattern` in what the program printed."""
    text = ""
    async with asyncio.timeout(15):
        while not (found := re.search(pattern, text, re.DOTALL)):
            if task.done():
                await task
            await asyncio.sleep(0.02)
            text += capsys.readouterr().out
    return found.groups()


async def test_cancelling_the_demo_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await asyncio.to_thread(gc.collect)
    process = psutil.Process()
    before = (asyncio.all_tasks(), set(threading.enumerate()), process.num_fds())
    task = asyncio.create_task(run(demo(tmp_path), state_dir=tmp_path, is_demo=True))
    url, token = await _said(capsys, r"(http://127\.0\.0\.1:\d+)/\n.*API token +(\S+)\n", task)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
        async with asyncio.timeout(10):
            while True:
                async with http.get(f"{url}/api/state") as answer:
                    state = await answer.json()
                device = state["device"]
                if state["connection"]["state"] == "CONNECTED" and device["camera"] and device["microphone"]:
                    break
                await asyncio.sleep(0.05)
    assert await _stop(task) < 2
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before[0]
    left = [t.name for t in set(threading.enumerate()) - before[1] if not t.name.startswith("asyncio_")]
    assert not left
    assert process.num_fds() <= before[2]
    assert stat.S_IMODE((tmp_path / "token-secret").stat().st_mode) == 0o600


async def test_a_unit_with_its_own_certificate_joins_its_own_hub(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOM_APPLIANCE_API_TOKEN", "given")
    task = asyncio.create_task(run(store(tmp_path, MOCK), state_dir=tmp_path))
    (url,) = await _said(capsys, r"(https://127\.0\.0\.1:\d+)/\n", task)
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(connector=connector, headers={"Authorization": "Bearer given"}) as http:
        async with asyncio.timeout(10):
            while True:
                async with http.get(f"{url}/api/state") as answer:
                    if (await answer.json())["connection"]["state"] == "CONNECTED":
                        break
                await asyncio.sleep(0.05)
        async with http.get(f"{url}/") as page:
            assert "Set-Cookie" not in page.headers  # only the demo lets everybody in
    assert await _stop(task) < 2
    assert stat.S_IMODE((tmp_path / "tls.pem").stat().st_mode) == 0o600


async def test_a_unit_whose_front_panel_is_not_there_works_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOM_APPLIANCE_API_TOKEN", "given")
    text = MOCK + f'tls = "off"\n[panel]\nport = "{tmp_path}/no-panel"\n'
    task = asyncio.create_task(run(store(tmp_path, text), state_dir=tmp_path))
    (url,) = await _said(capsys, r"(http://127\.0\.0\.1:\d+)/\n", task)
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer given"}) as http:
        async with asyncio.timeout(10):
            while True:
                async with http.get(f"{url}/api/state") as answer:
                    state = await answer.json()
                if state["connection"]["state"] == "CONNECTED" and "No such file" in state["health"]["front-panel"]:
                    break
                await asyncio.sleep(0.05)
        assert state["health"]["front-panel"].startswith(f"degraded: front panel {tmp_path}/no-panel: No such file")
        assert not state["device"]["panel"]  # the virtual one is for mock hardware
        async with http.get(f"{url}/healthz") as answer:
            assert answer.status == 200
    assert await _stop(task) < 2
    assert not [thread for thread in threading.enumerate() if thread.name == "front-panel"]


async def test_a_unit_in_another_ones_room_says_so_and_invites_nobody_to_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = MOCK + 'tls = "off"\n[room]\nurl = "ws://127.0.0.1:9"\nroom = "office"\n'
    task = asyncio.create_task(run(store(tmp_path, text), state_dir=tmp_path))
    (said,) = await _said(capsys, r"(?s)Room appliance (.*front panel)", task)
    assert "office at ws://127.0.0.1:9" in said
    assert "/join/" not in said
    assert await _stop(task) < 2


async def test_the_hub_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = asyncio.create_task(run_hub(parse(MOCK + 'tls = "off"\n', "t"), state_dir=tmp_path))
    (url,) = await _said(capsys, r"hub (ws://127\.0\.0\.1:\d+/hub/ws)\n.*room-appliance token --room", task)
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as link:
        await link.send_str('{"type":"login","id":1}')
        assert '"token-missing"' in (await link.receive(timeout=5)).data
        base = url.replace("ws:", "http:").removesuffix("/hub/ws")
        async with http.get(f"{base}/healthz") as answer:
            assert answer.status == 200
        async with http.get(f"{base}/", allow_redirects=False) as answer:
            assert (answer.status, answer.content_type) == (200, "text/plain")
            assert "link" in await answer.text()
    assert await _stop(task) < 2
