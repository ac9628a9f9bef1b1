"""Two meshes and a post office in place of the hub: real legs on 127.0.0.1, and every message can be lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from appliance.room.backend import LegFailedError, MediaCalls
from appliance.room.counters import OutTrack
from appliance.room.link import LinkLostError
from appliance.room.mesh import Mesh
from appliance.room.signaling_base import Kind
from appliance.room.signaling_room import (
    LegAnswer,
    LegClose,
    LegMessage,
    LegOffer,
    LegRequest,
    LegSelect,
    StreamInfo,
    TrackInfo,
)
from appliance.room.streams import RemoteStream
from appliance.room.uplinks import MAX_LEGS_PER_PEER, MAX_REQUESTS
from tests.appliance.room.media import playout, until, uplink

BOTH: frozenset[Kind] = frozenset({"audio", "video"})
AUDIO: frozenset[Kind] = frozenset({"audio"})


class Post:
    """Carries leg messages between meshes by name; who is in `away` gets nothing, who is in `cut` cannot send."""

    def __init__(self) -> None:
        self.meshes: dict[str, Mesh] = {}
        self.away: set[str] = set()
        self.cut: set[str] = set()
        self.sent: list[tuple[str, str, LegMessage]] = []

    def send(self, sender: str, to: str, message: LegMessage) -> None:
        if sender in self.cut:
            raise LinkLostError("cut")
        self.sent.append((sender, to, message))
        if to in self.meshes and to not in self.away:
            asyncio.get_running_loop().call_soon(self.meshes[to].signal, sender, message)

    def of(self, cls: type[LegMessage], sender: str) -> list[LegMessage]:
        return [message for one, _, message in self.sent if one == sender and isinstance(message, cls)]


class Pair:
    """`a` sends, `b` receives."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self.a, self.b = post.meshes["a"], post.meshes["b"]
        self.stream = RemoteStream("a", StreamInfo(audio=TrackInfo(), video=TrackInfo()))
        self.subscribed: list[Kind] = []

    def legs(self, direction: str) -> int:
        return sum(report.direction == direction for report in (*self.a.reports(), *self.b.reports()))


@asynccontextmanager
async def pair(*, camera: bool = True) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        post = Post()
        sender = await stack.enter_async_context(uplink(camera=camera))
        player = await stack.enter_async_context(playout())
        nothing = MediaCalls(*(lambda *_: None for _ in range(5)))
        post.meshes["a"] = Mesh(sender, None, send=lambda to, message: post.send("a", to, message), calls=nothing)
        post.meshes["b"] = Mesh(
            None,
            player,
            send=lambda to, message: post.send("b", to, message),
            calls=replace(nothing, subscribed=lambda _, kind: two.subscribed.append(kind)),
        )
        two: Pair = Pair(post)
        before = asyncio.all_tasks()
        for mesh in post.meshes.values():
            mesh.link_up()
        two.a.publish("main", BOTH if camera else AUDIO)
        try:
            yield two
        finally:
            post.cut.clear()
            await asyncio.gather(two.a.close(), two.b.close())
            left = {task for task in asyncio.all_tasks() - before if not task.done()}
            assert not left, "close() leaves no task"


async def subscribed(two: Pair, kinds: frozenset[Kind]) -> None:
    two.b.want(two.stream, kinds)
    async with asyncio.timeout(10):
        await two.b.wait_subscribed(two.stream, kinds)


async def test_a_wish_becomes_a_leg_and_each_kind_is_announced_once() -> None:
    async with pair() as two:
        await subscribed(two, BOTH)
        assert sorted(two.subscribed) == ["audio", "video"]
        assert two.stream.audio is not None
        assert two.stream.video is not None
        with two.stream.video.watch():
            async with asyncio.timeout(5):
                frame = await two.stream.video.wait_frame()
        assert (frame.width, frame.height) == (160, 160)
        await until(lambda: (two.legs("up"), two.legs("down")) == (1, 1))
        assert len(two.post.of(LegRequest, "b")) == 1


async def test_an_end_of_the_wish_ends_the_leg_on_both_sides() -> None:
    async with pair(camera=False) as two:
        await subscribed(two, AUDIO)
        two.b.want(two.stream, frozenset())
        await until(lambda: not two.a.reports(), what="the sender's leg is gone")
        assert two.stream.audio is None
        assert two.b.wanted(two.stream) == frozenset()
        with pytest.raises(LegFailedError):
            await two.b.wait_subscribed(two.stream, AUDIO)


