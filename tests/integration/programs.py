"""`room-appliance` as real processes, and their HTTP API.

async with demo(tmp_path, microphone=tone) as unit:
    await unit.until(lambda state: state["connection"]["state"] == "CONNECTED")
    await unit.click("mute")
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from tests.integration.netns import Namespace

API_TOKEN = "integration-tests-token-0123456789abcdef"
START_TIMEOUT_S = 40.0
STEP_TIMEOUT_S = 15.0
POLL_S = 0.05  # how often a condition is looked at, not how long it may take


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Unit:
    """One running program and an API session with it."""

    scheme = "http"

    def __init__(self, process: asyncio.subprocess.Process, port: int, http: aiohttp.ClientSession, log: Path) -> None:
        self.process = process
        self.port = port
        self.http = http
        self.log = log

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def room_url(self, room: str = "lobby", token: str = "") -> str:
        return f"{self.url}/join/{room}" + (f"#token={token}" if token else "")

    async def get(self, path: str) -> Any:
        async with self.http.get(self.url + path) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        async with self.http.request(method, self.url + path, json=body) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        status, answer = await self.send("POST", path, body)
        assert status < 300, f"POST {path}: {status} {answer}"
        return answer

    async def state(self) -> dict[str, Any]:
        state: dict[str, Any] = await self.get("/api/state")
        return state

    async def until(self, condition: Callable[[dict[str, Any]], bool], timeout_s: float = STEP_TIMEOUT_S) -> Any:
        """The first state of `/api/state` for which `condition` holds."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            state = await self.state()
            if condition(state):
                return state
            assert time.monotonic() < deadline_s, f"never so: {state}\n{self.log.read_text()[-4000:]}"
            await asyncio.sleep(POLL_S)

    async def connected(self, timeout_s: float = STEP_TIMEOUT_S) -> Any:
        return await self.until(lambda state: state["connection"]["state"] == "CONNECTED", timeout_s)

    async def click(self, button: str) -> None:
        await self.post(f"/panel/buttons/{button}", {"action": "click"})

    async def speaker(self) -> bytes:
        """What was played lately, as WAV."""
        async with self.http.get(f"{self.url}/panel/speaker.wav") as answer:
            answer.raise_for_status()
            return await answer.read()

    async def stop(self) -> float:
        """Ctrl-C; seconds until it had ended, which must be with status 0."""
        start_s = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        status = await asyncio.wait_for(self.process.wait(), 10)
        assert status == 0, self.log.read_text()[-4000:]
        return time.monotonic() - start_s

    async def kill(self) -> None:
        """Pull the plug."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def program(
    state_dir: Path,
    port: int,
    *arguments: str,
    where: Namespace | None = None,
    environ: Mapping[str, str] = MappingProxyType({}),
    scheme: str = "http",
) -> AsyncIterator[Unit]:
    """`room-appliance ARGUMENTS`, in that namespace, with `environ` too, answering on `port`; ended at the end if it
    still runs."""
    state_dir.mkdir(parents=True, exist_ok=True)
    log = state_dir / "log"
    environment = os.environ | {
        "STATE_DIRECTORY": str(state_dir),
        "ROOM_APPLIANCE_API_TOKEN": API_TOKEN,
        "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={state_dir}/no-bus",  # this machine's network is none of its business
        **environ,
    }
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(where.prefix if where is not None else ()),
            *(sys.executable, "-m", "appliance", *arguments),
            env=environment,
            stdout=output,
            stderr=output,
        )
    connector = where.connector() if where is not None else aiohttp.TCPConnector(ssl=False)
    try:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {API_TOKEN}"}, connector=connector) as http:
            unit = Unit(process, port, http, log)
            unit.scheme = scheme
            await _answering(unit)
            yield unit
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _answering(unit: Unit) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        assert unit.process.returncode is None, unit.log.read_text()
        assert time.monotonic() < deadline_s, f"not up after {START_TIMEOUT_S} s: {unit.log.read_text()}"
        try:
            async with unit.http.get(f"{unit.url}/healthz"):
                return
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def demo(state_dir: Path, *, camera: Path | None = None, microphone: Path | None = None) -> AsyncIterator[Unit]:
    """The demo on a free port."""
    port = free_port()
    arguments = ["demo", "--port", str(port)]
    if camera is not None:
        arguments += ["--camera", str(camera)]
    if microphone is not None:
        arguments += ["--microphone", str(microphone)]
    async with program(state_dir, port, *arguments) as unit:
        yield unit


@asynccontextmanager
async def appliance(
    state_dir: Path,
    config: str,
    port: int,
    *,
    where: Namespace | None = None,
    environ: Mapping[str, str] = MappingProxyType({}),
    scheme: str = "http",
) -> AsyncIterator[Unit]:
    """`run` with this TOML, whose `[web] port` must be `port`."""
    state_dir.mkdir(parents=True, exist_ok=True)
    file = state_dir / "config.toml"
    file.write_text(config)
    command = ("run", "--config", str(file))
    async with program(state_dir, port, *command, where=where, environ=environ, scheme=scheme) as unit:
        yield unit
