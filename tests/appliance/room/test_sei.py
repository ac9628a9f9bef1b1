"""SEI through real legs: in H.264, beside VP8, encrypted and not; its limits (U83, U84, IL24)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InvalidArgumentError, NotJoinedError, RateLimitError, SeiUnavailableError
from appliance.media.frames import VideoCodec
from appliance.media.sei import SeiPayload
from appliance.room import LocalStream
from appliance.room.events import SeiMessage, StreamAdded, StreamSubscribed
from appliance.room.options import RoomOptions
from appliance.room.sei_allowance import BYTES_PER_S, MAX_BYTES, MESSAGES_PER_S, SeiAllowance, checked
from tests.appliance.room.house import Guest, house, settled
from tests.appliance.room.media import playout, until, uplink

UUID = bytes(range(16))


@asynccontextmanager
async def call(
    codec: VideoCodec, *, receivers: int = 1, secret: str = "", prepare: Callable[[Guest], None] = lambda guest: None
) -> AsyncIterator[tuple[Guest, list[Guest]]]:
    """Who sends, and who has its video, watched by nobody."""
    async with uplink(codec=codec) as sender, playout() as player, house(heartbeat_s=2.0, lost_after_s=10.0) as home:
        a = home.guest(RoomOptions(), uplink=sender)
        others = [home.guest(RoomOptions(), playout=player, auto_subscribe=True) for _ in range(receivers)]
        for number, guest in enumerate((a, *others)):
            if secret:
                guest.client.set_encryption_mode("aes-128-gcm")
                guest.client.set_encryption_secret(secret)
            await guest.client.join("lobby", f"guest{number}")
        await a.client.publish(LocalStream(width=160, height=160))
        for guest in others:
            await guest.heard(StreamSubscribed, 2, 10)
        yield a, others


@pytest.mark.row("U83", "U84")
@pytest.mark.parametrize("secret", ["", "a secret"], ids=["clear", "encrypted"])
@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_three_bytes_come_as_they_were_sent(codec: VideoCodec, secret: str) -> None:
    async with call(codec, receivers=2, secret=secret) as (a, others):
        a.client.send_sei_message(b"\x00\x00\x01")
        a.client.send_sei_message(UUID + b"\x00\x00\x03", 5)
        a.client.send_sei_message(bytes(MAX_BYTES))
        for other in others:
            await other.heard(SeiMessage, 3, 10)
            assert [(event.user_id, event.data, event.payload_type) for event in other.of(SeiMessage)] == [
                ("guest0", b"\x00\x00\x01", 243),
                ("guest0", UUID + b"\x00\x00\x03", 5),
                ("guest0", bytes(MAX_BYTES), 243),
            ]
        assert a.of(SeiMessage) == []


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_a_message_counts_once_while_one_leg_takes_the_place_of_another(codec: VideoCodec) -> None:
    async with call(codec) as (a, (b,)):
        stream = b.of(StreamAdded)[0].stream
        await b.client.unsubscribe(stream, ("audio",))  # a new leg; the old one goes when that carries media
        sent = 0
        async with asyncio.timeout(10):
            while len(b.client.leg_reports()) == 0 or sent < 20:
                a.client.send_sei_message(b"%d" % sent)
                sent += 1
                await asyncio.sleep(0.05)
        await until(lambda: b.of(SeiMessage) and b.of(SeiMessage)[-1].data == b"%d" % (sent - 1), 10, "the last one")
        heard = [event.data for event in b.of(SeiMessage)]
        assert len(set(heard)) == len(heard)


@pytest.mark.row("IL24", "U84")
async def test_without_video_too_long_or_too_often_nothing_is_sent() -> None:
    async with call("h264") as (a, (b,)):
        client = a.client
        for data, payload_type in ((bytes(1025), 243), (b"", 243), (b"x", 4), (b"no uuid", 5)):
            with pytest.raises(InvalidArgumentError):
                client.send_sei_message(data, payload_type)
        for number in range(MESSAGES_PER_S):
            client.send_sei_message(b"%d" % number)
        with pytest.raises(RateLimitError, match="30 messages"):
            client.send_sei_message(b"31st")
        await b.heard(SeiMessage, MESSAGES_PER_S, 10)
        assert [event.data for event in b.of(SeiMessage)] == [b"%d" % number for number in range(MESSAGES_PER_S)]
        await client.mute("video")
        with pytest.raises(SeiUnavailableError):
            client.send_sei_message(b"muted")
        await client.unmute("video")
        await client.unpublish("main", ("video",))
        with pytest.raises(SeiUnavailableError):
            client.send_sei_message(b"sound only")
        with pytest.raises(SeiUnavailableError):
            b.client.send_sei_message(b"nothing published")
        await client.leave()
        with pytest.raises(NotJoinedError):
            client.send_sei_message(b"outside")
        await settled()
        assert len(b.of(SeiMessage)) == MESSAGES_PER_S


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, MAX_BYTES)), max_size=80))
def test_no_second_has_more_than_its_share(calls: list[tuple[float, int]]) -> None:
    allowance, now_s, taken = SeiAllowance(), 0.0, [(-1.0, 0)]
    for pause_s, size in calls:
        now_s += pause_s
        try:
            allowance.take(size, now_s)
        except RateLimitError:
            window = [sent for at_s, sent in taken if at_s > now_s - 1.0]
            assert len(window) >= MESSAGES_PER_S or sum(window) + size > BYTES_PER_S
            continue
        taken.append((now_s, size))
        window = [sent for at_s, sent in taken if at_s > now_s - 1.0]
        assert len(window) <= MESSAGES_PER_S
        assert sum(window) <= BYTES_PER_S


def test_what_may_be_sent() -> None:
    assert checked(b"x", 243) == SeiPayload(243, b"x")
    assert checked(UUID, 5) == SeiPayload(5, UUID)
    with pytest.raises(InvalidArgumentError, match="16 to 1024, the first 16 of them a UUID"):
        checked(UUID[:15], 5)