async def test_a_wider_wish_is_a_new_leg_and_the_sound_never_stops() -> None:
    async with pair() as two:
        await subscribed(two, AUDIO)
        old = two.stream.audio
        silent = False

        async def watch() -> None:
            nonlocal silent
            while two.stream.audio is old:  # noqa: ASYNC110 - every turn of the loop counts
                await asyncio.sleep(0)
            silent = two.stream.audio is None

        watcher = asyncio.create_task(watch())
        await subscribed(two, BOTH)
        async with asyncio.timeout(5):
            await watcher
        assert not silent
        assert two.subscribed == ["audio", "video"]
        await until(lambda: two.legs("up") == 1, what="the old leg is gone")


async def test_a_lost_leg_is_built_anew_without_a_second_announcement() -> None:
    async with pair(camera=False) as two:
        await subscribed(two, AUDIO)
        first = two.stream.audio
        (request,) = two.post.of(LegRequest, "b")
        two.b.signal("a", LegClose(leg=request.leg, reason="the sender's trouble"))
        await until(lambda: two.stream.audio not in (None, first), what="a new leg carries media")
        assert two.subscribed == ["audio"]


async def test_a_leg_lost_while_the_link_is_down_is_built_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="appliance.room.downlink")
    async with pair(camera=False) as two:
        await subscribed(two, AUDIO)
        two.b.link_down()
        two.post.cut.add("b")
        (request,) = two.post.of(LegRequest, "b")
        two.b.signal("a", LegClose(leg=request.leg))
        await until(lambda: two.stream.audio is None)
        await asyncio.sleep(1)  # longer than the back-off: nothing is tried without a link
        assert "again in" not in caplog.text
        two.post.cut.clear()
        two.b.link_up()
        await until(lambda: two.stream.audio is not None, what="a new leg carries media")


async def test_media_needs_no_link() -> None:
    async with pair(camera=False) as two:
        await subscribed(two, AUDIO)
        for mesh in (two.a, two.b):
            mesh.link_down()
        two.post.cut |= {"a", "b"}
        packets = two.b.reports()[0].stats.packets
        await until(lambda: two.b.reports()[0].stats.packets > packets + 20)


async def test_a_sender_that_is_away_is_asked_until_it_is_back() -> None:
    async with pair(camera=False) as two:
        two.post.away.add("a")
        two.b.want(two.stream, AUDIO)
        await until(lambda: two.post.of(LegRequest, "b"))
        two.post.away.clear()
        async with asyncio.timeout(4):
            await two.b.wait_subscribed(two.stream, AUDIO)
        assert len({message.leg for message in two.post.of(LegRequest, "b")}) == 1, "the same leg, asked for again"


async def test_what_is_unpublished_ends_at_once_and_the_rest_comes_back() -> None:
    async with pair() as two:
        await subscribed(two, BOTH)
        two.a.publish("main", AUDIO)
        two.stream.info = StreamInfo(audio=TrackInfo())
        two.b.nudge("a")
        await until(lambda: two.stream.video is None and two.stream.audio is not None)
        await until(lambda: two.legs("up") == 1 and two.legs("down") == 1)
        two.a.publish("main", frozenset())
        await until(lambda: two.legs("up") == 0)


async def test_a_muted_kind_needs_no_media_to_be_subscribed() -> None:
    async with pair(camera=False) as two:
        two.stream.info = StreamInfo(audio=TrackInfo(), video=TrackInfo(muted=True))
        await subscribed(two, BOTH)
        assert sorted(two.subscribed) == ["audio", "video"]


async def test_a_stalled_camera_does_not_hold_the_voice_up() -> None:
    async with pair(camera=False) as two:
        two.a.publish("main", BOTH)
        two.b.want(two.stream, BOTH)
        async with asyncio.timeout(5):
            await two.b.wait_subscribed(two.stream, AUDIO)
        await until(lambda: two.legs("down") == 1, what="the leg is in use without a picture")
        assert two.stream.audio is not None
        assert two.subscribed == ["audio"]


async def test_a_hundred_requests_are_four_legs() -> None:
    async with pair(camera=False) as two:
        for number in range(100):
            two.a.signal("b", LegRequest(leg=f"leg{number}", kinds=("audio",)))
        await until(lambda: len(two.post.of(LegOffer, "a")) == MAX_LEGS_PER_PEER)
        refused = [message for message in two.post.of(LegClose, "a") if isinstance(message, LegClose)]
        assert len(refused) == 100 - MAX_LEGS_PER_PEER
        assert any("legs a peer" in message.reason for message in refused)
        assert any(f"{MAX_REQUESTS} requests" in message.reason for message in refused)


