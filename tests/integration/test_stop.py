"""SIGTERM: the unit leaves its room in order and ends within 3 s, whatever state it is in and whatever hangs."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.errors import LeaveReason
from appliance.room import RoomClient
from appliance.room.events import PeerLeft
from tests.integration.programs import Unit, appliance, free_port
from tests.integration.test_call import token_for

STOP_S = 3.0


def config(port: int, *, url: str = "hub:", token: str = "", tls: str = "off", more: str = "") -> str:
    return f"""
[room]
url = "{url}"
user = "unit"
token = "{token}"
[network]
ice_addresses = ["127.0.0.1"]
[web]
host = "127.0.0.1"
port = {port}
tls = "{tls}"
{more}
"""


MOCK = """
[gpio]
driver = "mock"
[audio]
driver = "mock"
[video]
driver = "mock"
width = 320
height = 180
fps = 10
"""


@asynccontextmanager
async def visitor(tmp_path: Path, port: int, text: str) -> AsyncIterator[asyncio.Queue[PeerLeft]]:
    """Somebody else in the unit's room, and who that somebody saw leave."""
    token = await token_for(tmp_path, text, "anna")
    client = RoomClient(f"ws://127.0.0.1:{port}")
    left: asyncio.Queue[PeerLeft] = asyncio.Queue()
    client.on(PeerLeft, left.put_nowait)
    try:
        await client.join("lobby", "anna", token)
        yield left
    finally:
        await client.destroy()


async def terminated(unit: Unit, number: signal.Signals = signal.SIGTERM) -> int:
    """The exit status, which must come in time."""
    start_s = time.monotonic()
    unit.process.send_signal(number)
    status = await asyncio.wait_for(unit.process.wait(), 10)
    assert time.monotonic() - start_s < STOP_S, unit.log.read_text()[-4000:]
    return status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_others_see_it_leave_by_its_own_will(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    text = config(port, more=MOCK)
    async with appliance(tmp_path, text, port) as unit:
        await unit.connected()
        async with visitor(tmp_path, port, text) as left:
            assert await terminated(unit, number) == 0
            event = await asyncio.wait_for(left.get(), 1)
            assert (event.user_id, event.reason) == ("unit", LeaveReason.USER_LEFT)


HANGS = """
import time
from hw import mock, mock_audio
def hang(*_):
    time.sleep(1000)
for device in (mock.MockCamera, mock_audio.MockMicrophone, mock_audio.MockSpeaker):
    device.{method} = hang
"""


@pytest.mark.parametrize("method", ["start", "close"])
async def test_drivers_that_hang_hold_it_up_no_longer(tmp_path: Path, method: str) -> None:
    """In a thread that nobody can end, as a broken USB device's driver does."""
    port = free_port()
    text = config(port, more=MOCK)
    (tmp_path / "sitecustomize.py").write_text(HANGS.format(method=method))
    async with appliance(tmp_path, text, port, environ={"PYTHONPATH": str(tmp_path)}) as unit:
        await unit.connected()
        if method == "close":
            await unit.until(lambda now: bool(now["device"]["camera"]))
        async with visitor(tmp_path, port, text) as left:
            assert await terminated(unit) == 0
            event = await asyncio.wait_for(left.get(), 1)
            assert (event.user_id, event.reason) == ("unit", LeaveReason.USER_LEFT)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["gone", "silent"])
async def test_without_its_hub(tmp_path: Path, how: signal.Signals) -> None:
    ports = [free_port(), free_port()]
    first = config(ports[0], more=MOCK).replace('"unit"', '"one"')
    async with appliance(tmp_path / "one", first, ports[0]) as one:
        token = await token_for(tmp_path / "one", first, "unit")
        second = config(ports[1], url=f"ws://127.0.0.1:{ports[0]}", token=token, more=MOCK + "[hub]\nenabled = false\n")
        async with appliance(tmp_path / "unit", second, ports[1]) as unit:
            await unit.connected()
            one.process.send_signal(how)
            try:
                if how is signal.SIGKILL:
                    await unit.until(lambda now: now["connection"]["state"] == "RECONNECTING")
                assert await terminated(unit) == 0
            finally:
                if how is signal.SIGSTOP:
                    one.process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Takes connections and says nothing, whatever it is told; the event comes with the first bytes."""
    heard = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(4096):
                heard.set()
        finally:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_in_the_middle_of_joining(tmp_path: Path, scheme: str) -> None:
    """With wss in the middle of the TLS handshake."""
    port = free_port()
    async with silent_server() as (hub_port, heard):
        text = config(port, url=f"{scheme}://127.0.0.1:{hub_port}", token="x", more=MOCK + "[hub]\nenabled = false\n")
        async with appliance(tmp_path, text, port) as unit:
            await asyncio.wait_for(heard.wait(), 10)
            assert (await unit.state())["connection"]["state"] == "CONNECTING"
            assert await terminated(unit) == 0


async def test_with_strangers_in_the_middle_of_a_handshake_and_of_a_request(tmp_path: Path) -> None:
    port = free_port()
    with socket.socket() as half, socket.socket() as slow:
        async with appliance(tmp_path, config(port, tls="self-signed", more=MOCK), port, scheme="https") as unit:
            for stranger in (half, slow):
                stranger.connect(("127.0.0.1", port))
            half.send(b"\x16\x03\x01\x02\x00\x01")  # the first bytes of a ClientHello
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with await asyncio.to_thread(context.wrap_socket, slow) as wrapped:
                wrapped.send(b"POST /api/mute HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
                assert await terminated(unit) == 0


async def test_told_twice_it_ends_at_once(tmp_path: Path) -> None:
    port = free_port()
    async with appliance(tmp_path, config(port, more=MOCK), port) as unit:
        await unit.connected()
        unit.process.send_signal(signal.SIGTERM)
        unit.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(unit.process.wait(), STOP_S) in (0, -signal.SIGTERM)  # the first may suffice
