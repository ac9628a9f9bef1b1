"""Slow and many clients against a real port, with raw sockets."""

from __future__ import annotations

import asyncio
import resource
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from appliance import connections, serving, tls
from appliance.config_sections import Web
from appliance.connections import Places, allow_files
from appliance.serving import Listener
from tests.appliance.unit import until

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def test_places_are_counted_for_each_network_and_in_all() -> None:
    places = Places(most=3, most_per_address=2)
    assert [places.enter(address) for address in ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1")] == [True, True, False]
    assert places.enter("2001:db8::1")
    assert not places.enter("10.0.0.2")  # all are taken
    places.leave("10.0.0.1")
    assert places.enter("2001:db8::2")
    places.leave("10.0.0.1")
    assert not places.enter("2001:db8::3")  # one household
    assert places.enter("2001:db8:0:1::3")
    assert places.total == 3


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.3)
    monkeypatch.setattr(connections, "HANDSHAKE_S", 0.3)
    monkeypatch.setattr(connections, "STALL_S", 0.3)


async def hello(_request: web.Request) -> web.Response:
    return web.Response(text="hello")


async def flood(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(1 << 20))


@asynccontextmanager
async def port(server_tls: ssl.SSLContext | None = None) -> AsyncIterator[Callable[[], Awaitable[Opened]]]:
    """Opens plain connections to a server of `hello` and `flood`."""
    application = web.Application()
    application.add_routes([web.get("/", hello), web.get("/flood", flood)])
    listener = Listener("127.0.0.1", 0)
    task = asyncio.create_task(listener.serve(application, server_tls), name="server under test")
    opened: list[asyncio.StreamWriter] = []

    async def connect() -> Opened:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        opened.append(writer)
        return reader, writer

    try:
        await listener.serving.wait()
        yield connect
    finally:
        for writer in opened:
            writer.transport.abort()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        listener.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server hangs up, within 5 s."""
    async with asyncio.timeout(5):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def test_whoever_says_nothing_or_half_a_head_is_hung_up_on() -> None:
    async with port() as connect:
        silent, _ = await connect()
        slow, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n")
        fair, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n")
        await writer.drain()
        writer.write(b"\r")
        await writer.drain()
        writer.write(b"\n")
        assert await ended(silent) == b""
        assert await ended(slow) == b""
        assert (await fair.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")  # the others' time was up, this one stays
        assert (await fair.readuntil(b"hello")).startswith(b"HTTP/1.1 200")


async def test_the_head_of_a_later_request_may_not_take_for_ever_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "KEEP_ALIVE_S", 0.3)
    async with port() as connect:
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"hello")
        writer.write(b"GET / HTTP/1.1\r\n")
        assert await ended(reader) == b""


async def test_whoever_takes_nothing_is_hung_up_on() -> None:
    async with port() as connect:
        reader, writer = await connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            while not writer.transport.is_closing():
                writer.write(b"x")  # the other end answers with a reset
                await asyncio.sleep(0.05)
        assert reader is not None


async def test_too_many_connections_of_one_address_are_refused_and_places_become_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = Places(most=10, most_per_address=2)
    monkeypatch.setattr(serving, "Places", lambda: places)
    monkeypatch.setattr(connections, "HEAD_S", 5)
    async with port() as connect:
        first, _ = await connect()
        _, second = await connect()
        third, _ = await connect()
        assert await ended(third) == b""
        second.close()

        await until(lambda: places.total == 1)
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        assert not first.at_eof()


async def test_a_handshake_has_its_time_and_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = Places()
    monkeypatch.setattr(serving, "Places", lambda: places)
    server = tls.of_unit(tmp_path, Web()).server
    async with port(server) as connect:
        silent, _ = await connect()
        broken, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await until(lambda: places.total > 0)
        await ended(silent)
        await ended(broken)
        await until(lambda: places.total == 0)


def test_more_files_when_more_connections_are_wanted_and_never_fewer() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = min(soft, 256)
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    try:
        allow_files(low + 10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (low + 10, hard)
        allow_files(1)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (low + 10, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