async def test_a_layer_that_is_selected_at_once_holds_and_a_flood_of_them_does_not() -> None:
    async with pair() as two:
        two.b.want(two.stream, BOTH)
        await until(lambda: two.post.of(LegRequest, "b"))
        two.b.select(two.stream, "low")
        async with asyncio.timeout(10):
            await two.b.wait_subscribed(two.stream, BOTH)
        (leg,) = {message.leg for message in two.post.of(LegRequest, "b")}

        def layer() -> str:
            (report,) = two.a.reports()
            (video,) = [track for track in report.tracks if track.kind == "video"]
            assert isinstance(video, OutTrack)
            return video.layer

        await until(lambda: layer() == "low", what="selected before there was an offer")
        for turn in range(100):
            two.a.signal("b", LegSelect(leg=leg, layer="none" if turn % 2 else "high"))
        two.a.signal("b", LegSelect(leg=leg, layer="low"))
        assert two.a._uplinks._served["b", leg].layer != "low", "no longer listened to"


@pytest.mark.parametrize("request_", [LegRequest(leg="x", stream="screen"), LegRequest(leg="x", kinds=("video",))])
async def test_what_is_not_published_is_refused(request_: LegRequest) -> None:
    async with pair(camera=False) as two:
        two.a.signal("b", request_)
        (refused,) = two.post.of(LegClose, "a")
        assert isinstance(refused, LegClose)
        assert "published" in refused.reason


async def test_stale_and_foreign_messages_change_nothing() -> None:
    async with pair(camera=False) as two:
        await subscribed(two, AUDIO)
        (request,) = two.post.of(LegRequest, "b")
        (answer,) = two.post.of(LegAnswer, "b")
        assert isinstance(answer, LegAnswer)
        before = two.stream.audio
        two.a.signal("b", answer)
        two.a.signal("c", LegAnswer(leg=request.leg, sdp=answer.sdp))
        two.a.signal("c", LegClose(leg=request.leg))
        two.b.signal("c", LegClose(leg=request.leg))
        two.b.signal("a", LegOffer(leg=request.leg, sdp="v=0"))
        two.b.signal("a", LegOffer(leg="unasked", sdp="v=0"))
        assert [message.leg for message in two.post.of(LegClose, "b")] == ["unasked"]
        packets = two.b.reports()[0].stats.packets
        await until(lambda: two.b.reports()[0].stats.packets > packets + 5)
        assert two.stream.audio is before


@pytest.mark.parametrize("sdp", ["", "not SDP", "v=0\r\n", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", "\x00" * 900])
async def test_an_answer_that_is_none_ends_that_leg_only(sdp: str) -> None:
    async with pair(camera=False) as two:
        await subscribed(two, AUDIO)
        two.post.away.add("b")
        two.a.signal("b", LegRequest(leg="bad", kinds=("audio",)))
        await until(lambda: [message for message in two.post.of(LegOffer, "a") if message.leg == "bad"])
        two.a.signal("b", LegAnswer(leg="bad", sdp=sdp))
        await until(lambda: "bad" in [message.leg for message in two.post.of(LegClose, "a")])
        assert two.legs("up") == 1


async def test_an_offer_that_is_none_is_asked_for_again() -> None:
    async with pair(camera=False) as two:
        two.post.away.add("a")
        two.b.want(two.stream, AUDIO)
        await until(lambda: two.post.of(LegRequest, "b"))
        two.b.signal("a", LegOffer(leg=two.post.of(LegRequest, "b")[0].leg, sdp="v=0\r\nm=audio x"))
        two.post.away.clear()
        async with asyncio.timeout(5):
            await two.b.wait_subscribed(two.stream, AUDIO)


async def test_who_leaves_takes_its_legs_along() -> None:
    async with pair(camera=False) as two:
        await subscribed(two, AUDIO)
        two.a.forget("b")
        two.b.forget("a")
        await until(lambda: not two.a.reports() and not two.b.reports())
        assert not two.post.of(LegClose, "a")
        assert not two.post.of(LegClose, "b")


@pytest.mark.parametrize("at", ["a", "b"])
async def test_a_leg_whose_address_is_gone_is_replaced_at_once(at: str) -> None:
    async with pair(camera=False) as two:
        two.b.want(two.stream, AUDIO)
        await two.b.wait_subscribed(two.stream, AUDIO)
        before = two.b.reports()
        mesh = two.post.meshes[at]
        mesh.network_changed(back=True, gone=frozenset({"10.9.9.9"}))
        assert len(two.post.of(LegRequest, "b")) == 1
        mesh.network_changed(back=True, gone=frozenset({"127.0.0.1"}))
        await until(lambda: len(two.post.of(LegRequest, "b")) == 2, 1, what="another leg is asked for")
        await until(lambda: two.b.reports() and two.b.reports()[0].leg_id != before[0].leg_id, what="another leg")
