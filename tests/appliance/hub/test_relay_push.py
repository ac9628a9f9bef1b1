"""A push over real sockets to servers that do as they please; nginx is in tests/integration/test_relay.py."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance import tls
from appliance.config_sections import Web
from appliance.hub import rtmp, rtmp_push
from appliance.hub.relay_target import Targets, parse_target
from appliance.hub.rtmp import RtmpError, amf, chunked
from appliance.hub.rtmp_push import RtmpPush

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HERE = Targets(("127.0.0.1", "localhost"))


@asynccontextmanager
async def server(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listening.wait_closed()


def push_to(port: int, host: str = "127.0.0.1", scheme: str = "rtmp", targets: Targets = HERE) -> RtmpPush:
    return RtmpPush(parse_target(f"{scheme}://{host}:{port}/live/key"), targets)


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, start: bool = True) -> None:
    """As a server does, up to a stream that may begin."""
    await reader.readexactly(1 + rtmp.HANDSHAKE_BYTES)
    writer.write(b"\x03" + bytes(2 * rtmp.HANDSHAKE_BYTES))
    answers: list[tuple[Any, ...]] = [("_result", 1.0, None, {}), ("_result", 4.0, None, 1.0)]
    if start:
        answers.append(("onStatus", 0.0, None, {"code": "NetStream.Publish.Start"}))
    for answer in answers:
        writer.write(chunked(3, rtmp.AMF0_COMMAND, 0, 0, amf(*answer), size=128))
    await writer.drain()


async def failure(push: RtmpPush) -> str:
    try:
        with pytest.raises(RtmpError) as caught:
            await push.open()
        return str(caught.value)
    finally:
        await push.close()


async def test_a_server_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtmp_push, "PUBLISH_S", 0.2)

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, start=False)
        await reader.read()

    for serve in (silent, half):
        async with server(serve) as port:
            assert "does not take the stream within" in await failure(push_to(port))


async def test_what_is_no_rtmp_or_refuses_is_told() -> None:
    async def web(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async def bad_name(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, start=False)
        refusal = ("onStatus", 0.0, None, {"level": "error", "code": "NetStream.Publish.BadName"})
        writer.write(chunked(3, rtmp.AMF0_COMMAND, 0, 0, amf(*refusal), size=128))
        await reader.read()

    async def rude(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return

    for serve, words in ((web, "does not speak RTMP"), (bad_name, "BadName"), (rude, "closed|lost")):
        async with server(serve) as port:
            with pytest.raises(RtmpError, match=words):
                await (push := push_to(port)).open()
            await push.close()


async def test_a_server_that_takes_nothing_any_more_has_lost_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtmp_push, "MAX_WAITING_BYTES", 1_000_000)

    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        await asyncio.Event().wait()

    async with server(stuck) as port:
        push = push_to(port)
        await push.open()
        lost = asyncio.create_task(push.wait_lost())
        for _ in range(200):
            push.send(lambda publisher: publisher.video(0, bytes(100_000)))
        with pytest.raises(RtmpError, match="too slowly"):
            await lost
        push.send(lambda publisher: publisher.video(0, b"late"))  # nobody is there any more
        await push.close()


async def test_it_says_goodbye_and_is_told_of_the_end() -> None:
    heard = bytearray()
    gone = asyncio.Event()

    async def good(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        while data := await reader.read(1024):
            heard.extend(data)
        gone.set()

    async with server(good) as port:
        push = push_to(port, "localhost")
        await push.open()
        await push.close()
        await push.close()
        await asyncio.wait_for(gone.wait(), 5)
    assert b"FCUnpublish" in heard
    assert struct.pack(">I", rtmp.CHUNK_BYTES) in heard

    async def brief(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)

    async with server(brief) as port:
        push = push_to(port)
        await push.open()
        with pytest.raises(RtmpError, match=r"closed|lost"):
            await push.wait_lost()
        await push.close()


async def test_names_that_lead_inside_are_not_followed() -> None:
    """A listening server never hears of it."""
    callers = 0

    async def count(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal callers
        callers += 1

    async with server(count) as port:
        for host in ("localhost", "127.0.0.1"):
            words = await failure(push_to(port, host, targets=Targets(())))
            assert "no address that this hub's owner lets it use" in words
        assert "no address for" in await failure(push_to(port, "nowhere.invalid"))
    assert callers == 0


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    certified = await asyncio.to_thread(tls.of_unit, tmp_path, Web())

    async def good(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)

    async with server(good, certified.server) as port:
        assert "TLS" in await failure(push_to(port, scheme="rtmps"))


async def test_a_certificate_that_is_vouched_for_is_good_for_its_own_names_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certified = await asyncio.to_thread(tls.of_unit, tmp_path, Web())
    trusting = ssl.create_default_context(cafile=str(tmp_path / tls.FILE_NAME))
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)

    async def good(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        await reader.read()

    async with server(good, certified.server) as port:
        push = push_to(port, "localhost", scheme="rtmps")
        await push.open()
        await push.close()
        elsewhere = push_to(port, "other.invalid", scheme="rtmps", targets=Targets(("other.invalid",)))
        monkeypatch.setattr(elsewhere, "_resolve", _here)
        assert "TLS" in await failure(elsewhere)


async def _here() -> list[str]:
    return ["127.0.0.1"]


async def test_nobody_at_home() -> None:
    async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return

    async with server(never) as port:
        pass
    assert "cannot connect" in await failure(push_to(port))
