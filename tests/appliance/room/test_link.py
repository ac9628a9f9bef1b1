"""The link against a hub that answers anything, nothing, or too much."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from appliance.errors import RoomFullError, RtcError
from appliance.room.link import MAX_WAITING, Link, LinkLostError
from appliance.room.options import RoomOptions
from appliance.room.signaling import MAX_MESSAGE_BYTES
from appliance.room.signaling_login import Ok
from appliance.room.signaling_room import Join, Joined, Leave, MemberLeft
from tests.appliance.room.media import until

QUICK = RoomOptions(heartbeat_s=0.1, lost_after_s=0.3)
JOINED = {"type": "joined", "room": "lobby", "user_id": "a", "role": "host", "profile": "rtc", "session_id": "s"}

Script = Callable[[web.WebSocketResponse], Awaitable[None]]


@asynccontextmanager
async def hub(script: Script) -> AsyncIterator[str]:
    """A WebSocket that does what `script` says, at the url."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        await script(socket)
        return socket

    application = web.Application()
    application.add_routes([web.get("/ws", serve)])
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/ws"
    finally:
        await runner.cleanup()


class Lost:
    """An `on_lost` that remembers."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def __call__(self, link: Link, why: str) -> None:
        self.reasons.append(why)


def answering(*replies: dict[str, Any] | str | bytes) -> Script:
    """Send `replies` to the first message, then read on."""

    async def script(socket: web.WebSocketResponse) -> None:
        await socket.receive()
        for reply in replies:
            if isinstance(reply, bytes):
                await socket.send_bytes(reply)
            else:
                await socket.send_str(reply if isinstance(reply, str) else json.dumps(reply))
        async for _ in socket:
            pass

    return script


async def silent(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        pass


def join(request_id: int) -> Join:
    return Join(id=request_id, room="lobby")


async def test_a_reply_finds_its_request() -> None:
    async with hub(answering({**JOINED, "id": 1})) as url:
        link = await Link.open(url, QUICK, Lost())
        assert (await link.request(join, Joined, 1)).user_id == "a"
        await link.close()
        await link.close()


async def test_an_error_is_raised_as_the_error_it_is() -> None:
    async with hub(answering({"type": "error", "id": 1, "code": "room-full", "message": "8 of 8"})) as url:
        link = await Link.open(url, QUICK, Lost())
        with pytest.raises(RoomFullError, match="8 of 8"):
            await link.request(join, Joined, 1)
        await link.close()


@pytest.mark.parametrize(
    "garbage",
    [
        "not JSON",
        "",
        "[" * 20_000,
        {"type": "unheard-of"},
        {"type": "member-changed", "member": {"user_id": 7}},
        {"type": "member-left", "user_id": "x" * 65},
        {"type": "ok", "id": 99},
        {"type": "ok", "id": "1"},
        {"type": "error", "id": 77, "code": "?", "message": ""},
        b"\x00\xff binary",
    ],
)
async def test_garbage_is_passed_over(garbage: dict[str, Any] | str | bytes) -> None:
    lost = Lost()
    async with hub(answering(garbage, {**JOINED, "id": 1})) as url:
        link = await Link.open(url, QUICK, lost)
        await link.request(join, Joined, 1)
        assert lost.reasons == []
        await link.close()


async def test_a_reply_of_the_wrong_kind() -> None:
    async with hub(answering({"type": "ok", "id": 1})) as url:
        link = await Link.open(url, QUICK, Lost())
        with pytest.raises(RtcError, match="answered Ok, not Joined"):
            await link.request(join, Joined, 1)
        await link.close()


async def test_no_reply_in_time_and_a_late_one() -> None:
    late = asyncio.Event()

    async def script(socket: web.WebSocketResponse) -> None:
        await socket.receive()
        await late.wait()
        await socket.send_str(json.dumps({**JOINED, "id": 1}))
        await silent(socket)

    lost = Lost()
    async with hub(script) as url:
        link = await Link.open(url, RoomOptions(), lost)
        with pytest.raises(TimeoutError):
            await link.request(join, Joined, 0.05)
        late.set()
        with pytest.raises(TimeoutError):
            await link.request(join, Joined, 0.05)
        assert lost.reasons == []
        await link.close()


async def test_too_large_a_message_ends_the_link() -> None:
    lost = Lost()
    async with hub(answering("x" * (MAX_MESSAGE_BYTES + 1))) as url:
        link = await Link.open(url, RoomOptions(), lost)
        with pytest.raises(LinkLostError):
            await link.request(join, Joined, 2)
        assert len(lost.reasons) == 1
        await link.close()


async def test_silence_is_a_lost_link_and_is_said_once() -> None:
    lost = Lost()
    pings: list[str] = []

    async def script(socket: web.WebSocketResponse) -> None:
        async for message in socket:
            pings.append(message.data)

    async with hub(script) as url:
        link = await Link.open(url, QUICK, lost)
        waiting = asyncio.create_task(link.request(join, Joined, 5))
        await until(lambda: lost.reasons)
        assert lost.reasons == ["nothing heard for 0.3 s"]
        with pytest.raises(LinkLostError):
            await waiting
        assert sum('"ping"' in ping for ping in pings) == 2
        with pytest.raises(LinkLostError):
            link.send(Leave(id=9))
        await link.close()
        assert len(lost.reasons) == 1


async def test_a_ping_is_answered_with_its_own_time() -> None:
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def script(socket: web.WebSocketResponse) -> None:
        await socket.send_str('{"type": "ping", "t": 12.5}')
        answered.set_result((await socket.receive()).data)

    async with hub(script) as url:
        link = await Link.open(url, RoomOptions(), Lost())
        async with asyncio.timeout(2):
            assert json.loads(await answered) == {"type": "pong", "t": 12.5}
        await link.close()


async def test_pushed_messages_wait_for_their_reader_in_order() -> None:
    pushed = [{"type": "member-left", "user_id": str(number)} for number in range(50)]
    async with hub(answering({**JOINED, "id": 1}, *pushed)) as url:
        link = await Link.open(url, RoomOptions(), Lost())
        await link.request(join, Joined, 1)
        await until(lambda: len(link._pushed) == 50)
        read: list[str] = []
        link.deliver(lambda message: read.append(message.user_id if isinstance(message, MemberLeft) else "?"))
        assert read == [str(number) for number in range(50)]
        await link.close()


async def test_a_flood_that_nobody_reads_ends_the_link() -> None:
    lost = Lost()
    async with hub(answering(*[{"type": "member-left", "user_id": "b"}] * (MAX_WAITING + 1))) as url:
        link = await Link.open(url, RoomOptions(), lost)
        link.send(Leave(id=9))
        await until(lambda: lost.reasons)
        assert "wait to be read" in lost.reasons[0]
        await link.close()


async def test_more_than_can_be_sent_ends_the_link() -> None:
    lost = Lost()
    async with hub(silent) as url:
        link = await Link.open(url, RoomOptions(), lost)
        for number in range(MAX_WAITING):
            link.send(Leave(id=number + 1))
        with pytest.raises(LinkLostError, match="wait to be sent"):
            link.send(Leave(id=MAX_WAITING + 1))
        assert len(lost.reasons) == 1
        await link.close()


async def test_a_reader_that_fails_does_not_end_the_link(caplog: pytest.LogCaptureFixture) -> None:
    lost = Lost()
    async with hub(answering({"type": "member-left", "user_id": "b"}, {"type": "ok", "id": 1})) as url:
        link = await Link.open(url, RoomOptions(), lost)

        def broken(message: object) -> None:
            raise ValueError("broken reader")

        link.deliver(broken)
        await link.request(lambda request_id: Leave(id=request_id), Ok, 1)
        assert "broken reader" in caplog.text
        assert lost.reasons == []
        await link.close()


async def test_a_resync_is_kept_for_who_asks() -> None:
    async with hub(answering({**JOINED, "id": 0})) as url:
        link = await Link.open(url, RoomOptions(), Lost())
        link.send(Leave(id=9))
        resynced = await link.resync(1)
        assert isinstance(resynced, Joined)
        assert resynced.room == "lobby"
        await link.close()


async def test_nobody_there() -> None:
    async with hub(silent) as url:
        pass
    with pytest.raises(LinkLostError, match="cannot reach") as caught:
        await Link.open(url, QUICK, Lost())
    assert caught.value.refused


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1/", "ws://127.0.0.1:99999/", "ws://[", "ws://:80"])
async def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(LinkLostError, match="cannot reach"):
        await Link.open(url, QUICK, Lost())


async def test_the_end_of_a_link_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    async with hub(silent) as url:
        link = await Link.open(url, RoomOptions(), Lost())
        opening = asyncio.create_task(Link.open(url, RoomOptions(), Lost()))
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await link.close()
    await until(lambda: asyncio.all_tasks() <= before)
