"""The last hour in samples, and the diagnostics made of them: a unit in a room with somebody else."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import msgspec

from appliance.diagnostics import Diagnostics, DiagnosticsAnswer
from appliance.history import SAMPLES, History, LegRate
from appliance.room.backend import LegReport
from appliance.room.leg import LegStats
from appliance.state import describe
from appliance.system_stats import read_system_stats
from tests.appliance.unit import MockDevices, hub_at, idle_intercom, new_session, running, settings, until


def report(leg: str, count: int, direction: str = "up") -> LegReport:
    return LegReport(leg, direction, LegStats(bytes=count))  # type: ignore[arg-type]


def test_rates_out_of_counters() -> None:
    rates = LegRate()
    rates.look([report("a", 1000)], 10.0)
    assert rates.bps == {}
    rates.look([report("a", 2000), report("b", 5000, "down")], 12.0)
    assert rates.bps == {("up", "a"): 4000}
    rates.look([report("b", 4000, "down")], 13.0)  # its counter began anew
    assert rates.bps == {("down", "b"): 0}
    rates.look([report("b", 9000, "down")], 13.0)
    assert rates.bps == {}


async def test_a_call_seen_from_inside() -> None:
    async with hub_at() as (_hub, url):
        ours, theirs = MockDevices(), MockDevices()
        session, bus = new_session(url, ours)
        other, _ = new_session(url, theirs)
        other.settings = settings(url, user_id="other")
        history = History(session, bus, sample_s=0.2)
        begun_s = time.monotonic()
        task = asyncio.create_task(history.run(), name="history under test")
        try:
            async with running(session), running(other):
                await until(lambda: any(sample.downlink_bps > 10_000 for sample in history.since()), timeout_s=20)
                await until(lambda: any(sample.uplink for sample in history.since()), timeout_s=20)

                def state() -> object:
                    return describe(
                        session,
                        idle_intercom(session, bus),
                        bus,
                        name="n",
                        version="v",
                        panel=False,
                        leds={},
                        health={},
                    )

                answer = Diagnostics(session, history, state).look()  # type: ignore[arg-type]
                assert {(leg.direction, leg.user_id) for leg in answer.legs} == {("up", "other"), ("down", "other")}
                assert {"video-encode", "video-send", "audio-send", "audio-decode", "audio-mix", "audio-buffer"} <= set(
                    answer.state.stages
                )
                assert answer.state.stages["video-send"].p50_ms >= answer.state.stages["video-capture"].p50_ms
                assert answer.sounds["other"].packets > 0
                assert [device.works for device in answer.devices] == [True, True, True]
                sample = answer.history[-1]
                assert begun_s < sample.monotonic_s <= answer.now_s
                assert sample.in_room
                assert history.since(sample.number) == []
                msgspec.json.decode(msgspec.json.encode(answer), type=DiagnosticsAnswer)
            await until(lambda: not history.since()[-1].in_room)
            assert Diagnostics(session, history, state).look().legs == []  # type: ignore[arg-type]
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_loop_that_was_held_up_is_seen_and_the_hour_is_bounded() -> None:
    session, bus = new_session("ws://127.0.0.1:1", MockDevices(), auto_join=False)
    still = read_system_stats()
    history = History(session, bus, sample_s=0.001, system=lambda: still)
    task = asyncio.create_task(history.run(), name="history under test")
    try:
        await until(lambda: history.since())
        time.sleep(0.5)  # noqa: ASYNC251 - the fault under test
        await until(lambda: any(sample.loop_lag_ms > 80 for sample in history.since()))
        await until(lambda: history.since()[-1].number > SAMPLES + 10, timeout_s=20)
        assert len(history.since()) == SAMPLES
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
