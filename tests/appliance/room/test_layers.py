"""Layers of received video: the decision by itself, and the switch through real legs (U36, IL23)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InvalidArgumentError
from appliance.media import aiortc_hooks
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.room import LocalStream, RemoteStream
from appliance.room.events import StreamAdded, StreamSubscribed
from appliance.room.layers import BETTER_S, RemoteVideoFacts, Squeeze, select
from appliance.room.streams import StreamType
from hw.synthetic import SyntheticCamera
from tests.appliance.room.house import BRISK, House, house
from tests.appliance.room.media import playout, until

TWO, ONE = RemoteVideoFacts(has_low=True), RemoteVideoFacts(has_low=False)


# --- pure


def test_a_wish_a_small_tile_and_a_poor_downlink_each_bring_the_low_layer() -> None:
    assert select(TWO, 0, "high") == "high"
    assert select(replace(TWO, wish=StreamType.LOW), 0, "high") == "low"
    assert select(replace(TWO, shown=(320, 180)), 0, "high") == "low"
    assert select(replace(TWO, shown=(1280, 720)), 0, "low") == "high"
    assert select(TWO, 1, "high") == "low"
    assert select(ONE, 1, "high") == "high", "there is no other"
    assert select(replace(ONE, shown=(0, 0)), 0, "high") == "none"


def test_what_nobody_wants_begins_low_and_ends() -> None:
    unseen = replace(TWO, is_wanted=False)
    assert select(unseen, 0, "high") == "low"
    assert select(replace(unseen, has_come=True), 0, "low") == "none"
    assert select(replace(ONE, is_wanted=False), 0, "high") == "high", "there is no other"
    assert select(replace(ONE, is_wanted=False, has_come=True), 0, "high") == "none"


def test_a_tile_between_small_and_large_changes_nothing() -> None:
    tile = replace(TWO, shown=(480, 270))
    assert (select(tile, 0, "high"), select(tile, 0, "low")) == ("high", "low")


def test_the_important_user_is_the_last_to_be_given_up() -> None:
    important = replace(TWO, is_important=True)
    taken = [(select(TWO, step, "high"), select(important, step, "high")) for step in range(4)]
    assert taken == [("high", "high"), ("low", "high"), ("none", "high"), ("none", "low")]


def run(squeeze: Squeeze, script: list[tuple[float, float, float]], most: int = 3) -> list[int]:
    """The step after each of (seconds, loss, RTT), reported every second."""
    steps, now_s = [], 0.0
    for seconds, loss, rtt_s in script:
        for _ in range(int(seconds)):
            now_s += 1.0
            squeeze.report(loss, rtt_s, most, now_s)
        steps.append(squeeze.step)
    return steps


def test_a_squeezed_downlink_is_given_way_to_step_by_step_and_taken_back_slowly() -> None:
    squeeze = Squeeze()
    assert run(squeeze, [(20, 0.0, 0.03), (4, 0.1, 0.03), (3, 0.1, 0.03), (12, 0.0, 0.03), (20, 0.0, 0.03)]) == [
        0, 1, 2, 1, 0,
    ]  # fmt: skip


def test_an_important_video_that_is_short_takes_two_steps_at_most_and_does_not_stay_in_the_second() -> None:
    squeeze, now_s, steps = Squeeze(), 0.0, []
    for seconds, short in ((2, True), (3, True), (3, True), (10, True), (40, False)):
        for _ in range(seconds):
            now_s += 1.0
            squeeze.report(0.0, 0.03, 3, now_s, short=short)
        steps.append(squeeze.step)
    assert steps == [0, 1, 2, 1, 0]


def test_far_away_is_not_squeezed_but_a_full_queue_is() -> None:
    assert run(Squeeze(), [(60, 0.0, 0.6)]) == [0]
    assert run(Squeeze(), [(60, 0.0, 0.1), (5, 0.0, 0.4)]) == [0, 1]


def test_a_step_back_that_does_not_hold_is_tried_later_the_next_time() -> None:
    squeeze, now_s = Squeeze(), 0.0
    backs: list[float] = []
    while len(backs) < 3:  # squeezed whenever nothing is given up
        now_s += 1.0
        before = squeeze.step
        squeeze.report(0.2 if squeeze.step == 0 else 0.0, 0.03, 1, now_s)
        if squeeze.step < before:
            backs.append(now_s)
    assert backs[2] - backs[1] > 1.5 * (backs[1] - backs[0]) > BETTER_S


@given(
    st.lists(st.tuples(st.sampled_from([1.0, 5.0, 40.0]), st.floats(0, 1), st.floats(0, 2)), max_size=20),
    st.integers(0, 3),
)
def test_whatever_comes_the_step_stays_within_its_bounds(script: list[tuple[float, float, float]], most: int) -> None:
    assert all(0 <= step <= most for step in run(Squeeze(), script, most))


# --- through legs


@asynccontextmanager
async def filming(*, low_layer: bool = True) -> AsyncIterator[tuple[House, Uplink]]:
    """`a` publishes a camera of 640x360."""
    aiortc_hooks.install(["127.0.0.1"], loopback=True)
    sender = Uplink(UplinkSettings(VideoSettings(width=640, height=360, fps=15, codec="vp8", low_layer=low_layer)))
    sender.start(None, SyntheticCamera(640, 360, 15))
    try:
        async with house() as home:
            a = await home.joined("a", uplink=sender)
            await a.client.publish(LocalStream(audio=False, width=640, height=360))
            yield home, sender
    finally:
        await sender.close()


async def height(stream: RemoteStream, wanted: int) -> None:
    """Until a picture of this height is shown."""
    assert stream.video is not None
    async with asyncio.timeout(8):
        while (await stream.video.wait_frame()).height != wanted:
            pass


@pytest.mark.row("U36")
async def test_low_on_the_same_leg_and_high_again() -> None:
    async with filming() as (home, sender), playout() as player:
        b = await home.joined("b", playout=player)
        stream = (await b.heard(StreamAdded)).stream
        assert stream.has_low
        await b.client.subscribe(stream)
        (leg,) = [report.leg_id for report in b.client.leg_reports()]
        assert stream.video is not None
        with stream.video.watch():
            await height(stream, 360)
            assert b.client.set_remote_video_stream_type(stream, StreamType.LOW)
            assert b.client.received_layer(stream) == "low"
            await height(stream, 180)
            assert b.client.set_remote_video_stream_type("a", StreamType.HIGH)
            await height(stream, 360)
            b.client.set_shown_size(stream, (320, 180))
            await height(stream, 180)
            b.client.set_shown_size(stream, (0, 0))
            await until(lambda: not sender_threads(sender), what="nobody takes a picture")
            b.client.set_shown_size(stream, None)
            await height(stream, 360)
        assert [report.leg_id for report in b.client.leg_reports()] == [leg]
        assert len(b.of(StreamSubscribed)) == 1


def sender_threads(sender: Uplink) -> list[int]:
    """The targets of the encoders that run."""
    targets = [sender.target_bitrate_bps("vp8", layer=layer) for layer in ("high", "low")]
    return [target for target in targets if target is not None]


@pytest.mark.row("U36")
@pytest.mark.parametrize("low_layer", [True, False])
async def test_on_demand_pictures_come_while_somebody_watches_or_has_asked(low_layer: bool) -> None:
    async with filming(low_layer=low_layer) as (home, sender), playout() as player:
        b = home.guest(replace(BRISK, video_on_demand=True), playout=player, auto_subscribe=True)
        await b.client.join("lobby", "b")
        stream = (await b.heard(StreamSubscribed)).stream

        def high() -> int | None:
            return sender.target_bitrate_bps("vp8", layer="high")

        if low_layer:
            assert high() is None, "it is known to come by its small picture"
        await until(lambda: b.client.received_layer(stream) == "none", what="nobody looks")
        await until(lambda: not sender_threads(sender), what="nothing is encoded")
        assert [report.rests for report in b.client.leg_reports()] == [True]
        (leg,) = [report.leg_id for report in b.client.leg_reports()]
        assert stream.video is not None
        for _ in range(2):
            with stream.video.watch():
                await height(stream, 360)
            await until(lambda: not sender_threads(sender), what="looked away")
        if low_layer:
            assert b.client.set_remote_video_stream_type(stream, StreamType.HIGH)
        else:
            b.client.set_shown_size(stream, (640, 360))
        await until(high, what="asked for")
        assert [report.leg_id for report in b.client.leg_reports()] == [leg]


@pytest.mark.row("U36")
async def test_a_wish_from_before_the_join_holds_from_the_first_picture_on() -> None:
    async with filming() as (home, sender), playout() as player:
        b = home.guest(playout=player, auto_subscribe=True)
        assert b.client.set_remote_video_stream_type("a", StreamType.LOW)
        await b.client.join("lobby", "b")
        stream = (await b.heard(StreamSubscribed)).stream
        assert stream.video is not None
        with stream.video.watch():
            async with asyncio.timeout(5):
                assert (await stream.video.wait_frame()).height == 180
        assert sender.target_bitrate_bps("vp8", layer="high") is None, "nobody takes it"


@pytest.mark.row("IL23")
async def test_a_stream_of_one_layer_has_no_other() -> None:
    async with filming(low_layer=False) as (home, _):
        b = await home.joined("b")
        stream = (await b.heard(StreamAdded)).stream
        assert not b.client.set_remote_video_stream_type(stream, StreamType.LOW)
        assert b.client.received_layer(stream) == "high"
        with pytest.raises(InvalidArgumentError):
            b.client.set_remote_video_stream_type(stream, "middle")  # type: ignore[arg-type]


async def test_a_video_that_is_not_shown_is_subscribed_all_the_same_and_comes_when_it_is() -> None:
    async with filming() as (home, sender), playout() as player:
        b = home.guest(options=BRISK, playout=player, auto_subscribe=True)
        b.client.set_shown_size("a", (0, 0))
        await b.client.join("lobby", "b")
        stream = (await b.heard(StreamSubscribed)).stream
        assert sender_threads(sender) == []
        b.client.set_shown_size("a", (1280, 720))
        await until(lambda: stream.video is not None)
        assert stream.video is not None
        with stream.video.watch():
            await height(stream, 360)
