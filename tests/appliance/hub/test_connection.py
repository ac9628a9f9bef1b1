"""Bad input, floods and slow readers: the sender gets a clear error, nobody else notices, nothing grows."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from appliance.room.signaling import MAX_MESSAGE_BYTES, encode
from appliance.room.signaling_login import Error, Ok
from appliance.room.signaling_room import Joined, Kicked, LegOffer, MemberChanged, SignalTo
from tests.appliance.hub.wire import PATIENCE_S, DeadWire, client, serving, until

JOIN = {"type": "join", "id": 5, "room": "attic"}

BAD: dict[str, tuple[str | bytes, str, int, str]] = {  # what is sent -> code, id, field
    "not JSON": ("hello", "message-malformed", 0, ""),
    "half of it": ('{"type":"join","id":5', "message-malformed", 0, ""),
    "empty": ("", "message-malformed", 0, ""),
    "no object": ("[1,2]", "message-malformed", 0, ""),
    "null": ("null", "message-malformed", 0, ""),
    "deep": ("[" * 30_000, "message-malformed", 0, ""),
    "binary": (b"\x00\xff", "message-malformed", 0, ""),
    "binary JSON": (json.dumps(JOIN).encode(), "message-malformed", 0, ""),
    "no type": ('{"id":5}', "message-malformed", 5, ""),
    "unknown type": ('{"type":"reboot","id":5}', "message-unknown", 5, "$.type"),
    "type of a hub": ('{"type":"kicked","reason":"kick"}', "message-unknown", 0, "$.type"),
    "type is a number": ('{"type":5,"id":5}', "message-unknown", 5, "$.type"),
    "no id": ('{"type":"join","room":"attic"}', "message-malformed", 0, ""),
    "id 0": (json.dumps({**JOIN, "id": 0}), "message-malformed", 0, "$.id"),
    "id of text": (json.dumps({**JOIN, "id": "5"}), "message-malformed", 0, "$.id"),
    "huge id": (json.dumps({**JOIN, "id": 10**30}), "message-malformed", 0, "$.id"),
    "room of spaces": (json.dumps({**JOIN, "room": "my room"}), "message-malformed", 5, "$.room"),
    "room with a line end": (json.dumps({**JOIN, "room": "attic\n"}), "message-malformed", 5, "$.room"),
    "empty room": (json.dumps({**JOIN, "room": ""}), "message-malformed", 5, "$.room"),
    "long room": (json.dumps({**JOIN, "room": "r" * 65}), "message-malformed", 5, "$.room"),
    "wrong role": (json.dumps({**JOIN, "role": "king"}), "message-malformed", 5, "$.role"),
    "wrong profile": (json.dumps({**JOIN, "profile": None}), "message-malformed", 5, "$.profile"),
    "unknown field": (json.dumps({**JOIN, "admin": True}), "message-malformed", 5, ""),
    "long user id": ('{"type":"login","id":5,"user_id":"%s"}' % ("u" * 65), "message-malformed", 5, "$.user_id"),
    "token of a number": ('{"type":"login","id":5,"token":1}', "message-malformed", 5, "$.token"),
    "wrong width": (
        '{"type":"publish","id":5,"stream":{"video":{"width":-1}}}', "message-malformed", 5, "$.stream.video.width",
    ),
    "wrong kind": ('{"type":"set-mute","id":5,"kind":"smell","muted":true}', "message-malformed", 5, "$.kind"),
    "muted of text": ('{"type":"set-mute","id":5,"kind":"audio","muted":"no"}', "message-malformed", 5, "$.muted"),
    "leg unknown": ('{"type":"signal","to":"b","leg":{"type":"bribe"}}', "message-malformed", 0, "$.leg.type"),
    "kinds empty": (
        '{"type":"signal","to":"b","leg":{"type":"leg-request","leg":"l","kinds":[]}}',
        "message-malformed", 0, "$.leg.kinds",
    ),
    "oversized": (json.dumps({**JOIN, "room": "r" * MAX_MESSAGE_BYTES}), "message-too-large", 5, ""),
    "oversized binary": (b"x" * 100_000, "message-malformed", 0, ""),
    "out of order": ('{"type":"leave","id":5}', "not-logged-in", 5, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_bad_input_is_answered_and_the_connection_stays(name: str) -> None:
    sent, code, request_id, field = BAD[name]
    async with serving() as served, client(served.port) as watcher, client(served.port) as bad:
        await watcher.enter("watcher")
        error = await bad.ask(sent, Error)
        assert (error.code, error.id, error.field) == (code, request_id, field), error
        assert len(error.message) > 5
        await watcher.nothing_heard()
        assert [member.user_id for member in (await bad.enter("bad")).members] == ["watcher"]


async def test_text_that_is_not_utf8_is_answered() -> None:
    async with serving() as served, client(served.port) as bad:
        await bad.socket.send_frame(b'{"type":"p\xffng"}', 1)  # type: ignore[arg-type]
        assert "UTF-8" in (await bad.expect(Error)).message
        await bad.login("bad")


async def test_a_huge_message_is_answered_and_closed() -> None:
    async with serving() as served, client(served.port) as bad:
        error = await bad.ask("x" * 1_000_000, Error)
        assert error.code == "message-too-large"
        assert str(MAX_MESSAGE_BYTES) in error.message
        assert await bad.closed() == 1009


@pytest.mark.parametrize("message", ["rubbish", '{"type":"ping"}', b"binary"])
async def test_a_flood_is_told_once_and_closed(message: str | bytes) -> None:
    async with serving(message_burst=50, messages_per_s=10) as served, client(served.port) as watcher:
        await watcher.enter("watcher")
        async with client(served.port) as flood:
            for _ in range(200):
                await flood.send(message)
            codes = []
            while (heard := await flood.next()) is not None:
                if isinstance(heard, Error):
                    codes.append(heard.code)
            assert codes.count("rate-limit") == 1
            assert codes[-1] == "rate-limit"
            assert flood.close_code == 1008
        await watcher.nothing_heard()


async def test_a_flood_of_websocket_pings_is_a_flood() -> None:
    async with serving(message_burst=50, messages_per_s=10) as served, client(served.port) as flood:
        for _ in range(100):
            await flood.socket.ping(b"x")
        assert (await flood.expect(Error)).code == "rate-limit"
        assert await flood.closed() == 1008


async def test_a_flood_of_bytes_is_a_flood() -> None:
    async with serving(bytes_per_s=1000, byte_burst=100_000) as served, client(served.port) as flood:
        for _ in range(4):
            await flood.send("x" * 50_000)
        codes = [(await flood.expect(Error)).code for _ in range(3)]
        assert codes == ["message-malformed", "message-malformed", "rate-limit"]


async def test_who_has_not_logged_in_may_say_little() -> None:
    async with serving(early_message_burst=5, early_messages_per_s=0.1) as served:
        async with client(served.port) as stranger:
            for _ in range(6):
                await stranger.send("rubbish")
            codes = [(await stranger.expect(Error)).code for _ in range(6)]
            assert codes == ["message-malformed"] * 5 + ["rate-limit"]
            assert await stranger.closed() == 1008
        async with client(served.port) as member:
            await member.login("anna")
            for _ in range(20):
                await member.send("rubbish")
            assert {(await member.expect(Error)).code for _ in range(20)} == {"message-malformed"}


async def test_a_flooding_member_keeps_its_seat_and_comes_back() -> None:
    async with serving(message_burst=50, messages_per_s=10) as served, client(served.port) as watcher:
        await watcher.enter("watcher")
        async with client(served.port) as flood:
            await flood.enter("flood")
            for _ in range(100):
                await flood.send("rubbish")
            assert await flood.closed() == 1008
        await watcher.expect(MemberChanged)
        async with client(served.port) as again:
            assert (await again.login(session=flood.session)).resumed
            await again.expect(Joined)
            await watcher.nothing_heard()


async def test_who_was_cut_for_a_flood_gains_nothing_by_coming_back() -> None:
    async with serving(message_burst=50, messages_per_s=0.1) as served:
        for allowed in (50, 0, 0):
            async with client(served.port) as flood:
                await flood.login("flood")
                for _ in range(60):
                    await flood.send("rubbish")
                codes = [(await flood.expect(Error)).code for _ in range(allowed + 1)]
                assert codes == ["message-malformed"] * allowed + ["rate-limit"]
                assert await flood.closed() == 1008
        async with client(served.port) as other:
            await other.login("other")
            await other.send("rubbish")
            assert (await other.expect(Error)).code == "message-malformed"


async def test_ordinary_talk_is_no_flood() -> None:
    async with serving() as served, client(served.port) as anna:
        await anna.enter("anna")
        for number in range(150):
            await anna.send(f'{{"type":"set-mute","id":{number + 10},"kind":"audio","muted":true}}')
        for number in range(150):
            assert (await anna.expect(Error)).id == number + 10


UNLIMITED = {"messages_per_s": 1e6, "message_burst": 10**6, "bytes_per_s": 1e9, "byte_burst": 10**9}
OFFER = encode(SignalTo(to="deaf", leg=LegOffer(leg="l", sdp="v=0" * 10_000)))


async def test_a_client_that_never_reads_is_cut_and_costs_no_memory() -> None:
    limits = {**UNLIMITED, "send_queue_messages": 40, "send_queue_bytes": 200_000}
    async with serving(**limits) as served, client(served.port) as anna:
        await anna.enter("anna")
        async with deaf(served.port):
            await anna.expect(MemberChanged)
            connection = served.hub._connections[2]
            most = 0
            publish = '{"type":"publish","id":7,"stream":{"audio":{"muted":%s}}}'
            for number in range(2000):
                await anna.send(OFFER)
                await anna.ask(publish % ("true" if number % 2 else "false"), Ok)
                most = max(most, connection._queued_bytes)
                if served.hub.rooms.seats["deaf"].connection is None:
                    break
            assert served.hub.rooms.seats["deaf"].connection is None, "cut"
            assert 0 < most <= 200_000
            await anna.nothing_heard()


async def test_one_members_words_get_no_other_one_cut() -> None:
    """A queue that fills up drops leg messages: whoever waits for a leg asks again."""
    async with serving(**UNLIMITED, send_queue_messages=20) as served, client(served.port) as anna:
        await anna.enter("anna")
        async with deaf(served.port):
            await anna.expect(MemberChanged)
            for _ in range(600):
                await anna.send(OFFER)
            await anna.nothing_heard()
            assert served.hub.rooms.seats["deaf"].connection == 2
            assert 0 < len(served.hub._connections[2]._queue) <= 11


async def test_a_kick_waits_for_no_dead_wire() -> None:
    async with serving(close_timeout_s=0.2) as served, DeadWire().to(served.port) as wire, client(wire.port) as ben:
        await ben.enter("ben")
        wire.cut()
        served.hub._perform(lambda now_s: served.hub.rooms.evict("attic", "ben", "kick", "", now_s))
        await until(lambda: not served.hub._connections)


async def test_a_kick_waits_for_no_deaf_reader() -> None:
    async with serving(**UNLIMITED, close_timeout_s=0.2) as served, client(served.port) as anna:
        await anna.enter("anna")
        async with deaf(served.port):
            await anna.expect(MemberChanged)
            deaf_side = served.hub._connections[2]
            while len(deaf_side._queue) < 10:  # its writer is stuck
                await anna.send(OFFER)
                await anna.nothing_heard()
            served.hub._perform(lambda now_s: served.hub.rooms.evict("attic", "deaf", "kick", "", now_s))
            await until(lambda: 2 not in served.hub._connections)


async def test_the_last_message_arrives_before_the_close() -> None:
    async with serving() as served, client(served.port) as ben:
        await ben.enter("ben")
        served.hub._perform(lambda now_s: served.hub.rooms.evict("attic", "ben", "ban", "bye", now_s))
        assert (await ben.expect(Kicked)).message == "bye"
        assert await ben.closed() == 4003


async def test_a_fault_of_the_hub_is_said_and_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as served, client(served.port) as anna:
        await anna.login("anna")

        def fail(*_: Any) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(served.hub.rooms, "receive", fail)
            error = await anna.ask(json.dumps(JOIN), Error)
        assert (error.code, error.id) == ("internal", 5)
        await anna.ask(json.dumps(JOIN), Joined)


async def test_websocket_pings_are_answered() -> None:
    async with (
        serving() as served,
        aiohttp.ClientSession(served.url) as http,
        http.ws_connect("/hub/ws", autoping=False) as plain,
    ):
        await plain.ping(b"are you there")
        frame = await plain.receive(timeout=PATIENCE_S)
        assert (frame.type, frame.data) == (aiohttp.WSMsgType.PONG, b"are you there")


@asynccontextmanager
async def deaf(port: int) -> AsyncIterator[None]:
    """A member "deaf" of room "attic" that never reads."""
    loop = asyncio.get_running_loop()

    async def say(text: bytes) -> None:
        frame = bytes([0x81, 0x80 | len(text)]) + bytes(4) + text  # masked with zeros
        await loop.sock_sendall(connection, frame)

    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(
            connection,
            b"GET /hub/ws HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        )
        await say(b'{"type":"login","id":1,"user_id":"deaf"}')
        await say(b'{"type":"join","id":2,"room":"attic"}')
        yield
