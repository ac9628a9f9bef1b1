"""U76, U77: messages between users, through real WebSockets."""

from __future__ import annotations

import asyncio

import pytest

from appliance.errors import InvalidArgumentError, NotLoggedInError, RateLimitError
from appliance.hub import peer_messages
from appliance.room.events import LoginStateChanged, PeerMessage
from appliance.room.options import RoomOptions
from tests.appliance.room.house import Guest, House, house

BIG = "ü" * (16 * 1024)  # 32 KiB in UTF-8


def texts(guest: Guest) -> list[str]:
    return [event.message.text for event in guest.of(PeerMessage)]


async def pair(home: House) -> tuple[Guest, Guest]:
    a, b = home.guest(), home.guest(port=home.port)
    await a.client.login("a")
    await b.client.login("b")
    return a, b


@pytest.mark.row("U76", "U77")
async def test_messages_arrive_whole_in_order_and_once() -> None:
    async with house() as home:
        a, b = await pair(home)
        await b.client.join("lobby")
        wanted = [BIG, "\x00\x1f" * 16 * 1024, '"quoted"\\', "", *map(str, range(50))]
        deliveries = [await a.client.send_peer_message("b", text) for text in wanted]
        assert all(deliveries)
        assert texts(b) == wanted
        event = b.of(PeerMessage)[0]
        assert (event.peer_id, event.message.type, event.props.offline) == ("a", "TEXT", False)
        assert texts(a) == []


@pytest.mark.row("U76", "IL25")
async def test_one_byte_too_many_is_refused_and_the_next_goes_through() -> None:
    async with house() as home:
        a, b = await pair(home)
        with pytest.raises(InvalidArgumentError, match="32769"):
            await a.client.send_peer_message("b", BIG + "x")
        with pytest.raises(InvalidArgumentError, match="1 to 64 bytes"):
            await a.client.send_peer_message("ü" * 33, "whom?")
        with pytest.raises(InvalidArgumentError, match="no text"):
            await a.client.send_peer_message("b", "half of \ud83d")
        with pytest.raises(InvalidArgumentError, match="another user"):
            await a.client.send_peer_message("a", "me")
        assert await a.client.send_peer_message("b", "short")
        assert texts(b) == ["short"]


@pytest.mark.row("U77")
async def test_nobody_there() -> None:
    async with house() as home:
        a, b = await pair(home)
        await b.client.logout()
        delivery = await a.client.send_peer_message("b", "hello?")
        assert (bool(delivery), delivery.stored) == (False, False)
        await b.client.login("b")
        await asyncio.sleep(0)
        assert texts(b) == []


@pytest.mark.row("U76", "U77")
async def test_a_message_may_wait_for_the_next_login() -> None:
    async with house() as home:
        a, b = await pair(home)
        await b.client.logout()
        for text in ("first", "second"):
            delivery = await a.client.send_peer_message("b", text, offline=True)
            assert (delivery.delivered, delivery.stored) == (False, True)
        await b.client.login("b")
        await b.heard(PeerMessage, 2)
        assert texts(b) == ["first", "second"]
        assert all(event.props.offline for event in b.of(PeerMessage))
        await b.client.logout()
        await b.client.login("b")
        assert await a.client.send_peer_message("b", "third")
        assert texts(b) == ["first", "second", "third"], "those that waited come once"


async def test_who_has_left_too_much_hears_why_no_more_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_messages, "MAX_KEPT_BYTES_OF_ONE", 3000)
    async with house() as home:
        a = home.guest()
        await a.client.login("a")
        assert (await a.client.send_peer_message("b", "x" * 1800, offline=True)).stored
        delivery = await a.client.send_peer_message("c", "x" * 1800, offline=True)
        assert (delivery.delivered, delivery.stored) == (False, False)
        assert delivery.refusal == "over 3000 bytes of 'a' wait already"
        b = home.guest()
        await b.client.login("b")
        await b.heard(PeerMessage)
        assert (await a.client.send_peer_message("c", "x" * 1800, offline=True)).stored


async def test_a_receiver_that_vanishes_is_told_to_the_sender() -> None:
    async with house(lost_after_s=0.6) as home:
        a = home.guest(port=home.port)
        await a.client.login("a")
        b = home.guest(RoomOptions(lost_after_s=30.0))
        await b.client.login("b")
        home.proxy.black_hole()
        delivery = await a.client.send_peer_message("b", "are you there?")
        assert not delivery


@pytest.mark.row("IL25")
async def test_the_sixty_first_in_a_second_is_refused() -> None:
    async with house() as home:
        a, b = await pair(home)
        results = await asyncio.gather(
            *(a.client.send_peer_message("b", str(number)) for number in range(80)), return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, RateLimitError)]
        assert 15 <= len(refused) <= 20  # some more are allowed for the time that this took
        assert len(texts(b)) == 80 - len(refused)
        assert b.of(LoginStateChanged)[-1].cur_state == "CONNECTED"


@pytest.mark.row("IL25")
async def test_before_the_login() -> None:
    async with house() as home:
        a = home.guest()
        with pytest.raises(NotLoggedInError):
            await a.client.send_peer_message("b", "hello")
