"""U92, U93: the log goes to the hub or to another HTTP server, and how that ended is told."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.errors import ApiOrderError, ClientDestroyedError, InvalidArgumentError
from appliance.hub import log_uploads
from appliance.room.bucket import TokenBucket
from appliance.room.events import LogUploadResult
from tests.appliance.room.house import Guest, house

logger = logging.getLogger("appliance.test")


class Sink:
    """A small HTTP server that answers each request with the same bytes, b"" hangs up, and keeps what it was sent."""

    def __init__(self, response: bytes) -> None:
        self.response = response
        self.heads: list[str] = []
        self.bodies: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(line for line in head.lower().splitlines() if line.startswith("content-length:"))
            self.heads.append(head)
            self.bodies.append((await reader.readexactly(int(length.partition(":")[2]))).decode())
            writer.write(self.response)
            await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def sink(status: str) -> AsyncIterator[Sink]:
    one = Sink(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode() if status else b"")
    async with await asyncio.start_server(one.serve, "127.0.0.1", 0) as server:
        one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/logs"
        yield one


def statuses(guest: Guest) -> list[int]:
    return [event.status for event in guest.of(LogUploadResult)]


@pytest.mark.row("U92", "U93", "RS24")
@pytest.mark.parametrize(("answer", "status"), [("200 OK", 200), ("500 Oh", 500), ("302 Found", 302), ("", 0)])
async def test_to_any_server(answer: str, status: int) -> None:
    async with house() as home, sink(answer) as one:
        a = home.guest()
        await a.client.login("a", home.token("a"))
        a.client.enable_log_upload(url=one.url)
        logger.warning("the door is open, password=hunter22")
        assert await a.client.upload_logs() == status
        assert statuses(a) == [status]
        text = json.loads(one.bodies[0])["text"]
        assert "the door is open" in text
        assert "hunter22" not in text
        assert "authorization" not in one.heads[0].lower(), "the hub's token is for the hub"


@pytest.mark.row("U92", "U93", "RS24")
async def test_to_the_hub_with_the_room_token_and_from_there_to_the_administrator(tmp_path: Path) -> None:
    async with house(secure=True, logs_path=tmp_path / "logs") as home:
        a = home.guest()
        await a.client.join("lobby", "a", lambda: home.token("a"))
        a.client.enable_log_upload()
        logger.warning("the door is open")
        assert await a.client.upload_logs() == 200
        assert statuses(a) == [200]
        status, listed = await home.asked("GET", "/logs")
        assert status == 200
        (log,) = json.loads(listed)["logs"]
        assert log["name"] == "00000001-a.log"
        status, text = await home.asked("GET", f"/logs/{log['name']}")
        assert status == 200
        assert "the door is open" in text
        assert log["bytes"] == len(text.encode())
        assert await home.admin("GET", "/logs/00000002-a.log") == 404
        stranger = home.guest()
        stranger.client.enable_log_upload()
        assert await stranger.client.upload_logs() == 401
        assert len(list((tmp_path / "logs").iterdir())) == 1


@pytest.mark.row("U93")
async def test_a_hub_that_is_gone_keeps_none_or_has_had_enough(tmp_path: Path) -> None:
    async with house() as home:
        a = home.guest()
        a.client.enable_log_upload()
        assert await a.client.upload_logs() == 503
        await home.proxy.cut()
        assert await a.client.upload_logs() == 0
    async with house(logs_path=tmp_path) as home:
        a = home.guest()
        a.client.enable_log_upload()
        home.hub._logs._bucket = TokenBucket(0.0, 1, 0.0)
        assert await a.client.upload_logs() == 200
        assert await a.client.upload_logs() == 429


@pytest.mark.row("U92")
async def test_only_while_enabled() -> None:
    handlers = list(logging.getLogger().handlers)
    async with house() as home:
        a = home.guest()
        with pytest.raises(ApiOrderError):
            await a.client.upload_logs()
        for bad in ("ftp://somewhere/", "http:///logs", "somewhere"):
            with pytest.raises(InvalidArgumentError):
                a.client.enable_log_upload(url=bad)
        a.client.enable_log_upload()
        a.client.enable_log_upload()
        assert len(logging.getLogger().handlers) == len(handlers) + 1
        a.client.enable_log_upload(False)
        assert logging.getLogger().handlers == handlers
        with pytest.raises(ApiOrderError):
            await a.client.upload_logs()
        a.client.enable_log_upload()
        await a.client.destroy()
        assert logging.getLogger().handlers == handlers
        with pytest.raises(ClientDestroyedError):
            await a.client.upload_logs()
        assert statuses(a) == []


async def test_what_is_sent_fits_into_what_the_hub_takes(tmp_path: Path) -> None:
    async with house(logs_path=tmp_path) as home:
        a = home.guest()
        a.client.enable_log_upload()
        for _ in range(300):
            logger.warning("\x01" * 1900)  # the worst that JSON can make of a character: \u0001
        assert await a.client.upload_logs() == 200
        (log,) = json.loads((await home.asked("GET", "/logs"))[1])["logs"]
        assert 150_000 < log["bytes"] <= log_uploads.MAX_TEXT_CHARS
