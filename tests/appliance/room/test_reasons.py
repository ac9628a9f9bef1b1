"""Why somebody left or was not let in, on both sides (RS01 to RS09)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from appliance.errors import LeaveReason, RtcErrorCode, ServiceUnavailableError
from appliance.room import LocalStream
from appliance.room.events import ConnectionStateChanged, ErrorRaised, PeerJoined, PeerLeft, StreamAdded
from tests.appliance.room.house import BRISK, house, settled
from tests.appliance.room.media import until


@pytest.mark.row("U15", "RS02", "RS04")
@pytest.mark.parametrize("reason", [LeaveReason.SERVER_ERROR, LeaveReason.SFU_ERROR, LeaveReason.SERVICE_UNAVAILABLE])
async def test_what_the_hub_says_of_a_member_is_what_the_others_hear(reason: LeaveReason) -> None:
    async with house() as home:
        a, _ = await home.joined("a"), await home.joined("b")
        rooms = home.hub.rooms
        home.hub._perform(lambda _now_s: rooms._leave(rooms.seats["b"], reason, "so it is"))
        left = await a.heard(PeerLeft)
        assert (left.reason, left.message) == (reason, "so it is")


@pytest.mark.row("U14", "U15", "RS08")
async def test_who_is_not_back_in_time_has_left_and_comes_back_as_rejoined() -> None:  # X09
    async with house(seat_grace_s=0.5) as home:
        a = await home.joined("a", port=home.port)
        b = await home.joined("b", options=replace(BRISK, reconnect_deadline_s=10.0))
        await b.client.publish(LocalStream())
        await a.heard(StreamAdded)
        await home.proxy.cut()
        left = await a.heard(PeerLeft)
        assert left.reason == LeaveReason.RECONNECT_TIMEOUT
        assert a.names()[-2:] == ["stream-removed", "peer-left"]
        await home.proxy.restore()
        await b.state("CONNECTED")
        assert not b.of(ConnectionStateChanged)[-1].resumed
        assert (await a.heard(PeerJoined, 2)).rejoined
        await a.heard(StreamAdded, 2)


@pytest.mark.row("RS04")
async def test_a_hub_that_takes_nobody_is_left_alone_for_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.hub.server.RETRY_AFTER_S", 1)
    async with house() as home:
        a, b = await home.joined("a"), home.guest()
        await home.proxy.cut()
        await a.state("RECONNECTING")
        home.hub._closing = True  # as while it is going away: 503
        await home.proxy.restore()
        knocked = home.proxy.connections
        await until(lambda: home.proxy.connections > knocked)
        refused_s = time.monotonic()
        with pytest.raises(ServiceUnavailableError) as caught:
            await b.client.join("lobby", "b")
        assert caught.value.retry_after_s == 1
        assert b.names() == ["CONNECTING", "DISCONNECTED"]
        home.hub._closing = False
        knocked = home.proxy.connections
        await a.state("CONNECTED")
        assert home.proxy.connections == knocked + 1
        assert time.monotonic() - refused_s > 0.8


@pytest.mark.row("RS04")
async def test_one_that_wants_to_be_left_alone_for_longer_than_we_wait_is_given_up() -> None:
    async with house() as home:
        a = await home.joined("a", options=replace(BRISK, reconnect_deadline_s=1.0))
        await home.proxy.cut()
        home.hub._closing = True  # for 5 s
        await home.proxy.restore()
        error = (await a.heard(ErrorRaised)).error
        assert error.code == "reconnect-timeout"
        assert "503" in error.message
        assert a.names()[-3:] == ["RECONNECTING", "DISCONNECTED", "error"]


@pytest.mark.row("U15", "RS05")
async def test_a_client_that_says_it_has_a_fault() -> None:
    async with house() as home:
        a, b = await home.joined("a"), await home.joined("b")
        await b.client.leave(LeaveReason.INTERNAL_ERROR)
        assert (await a.heard(PeerLeft)).reason == LeaveReason.INTERNAL_ERROR
        await b.client.join("lobby", "b")
        await b.client.destroy(LeaveReason.INTERNAL_ERROR)
        assert (await a.heard(PeerLeft, 2)).reason == LeaveReason.INTERNAL_ERROR


@pytest.mark.row("RS05")
async def test_a_fault_of_the_client_ends_its_stay_with_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house() as home:
        a, b = await home.joined("a", port=home.port), await home.joined("b")
        assert b.client._stay is not None

        async def broken(**_fields: Any) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(b.client._stay.own, "publish_again", broken)
        await home.proxy.cut()
        await home.proxy.restore()
        error = (await b.heard(ErrorRaised)).error
        assert (error.code, error.name) == (RtcErrorCode.INTERNAL, "INTERNAL")
        assert "a bug" in error.message
        assert b.names()[-5:] == ["RECONNECTED", "CONNECTED", "DISCONNECTING", "DISCONNECTED", "error"]
        last = b.of(ConnectionStateChanged)[-1]
        assert (last.reason, last.error) == ("ERROR", error)
        assert (await a.heard(PeerLeft)).reason == LeaveReason.INTERNAL_ERROR
        await b.client.join("lobby", "b")


@pytest.mark.row("RS09")
async def test_nobody_hears_of_a_test_of_the_network() -> None:
    async with house() as home:
        a, b, probe = await home.joined("a"), await home.joined("b"), home.guest()
        result = await probe.client.join("lobby", "probe", probe=True)
        assert set(result.peers) == {"a", "b"}
        await probe.client.publish(LocalStream())
        await home.proxy.cut()
        await home.proxy.restore()
        for guest in (a, b, probe):
            await guest.heard(ConnectionStateChanged, 5)
        await probe.client.leave()
        assert probe.names("peer-joined")[-2:] == ["DISCONNECTING", "DISCONNECTED"]
        await a.client.publish(LocalStream())
        await b.heard(StreamAdded)  # the hub answers this after anything that it had to say of the probe
        await settled()
        for guest, other in ((a, "b"), (b, "a")):
            assert [event.user_id for event in guest.of(PeerJoined)] == [other]
            assert guest.of(PeerLeft) == []
            assert set(guest.client.peers) == {other}
        await probe.client.join("lobby", "probe")
        assert not (await a.heard(PeerJoined, 2)).rejoined
        assert len(a.of(PeerJoined)) == 2


async def test_a_mistaken_retry_after_is_none() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 No\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with house() as home, await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        a = home.guest(port=server.sockets[0].getsockname()[1])
        with pytest.raises(ServiceUnavailableError) as caught:
            await a.client.join("lobby", "a")
        assert caught.value.retry_after_s == 0
