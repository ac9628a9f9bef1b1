"""Push to talk: who holds the gate open, and that nobody holds it for ever."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from appliance.media.echo import NearEndSettings
from appliance.media.uplink import UplinkSettings
from appliance.talk import Talk
from tests.appliance.unit import MockDevices, new_session, running, until


class Gate:
    def __init__(self, *, shut: bool = True) -> None:
        self.shut = shut
        self.moves: list[bool] = []
        self.talk = Talk(self._move, lambda: self.shut, rests_shut=shut)

    async def _move(self, shut: bool) -> None:
        self.shut = shut
        self.moves.append(shut)


@asynccontextmanager
async def talking(gate: Gate) -> AsyncIterator[Talk]:
    task = asyncio.create_task(gate.talk.run(), name="talk under test")
    try:
        yield gate.talk
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_gate_is_open_until_the_last_one_lets_go() -> None:
    gate = Gate()
    await gate.talk.hold("button")
    await gate.talk.hold("page", 5.0)
    assert not gate.shut
    await gate.talk.release("button")
    await gate.talk.release("button")
    assert not gate.shut
    await gate.talk.release("page")
    assert gate.moves == [False, True]


async def test_a_gate_that_is_open_stays_open_whoever_holds() -> None:
    gate = Gate(shut=False)
    await gate.talk.hold("button")
    await gate.talk.release("button")
    assert gate.moves == []


async def test_who_says_nothing_any_more_lets_go() -> None:
    gate = Gate()
    async with talking(gate) as talk:
        await talk.hold("page", 0.05)
        await talk.hold("page", 0.1)
        assert not gate.shut
        await until(lambda: gate.shut)
        assert not talk.is_held


async def test_push_to_talk_begins_and_ends_with_the_gate_as_it_then_is() -> None:
    gate = Gate(shut=False)
    async with talking(gate) as talk:
        talk.rest(shut=True)
        await until(lambda: gate.shut)
        talk.rest(shut=False)
        await until(lambda: not gate.shut)


async def test_a_session_with_push_to_talk_starts_muted_and_one_that_ends_is_held_by_nobody() -> None:
    session, _ = new_session("ws://127.0.0.1:9", MockDevices(), auto_join=False)
    settings = UplinkSettings(near_end=NearEndSettings("push-to-talk"))
    async with running(session):
        await until(lambda: session.has("audio"))
        assert not session.is_muted("audio")
        session.change(replace(session.settings, uplink=settings), session._drivers, ())
        await until(lambda: session.is_muted("audio"), "push to talk begins")
        await session.talk.hold("button")
        assert not session.is_muted("audio")
    async with running(session):
        await until(lambda: session.has("audio"))
        assert session.is_muted("audio")
        session.change(replace(session.settings, uplink=UplinkSettings()), session._drivers, ())
        await until(lambda: not session.is_muted("audio"), "push to talk ends")


async def test_a_unit_without_its_canceller_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    session, _ = new_session("ws://127.0.0.1:9", MockDevices(), auto_join=False)
    session.settings = replace(
        session.settings, uplink=UplinkSettings(near_end=NearEndSettings(echo_cancellation=True))
    )
    async with running(session):
        await until(lambda: session.health.startswith("degraded: echo is not cancelled: pywebrtc-audio"))
        assert session.has("audio")
