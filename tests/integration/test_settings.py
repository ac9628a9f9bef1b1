"""Settings of a running unit over HTTP: what applies at once, what a restart takes over, and what is taken back."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from appliance.factory_reset import FORGOTTEN
from tests.integration.programs import Unit, appliance, demo, free_port

STEP_S = 15.0


def config(port: int, more: str = "") -> str:
    return (
        f'# ours\n[device]\nname = "Door"\n[audio]\ndriver = "mock"\n[video]\ndriver = "mock"\nwidth = 320\n'
        f'height = 240\n[gpio]\ndriver = "mock"\n[network]\nice_addresses = ["127.0.0.1"]\n'
        f'[web]\nhost = "127.0.0.1"\nport = {port}\ntls = "off"\n{more}'
    )


async def until(unit: Unit, path: str, condition: Callable[[Any], object], timeout_s: float = STEP_S) -> Any:
    """The first answer of `path` for which `condition` holds; a unit that is away for a moment is asked again."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            found = await unit.get(path)
            if condition(found):
                return found
        except aiohttp.ClientError as exc:
            found = exc
        assert time.monotonic() < deadline_s, f"never so: {found}\n{unit.log.read_text()[-3000:]}"
        await asyncio.sleep(0.05)


async def test_what_can_change_while_running_does(tmp_path: Path) -> None:
    """Name, picture size, the sound card and a pin: the call is the same one afterwards."""
    async with demo(tmp_path) as unit:
        before = await unit.connected()
        await unit.until(lambda state: state["device"]["camera"])
        status, answer = await unit.send(
            "PUT",
            "/api/config",
            {"device.name": "Gate", "video.width": 640, "video.height": 360, "audio.microphone_volume": 50},
        )
        assert (status, answer["restart"]) == (200, [])
        assert len(answer["applied"]) == 4
        state = await unit.until(lambda state: state["device"]["name"] == "Gate" and state["device"]["camera"])
        assert state["connection"] == before["connection"]  # since then, too
        async with asyncio.timeout(STEP_S):
            while True:
                async with unit.http.get(f"{unit.url}/panel/camera.jpg") as picture:
                    if picture.status == 200 and _jpeg_size(await picture.read())[0] == 640:
                        break
                await asyncio.sleep(0.05)
        assert (await unit.get("/api/config"))["config"]["device"]["name"] == "Gate"


async def test_another_room_is_entered_at_once(tmp_path: Path) -> None:
    async with demo(tmp_path) as unit:
        await unit.connected()
        status, answer = await unit.send("PUT", "/api/config", {"room.room": "kitchen"})
        assert (status, answer) == (200, {"applied": ["room.room"], "restart": []})
        state = await unit.until(
            lambda state: state["room"] == "kitchen" and state["connection"]["state"] == "CONNECTED"
        )
        assert not [word for word in state["health"].values() if "restarting" in word]


async def test_the_unit_is_composed_anew_within_a_second(tmp_path: Path) -> None:
    port, next_port = free_port(), free_port()
    async with appliance(tmp_path, config(port), port) as unit:
        await unit.connected()
        status, answer = await unit.send("PUT", "/api/config", {"web.port": next_port, "hub.room_capacity": 4})
        assert (status, sorted(answer["restart"]), answer["applied"]) == (200, ["hub.room_capacity", "web.port"], [])
        assert sorted((await unit.get("/api/config"))["pending"]) == ["hub.room_capacity", "web.port"]
        files = psutil.Process(unit.process.pid).num_fds()
        assert (await unit.send("POST", "/api/restart"))[1] == {"scheme": "", "port": next_port}
        start_s = time.monotonic()
        unit.port = next_port
        await until(unit, "/healthz", lambda answer: answer["status"] == "ok")
        assert time.monotonic() - start_s < 1.5  # two busy cores; 0.4 s alone
        await unit.connected()
        assert (await unit.get("/api/config"))["pending"] == []
        for _ in range(3):
            started_s = await _started_s(unit)
            await unit.post("/api/restart")
            await until(unit, "/api/diagnostics", _begun_after(started_s))
            await unit.connected()
        assert psutil.Process(unit.process.pid).num_fds() <= files + 3
        assert await unit.stop() < 2
    assert "left behind" not in unit.log.read_text()
    assert "# ours" in (tmp_path / "config.toml").read_text()


