"""A member whose media reaches nobody, while the hub does (RS03)."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

from appliance.errors import LeaveReason, RtcErrorCode
from appliance.room import LocalStream
from appliance.room.events import ConnectionStateChanged, ErrorRaised, PeerLeft, StreamSubscribed
from appliance.room.media_loss import MediaLoss
from tests.appliance.room.house import CALM, house
from tests.appliance.room.media import playout, until, uplink
from tests.appliance.room.routed import route
from tests.wire import Wire

OTHERS = {"b", "c"}


def test_all_is_lost_after_the_deadline_and_not_before() -> None:
    loss = MediaLoss(10.0)
    assert not loss.look(OTHERS, set(), 100.0)
    assert not loss.look(OTHERS, set(), 109.9)
    assert loss.look(OTHERS, set(), 110.0)


def test_one_leg_that_is_back_begins_the_time_anew() -> None:
    loss = MediaLoss(10.0)
    loss.look(OTHERS, set(), 100.0)
    assert not loss.look(OTHERS, {"c"}, 109.0)
    assert not loss.look(OTHERS, set(), 111.0)
    assert not loss.look(OTHERS, set(), 120.9)
    assert loss.look(OTHERS, set(), 121.0)


@pytest.mark.parametrize("cut_off", [set(), {"b"}])
def test_alone_or_of_two_nobody_can_tell(cut_off: set[str]) -> None:
    loss = MediaLoss(10.0)
    assert not any(loss.look(cut_off, set(), now_s) for now_s in range(100))


def test_without_the_hub_no_time_passes() -> None:
    loss = MediaLoss(10.0)
    loss.look(OTHERS, set(), 100.0)
    assert not loss.look(OTHERS, set(), 120.0, online=False)
    assert not loss.look(OTHERS, set(), 121.0)
    assert loss.look(OTHERS, set(), 131.0)


@pytest.mark.row("RS03")
async def test_who_is_cut_off_from_everybodys_media_leaves_and_says_why_while_the_others_go_on() -> None:
    options = replace(CALM, media_deadline_s=1.5, sample_interval_s=0.2)
    with ExitStack() as stack:
        own, others = stack.enter_context(Wire()), stack.enter_context(Wire())
        async with (
            uplink(camera=False) as sender_a,
            playout() as player_a,
            uplink(camera=False) as sender_b,
            playout() as player_b,
            playout() as player_c,
            house(lost_after_s=8.0) as home,
        ):
            a = home.guest(options, uplink=sender_a, playout=player_a, auto_subscribe=True)
            b = home.guest(options, uplink=sender_b, playout=player_b, auto_subscribe=True)
            c = home.guest(options, uplink=sender_b, playout=player_c, auto_subscribe=True)
            for guest, name in ((a, "a"), (b, "b"), (c, "c")):
                route(guest.client, lambda to, name=name: own if "a" in (to, name) else others)  # type: ignore[misc]
                await guest.client.join("lobby", name)
                await guest.client.publish(LocalStream(video=False))
            for guest in (a, b, c):
                await guest.heard(StreamSubscribed, 2)
            own.cut = True
            error = (await a.heard(ErrorRaised, timeout_s=20)).error
            assert (error.code, error.name) == (RtcErrorCode.MEDIA_LOST, "MEDIA_LOST")
            assert a.names()[-3:] == ["DISCONNECTING", "DISCONNECTED", "error"]
            last = a.of(ConnectionStateChanged)[-1]
            assert (last.reason, last.error) == ("ERROR", error)
            for guest, other in ((b, "c"), (c, "b")):
                assert (await guest.heard(PeerLeft)).reason == LeaveReason.SFU_ERROR
                assert set(guest.client.peers) == {other}
                assert guest.client.connection_state == "CONNECTED"
            (stream,) = b.client.streams
            await until(lambda: b.client.subscribed_kinds(stream) and stream.audio is not None)
            own.cut = False
            await a.client.join("lobby", "a")  # its reason has passed
            await a.heard(StreamSubscribed, 4)
