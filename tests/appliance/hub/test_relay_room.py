"""The hidden member: what it asks of whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from appliance.hub.relay_room import RoomRelay
from appliance.room.signaling_room import (
    LegClose,
    LegMessage,
    LegOffer,
    LegRequest,
    Member,
    MemberChanged,
    MemberLeft,
    SignalFrom,
    StreamInfo,
    TrackInfo,
)
from appliance.room.signaling_tasks import Canvas, LayoutUser, TaskLayout

VIDEO = TrackInfo(width=1280, height=720, low=True)
ANNA = Member(
    user_id="anna", streams=(StreamInfo(audio=TrackInfo(), video=VIDEO), StreamInfo(name="screen", video=VIDEO))
)
BEN = Member(user_id="ben", streams=(StreamInfo(audio=TrackInfo(), video=VIDEO),))


class Room:
    def __init__(self, *members: Member) -> None:
        self.said: list[tuple[str, LegMessage]] = []
        self.relay = RoomRelay("stage", members, lambda to, leg: self.said.append((to, leg)), ())

    def show(self, *users: LayoutUser, name: str = "task", is_live: bool = True) -> None:
        layout = TaskLayout(canvas=Canvas(width=1280, height=720), users=users)
        run: Any = SimpleNamespace(task=SimpleNamespace(layout=layout), is_live=is_live, close=_nothing)
        self.relay.runs[name] = run
        self.relay.settle()

    def take(self) -> list[tuple[Any, ...]]:
        """(to, what) of all that was said since."""
        said, self.said = self.said, []
        return [
            (to, leg.stream, leg.kinds, leg.layer) if isinstance(leg, LegRequest) else (to, type(leg))
            for to, leg in said
        ]


async def _nothing() -> None:
    return


@asynccontextmanager
async def room(*members: Member) -> AsyncIterator[Room]:
    one = Room(*members)
    try:
        yield one
    finally:
        await one.relay.close()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def at(user_id: str, height: int, **more: Any) -> LayoutUser:
    return LayoutUser(user_id=user_id, x=0, y=0, width=height * 16 // 9, height=height, **more)


async def test_it_wants_what_the_tasks_show_and_no_more() -> None:
    async with room(ANNA, BEN) as stage:
        await settled()
        assert stage.take() == []
        stage.show(at("anna", 720), at("anna", 360, stream="screen", push_audio=False), at("nobody", 360))
        await settled()
        assert stage.take() == [
            ("anna", "main", ("audio", "video"), "high"),
            ("anna", "screen", ("video",), "high"),
        ]
        stage.show(at("ben", 90), name="other", is_live=False)
        await settled()
        assert stage.take() == [], "its server is away"
        stage.show(at("ben", 90, push_audio=False), name="other")
        await settled()
        assert stage.take() == [("ben", "main", ("video",), "low")]


async def test_who_is_shown_large_anywhere_comes_large() -> None:
    async with room(BEN) as stage:
        stage.show(at("ben", 90))
        stage.show(at("ben", 720), name="other")
        await settled()
        ((_, request),) = stage.said
        assert isinstance(request, LegRequest)
        assert request.layer == "high"
        assert stage.relay.pictures() == {}
        del stage.relay.runs["other"], stage.relay.runs["task"]
        stage.relay.settle()
        await settled()
        assert stage.said[-1] == ("ben", LegClose(leg=request.leg))


async def test_members_come_and_go_and_strangers_offers_are_refused() -> None:
    async with room() as stage:
        stage.show(at("ben", 720))
        stage.relay.deliver(MemberChanged(member=BEN, joined=True))
        await settled()
        assert stage.take() == [("ben", "main", ("audio", "video"), "high")]
        stage.relay.deliver(SignalFrom(sender="eve", leg=LegOffer(leg="x", sdp="v=0")))
        stage.relay.deliver(SignalFrom(sender="eve", leg=LegRequest(leg="y")))
        await settled()
        assert {what for _, what in stage.take()} == {LegClose}
        stage.relay.deliver(MemberLeft(user_id="ben"))
        await settled()
        assert stage.take() == [], "who is gone gets no farewell"
