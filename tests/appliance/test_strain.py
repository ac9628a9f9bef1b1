"""Video gives way before the board throttles: on a virtual clock, on a fake sysfs, and with an encoder that is late."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.events import Bus
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_encoder import VideoEncoder
from appliance.media.video_settings import VideoSettings
from appliance.strain import (
    EASE_S,
    HEAT_INTERVAL_S,
    HOLD_S,
    HOT_C,
    LOOK_S,
    MAX_RUNGS,
    Reading,
    StrainPolicy,
    StrainWatch,
)
from appliance.system_stats import read_system_stats
from appliance.unit_events import VideoStrainChanged
from tests.appliance.media.devices import HandCamera

EASE = Reading(temperature_c=50.0, busy=0.3, encoding=0.2)
HOT = Reading(temperature_c=82.0, busy=0.3, encoding=0.2)
LATE = Reading(temperature_c=50.0, busy=0.3, encoding=1.2)
BUSY = Reading(temperature_c=50.0, busy=0.99, encoding=0.4)


class Machine:
    def __init__(self) -> None:
        self.policy = StrainPolicy()
        self.now_s = 100.0

    def stays(self, reading: Reading, seconds: float) -> int:
        for _ in range(round(seconds / LOOK_S)):
            self.now_s += LOOK_S
            self.policy.look(reading, self.now_s)
        return self.policy.rungs


def test_heat_takes_a_rung_at_once_and_another_when_that_did_not_cool_it() -> None:
    machine = Machine()
    assert machine.stays(HOT, LOOK_S) == 1
    assert machine.policy.reason == "heat"
    assert machine.stays(HOT, HEAT_INTERVAL_S - LOOK_S) == 1
    assert machine.stays(HOT, LOOK_S) == 2
    assert machine.stays(HOT, 1000) == MAX_RUNGS


@pytest.mark.parametrize("reading", [LATE, BUSY])
def test_load_takes_a_rung_when_it_lasts(reading: Reading) -> None:
    machine = Machine()
    for _ in range(20):
        assert machine.stays(reading, HOLD_S - LOOK_S) == 0
        machine.stays(EASE, LOOK_S)
    assert machine.stays(reading, HOLD_S + LOOK_S) == 1
    assert machine.policy.reason == reading.reason


def test_it_comes_back_a_rung_a_minute_and_later_where_ease_does_not_last() -> None:
    machine = Machine()
    assert machine.stays(HOT, HEAT_INTERVAL_S + LOOK_S) == 2
    assert machine.stays(EASE, EASE_S) == 2
    assert machine.stays(EASE, LOOK_S) == 1
    assert machine.stays(EASE, EASE_S) == 0
    assert machine.policy.reason == ""
    assert machine.stays(HOT, LOOK_S) == 1
    assert machine.stays(EASE, 2 * EASE_S) == 1
    assert machine.stays(EASE, LOOK_S) == 0


def test_between_hot_and_cool_it_stays() -> None:
    machine = Machine()
    machine.stays(HOT, LOOK_S)
    assert machine.stays(Reading(temperature_c=HOT_C - 2), 1000) == 1


def test_a_throttled_board_counts_as_hot_whatever_its_sensor_says() -> None:
    machine = Machine()
    assert machine.stays(Reading(temperature_c=40.0, throttled=("throttled",)), LOOK_S) == 1
    assert machine.policy.reason == "throttled"


def test_load_that_is_not_of_video_takes_nothing_from_it() -> None:
    assert Machine().stays(Reading(temperature_c=50.0, busy=1.0, encoding=0.1), 1000) == 0


def test_a_machine_that_tells_nothing_is_never_strained() -> None:
    assert Machine().stays(Reading(), 1000) == 0


READINGS = st.builds(
    Reading,
    temperature_c=st.none() | st.floats(-20, 120),
    throttled=st.sampled_from([(), ("throttled",)]),
    busy=st.none() | st.floats(0, 1),
    encoding=st.none() | st.floats(0, 5),
)


@given(st.lists(st.tuples(READINGS, st.floats(0.1, 100)), max_size=100))
def test_it_moves_one_rung_at_a_time_and_never_up_within_a_minute(steps: list[tuple[Reading, float]]) -> None:
    policy, now_s, moved_s, rungs = StrainPolicy(), 0.0, float("-inf"), 0
    for reading, passed_s in steps:
        now_s += passed_s
        changed = policy.look(reading, now_s)
        assert abs(policy.rungs - rungs) == changed
        assert 0 <= policy.rungs <= MAX_RUNGS
        if policy.rungs < rungs:
            assert now_s - moved_s >= EASE_S - 1e-6
            assert reading.at_ease
        moved_s = now_s if changed else moved_s
        rungs = policy.rungs


class Unit:
    """A real Uplink with a tapped camera, and a machine out of files."""

    def __init__(self, root: Path) -> None:
        self.root, self.bus = root, Bus()
        self.camera = HandCamera()
        self.uplink = Uplink(UplinkSettings(VideoSettings(width=320, height=192)))
        self.uplink.start(None, self.camera)
        self.tap = self.uplink.tap("video", "vp8")
        seconds = count(100.0, HOLD_S / 2)
        self.watch = StrainWatch(
            cast(Any, SimpleNamespace(uplink=self.uplink)),
            self.bus,
            look_s=0.02,
            system=lambda: read_system_stats(root),
            clock=lambda: next(seconds),
        )
        self.task = asyncio.create_task(self.watch.run(), name="strain")

    def heat(self, celsius: int) -> None:
        zone = self.root / "sys/class/thermal/thermal_zone0"
        zone.mkdir(parents=True, exist_ok=True)
        (zone / "type").write_text("cpu-thermal\n")
        (zone / "temp").write_text(f"{celsius}000\n")

    async def reduced(self) -> VideoStrainChanged:
        async with asyncio.timeout(8):
            number = 0
            while (event := self.bus.latest(VideoStrainChanged)) is None or self.uplink.encodings()[0].width == 320:
                number += 1
                self.camera.show(number)
                await asyncio.sleep(0.01)
            return event


@pytest.fixture
async def unit(tmp_path: Path) -> AsyncIterator[Unit]:
    made = Unit(tmp_path)
    yield made
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)
    await made.uplink.close()


async def test_a_hot_processor_makes_smaller_pictures(unit: Unit, caplog: pytest.LogCaptureFixture) -> None:
    unit.heat(60)
    unit.camera.show(0)
    async with asyncio.timeout(8):
        await unit.tap.next()
    assert unit.uplink.encodings()[0].width == 320
    unit.heat(83)
    event = await unit.reduced()
    assert (event.rungs, event.reason) == (1, "heat")
    assert "video is reduced by 1 rungs, heat" in caplog.text


async def test_an_encoder_that_cannot_keep_up_makes_smaller_pictures(
    unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = VideoEncoder.encode

    def late(*args: Any, **kwargs: Any) -> Any:
        threading.Event().wait(0.05)
        return encode(*args, **kwargs)

    monkeypatch.setattr(VideoEncoder, "encode", late)
    event = await unit.reduced()
    assert event.reason == "encoder"