@pytest.mark.parametrize(
    "changes",
    [{"web.host": "192.0.2.77"}, {"web.port": None}],
    ids=["no such address", "port in use"],
)
async def test_settings_that_cannot_start_are_taken_back(tmp_path: Path, changes: dict[str, Any]) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        if "web.port" in changes:
            changes = {"web.port": taken.getsockname()[1]}
        async with appliance(tmp_path, config(port), port) as unit:
            await unit.connected()
            text = (tmp_path / "config.toml").read_text()
            assert (await unit.send("PUT", "/api/config", changes))[0] == 200
            await unit.send("POST", "/api/restart")
            answer = await until(unit, "/api/config", lambda answer: answer["notice"])
            assert set(answer["notice"]["keys"]) == set(changes)
            assert answer["config"]["web"]["host"] == "127.0.0.1"
            assert not answer["on_trial"]
            assert (tmp_path / "config.toml").read_text() == text
            assert "taken back" in unit.log.read_text()
            await unit.connected()
            assert (await unit.send("DELETE", "/api/config/notice"))[0] == 204
            assert (await unit.get("/api/config"))["notice"] is None


async def test_what_cannot_be_had_is_refused_before_it_is_saved(tmp_path: Path) -> None:
    async with demo(tmp_path) as unit:
        status, answer = await unit.send("PUT", "/api/config", {"web.port": 1})
        assert (status, answer["error"]["field"]) == (422, "web.port")  # the demo's own
        status, answer = await unit.send("PUT", "/api/config", {"video.fps": 0, "device.name": "", "no.key": 1})
        assert status == 422
        assert [problem["field"] for problem in answer["error"]["problems"]] == ["video.fps", "device.name", "no"]
        bodies: list[dict[str, Any]] = [{}, {"device": "x"}, {"device.name": {}}, {".": 1}]
        for body in bodies:
            assert (await unit.send("PUT", "/api/config", body))[0] == 400, body
        assert not (tmp_path / "demo.toml").exists()
    port = free_port()
    async with appliance(tmp_path / "run", config(port), port) as unit:
        changes = {"video.driver": "file", "video.camera_file": "/no/film"}
        status, answer = await unit.send("PUT", "/api/config", changes)
        assert status == 422
        assert "/no/film" in answer["error"]["message"]
        assert (tmp_path / "run" / "config.toml").read_text() == config(port)


async def test_a_unit_that_dies_of_its_settings_comes_back_with_the_last_good_ones(tmp_path: Path) -> None:
    """kill -9 as a watchdog does it, each time before the settings were proved."""
    port = free_port()
    text = config(port)
    async with appliance(tmp_path, text, port) as unit:
        await unit.send("PUT", "/api/config", {"device.name": "Gate"})
        await unit.kill()
    changed = (tmp_path / "config.toml").read_text()
    for _ in range(3):
        async with appliance(tmp_path, changed, port) as unit:
            assert (await unit.get("/api/config"))["config"]["device"]["name"] == "Gate"
            await unit.kill()
    async with appliance(tmp_path, changed, port) as unit:
        answer = await unit.get("/api/config")
        assert answer["config"]["device"]["name"] == "Door"
        assert answer["notice"]["keys"] == ["device.name"]
        assert (tmp_path / "config.toml").read_text() == text


async def test_a_file_broken_by_hand_does_not_keep_the_unit_dead(tmp_path: Path) -> None:
    port = free_port()
    async with appliance(tmp_path, config(port), port) as unit:
        await unit.send("PUT", "/api/config", {"device.name": "Gate"})  # what ran before is good from now on
        unit.process.send_signal(signal.SIGTERM)
        await unit.process.wait()
    async with appliance(tmp_path, config(port) + "[vidoe]\nfps = 3\n", port) as unit:
        answer = await unit.get("/api/config")
        assert "vidoe" in answer["notice"]["reason"]
        assert answer["config"]["device"]["name"] == "Door"
        assert "vidoe" in unit.log.read_text()
        assert "vidoe" in (tmp_path / "config.rejected.toml").read_text()


async def test_export_and_import(tmp_path: Path) -> None:
    port = free_port()
    secret = '[mqtt]\nurl = "mqtt://me:hunter2@broker.example"\n'
    async with appliance(tmp_path, config(port, secret), port) as unit:
        assert (await unit.get("/api/config"))["config"]["mqtt"]["url"] == "set"
        async with unit.http.get(f"{unit.url}/api/config/export") as answer:
            exported = await answer.text()
            assert "attachment" in answer.headers["Content-Disposition"]
        assert "hunter2" not in exported
        assert "# ours" in exported
        status, answer = await unit.send("POST", "/api/config/import", {"toml": exported.replace("Door", "Gate")})
        assert (status, answer["applied"]) == (200, ["device.name"])
        assert "hunter2" in (tmp_path / "config.toml").read_text()
        long = "# what an owner wrote\n" * 2000  # 44 KB: what may be a file may be imported
        assert (await unit.send("POST", "/api/config/import", {"toml": f'{long}[device]\nname = "Porch"\n'}))[0] == 200
        status, answer = await unit.send("POST", "/api/config/import", {"toml": "[video]\nfps = 0\n"})
        assert (status, answer["error"]["field"]) == (422, "video.fps")


async def test_a_factory_reset_leaves_nothing_of_the_owner(tmp_path: Path) -> None:
    """In the demo, which stays on its port of this computer: a unit without settings goes to its standard one."""
    async with demo(tmp_path) as unit:
        await unit.connected()
        await unit.send("PUT", "/api/config", {"device.name": "Gate", "room.token": "secret"})
        secret = (tmp_path / "token-secret").read_bytes()
        known = {*FORGOTTEN, "claim.json", "log", *(f"demo{end}" for end in (".toml", ".good.toml", ".trial.json"))}
        made = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
        assert made <= known  # whoever adds a file says what a reset makes of it
        assert (await unit.send("POST", "/api/reset", {"confirm": "yes"}))[0] == 400
        assert (await unit.send("POST", "/api/reset", {"confirm": "factory-reset"}))[0] == 202
        answer = await until(unit, "/api/config", lambda answer: answer["config"]["device"]["name"] != "Gate")
        assert answer["config"]["device"]["name"] == "Room appliance"
        assert answer["config"]["room"]["token"] is None
        assert answer["notice"] is None
        await unit.connected()
        assert (tmp_path / "token-secret").read_bytes() != secret
        assert (tmp_path / "demo.toml").read_text() == ""
        assert not (tmp_path / "factory-reset").exists()


async def test_diagnostics_and_logs_of_a_call(tmp_path: Path) -> None:
    async with demo(tmp_path) as unit:
        await unit.connected()
        await unit.until(lambda state: state["device"]["microphone"] and state["device"]["camera"])
        found = await until(unit, "/api/diagnostics", lambda answer: "video-capture" in answer["state"]["stages"])
        assert {device["kind"] for device in found["devices"]} == {"microphone", "camera", "speaker"}
        stage = found["state"]["stages"]["audio-mix"]
        assert 0 < stage["p50_ms"] <= stage["p95_ms"] <= stage["max_ms"]
        newest = found["history"][-1]["number"]
        assert (await unit.get(f"/api/diagnostics?after={newest}"))["history"] == []
        assert found["system"]["memory"]["total"] > 0
        logs = await unit.get("/api/logs?q=works")
        assert any("microphone" in record["message"] for record in logs["records"])
        assert (await unit.send("GET", "/api/logs?level=loud"))[0] == 400
        async with unit.http.get(f"{unit.url}/api/logs.txt?level=info") as answer:
            assert "works" in await answer.text()


def _begun_after(started_s: float) -> Callable[[Any], bool]:
    return lambda answer: answer["now_s"] - answer["up_s"] > started_s + 0.2


async def _started_s(unit: Unit) -> float:
    """When this composition began, by the unit's own clock."""
    answer = await unit.get("/api/diagnostics")
    return float(answer["now_s"] - answer["up_s"])


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height out of the start-of-frame segment (ITU-T T.81 B.2.2)."""
    at = 2
    while at + 9 < len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xC3:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + length
    return 0, 0
