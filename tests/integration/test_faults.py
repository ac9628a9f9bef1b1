"""Faults of hardware and hub in a whole unit: session, devices and front panel under their supervisor, on mocks.

Whatever is missing, lost or mad, the call goes on with what is left, the LEDs and `health` tell the truth, and no child
is restarted for the fault of a device.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from appliance import devices as devices_module
from appliance import panel_link, rejoin
from appliance.attendance import Attendance
from appliance.drivers import PanelDevices
from appliance.events import Bus, Event
from appliance.panel_link import PanelLink
from appliance.room.client import RoomClient
from appliance.room.events import AudioTrackEnded, ConnectionState, RecordingDeviceChanged, VideoTrackEnded
from appliance.session import Session
from appliance.supervisor import ChildSpec, Supervisor, is_healthy
from hw import AudioBlock, ButtonEdge, HardwareError, LedName, Samples
from hw.gestures import STUCK_S
from hw.mock import MockButtons, MockLeds, MockMicrophone, MockSpeaker
from hw.synthetic import SyntheticMicrophone
from tests.appliance.test_session import visitor
from tests.appliance.unit import MockDevices, hub_at, idle_intercom, settings, until
from tests.integration.programs import free_port

PARTS = ("camera", "sound", "panel", "hub")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would take minutes takes tenths of a second."""
    monkeypatch.setattr(devices_module, "REOPEN_DELAYS_S", (0.05,))
    monkeypatch.setattr(panel_link, "REOPEN_DELAYS_S", (0.05,))
    monkeypatch.setattr(devices_module, "FIRST_DELIVERY_S", 1.0)
    monkeypatch.setattr(rejoin, "RETRY_DELAYS_S", (0.1,))
    for kind in devices_module.STALL_S:
        monkeypatch.setitem(devices_module.STALL_S, kind, 1.0)


class Panel(MockLeds):
    """LEDs with a plug, and an error of the driver's own on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.plugged = True
        self.bug: Exception | None = None

    def trouble(self) -> str:
        return "" if self.plugged else "the front panel was unplugged"

    def set(self, brightness: Mapping[LedName, float]) -> None:
        if not self.plugged:
            raise HardwareError("the front panel was unplugged")
        if self.bug is not None:
            raise self.bug
        super().set(brightness)


@dataclass
class House:
    """One unit on mocks, and the hub that it calls."""

    devices: MockDevices = field(default_factory=MockDevices)
    leds: Panel = field(default_factory=Panel)
    buttons: MockButtons = field(default_factory=MockButtons)
    bus: Bus = field(default_factory=Bus)
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self._hub = AsyncExitStack()
        self.drivers = self.devices.drivers
        self.session: Session
        self.link: PanelLink
        self.supervisor: Supervisor

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/hub/ws"

    def compose(self) -> Supervisor:
        """As `app` does."""
        self.session = Session(settings(self.url), self.drivers, self.bus)
        panel = PanelDevices(self.leds, self.buttons, self.leds.trouble, held=lambda: self.buttons.held)
        self.link = PanelLink(panel, self.session, idle_intercom(self.session, self.bus), self.bus)
        self.supervisor = Supervisor(
            "unit",
            [
                ChildSpec("session", self.session.run, health=lambda: self.session.health),
                ChildSpec("front-panel", self.link.run, health=lambda: self.link.health),
            ],
        )
        return self.supervisor

    async def lose(self, part: str) -> None:
        match part:
            case "camera":
                self.devices.camera.unplug()
            case "sound":
                self.devices.microphone.unplug()
                self.devices.speaker.unplug()
            case "panel":
                self.leds.plugged = False
            case "hub":
                await self._hub.aclose()

    async def give_back(self, part: str) -> None:
        match part:
            case "camera":
                self.devices.camera.plug_in()
            case "sound":
                self.devices.microphone.plug_in()
                self.devices.speaker.plug_in()
            case "panel":
                self.leds.plugged = True
            case "hub":
                await self._hub.enter_async_context(hub_at(self.port))

    def tells_the_truth(self, missing: Iterable[str]) -> bool:
        """Whether LEDs, health and state say what is so."""
        missing = set(missing)
        kinds = [kind for kind, part in (("audio", "sound"), ("video", "camera")) if part in missing]
        health = self.supervisor.health()
        session, panel = health["session"], health["front-panel"]
        assert isinstance(session, str)
        assert isinstance(panel, str)
        assert is_healthy(health)  # no part of a machine that is missing is a reason to restart the program
        patterns = self.link.patterns
        connected = "hub" not in missing
        devices = self.session.devices
        expected = f"degraded: no {' and no '.join(kinds)}" if kinds else "ok"
        return (
            (self.session.state is ConnectionState.CONNECTED) == connected
            and (session == expected if connected else session.startswith("offline"))
            and panel.startswith("degraded: the front panel" if "panel" in missing else "ok")
            and patterns["mute"] == ("slow-pulse" if "sound" in missing else "off")
            and (patterns["connection"] == "on") == connected
            and devices is not None
            and ("speaker" in devices.working) == ("sound" not in missing)
        )

    async def truth(self, missing: Iterable[str]) -> None:
        missing = tuple(missing)
        await until(lambda: self.tells_the_truth(missing), f"without {missing}: {self._words()}", timeout_s=15)

    def _words(self) -> str:
        return f"{self.supervisor.health()} {self.link.patterns} {self.session.state}"


@asynccontextmanager
async def living(house: House) -> AsyncIterator[House]:
    task = asyncio.create_task(house.compose().run(), name="unit under test")
    try:
        yield house
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await house.lose("hub")


@pytest.mark.parametrize(
    "missing",
    [parts for count in range(len(PARTS) + 1) for parts in itertools.combinations(PARTS, count)],
    ids=lambda parts: "+".join(parts) or "nothing",
)
async def test_missing_at_start_in_any_combination_and_there_later(missing: tuple[str, ...]) -> None:
    house = House()
    for part in PARTS:
        await (house.lose(part) if part in missing else house.give_back(part))
    async with living(house):
        await house.truth(missing)
        for count, part in enumerate(missing, 1):
            await house.give_back(part)
            await house.truth(missing[count:])
        assert house.supervisor.restarts.total() == 0


async def test_each_lost_in_a_call_and_back_again() -> None:
    house = House()
    await house.give_back("hub")
    async with living(house), visitor(house.url, auto_subscribe=True) as client:
        await house.truth(())
        for part in ("camera", "sound", "panel"):
            await house.lose(part)
            await house.truth((part,))
            await until(lambda: kinds_of(client) == {"audio", "video"} - LEAVES[part])  # noqa: B023
            await house.give_back(part)
            await house.truth(())
            await until(lambda: kinds_of(client) == {"audio", "video"})
        await house.lose("hub")
        await house.truth(("hub",))
        await house.give_back("hub")
        await house.truth(())
        assert house.supervisor.restarts.total() == 0


LEAVES: dict[str, set[str]] = {"camera": {"video"}, "sound": {"audio"}, "panel": set()}


def kinds_of(client: RoomClient) -> set[str]:
    return {kind for stream in client.streams if stream.user_id == "unit" for kind in stream.kinds}


@pytest.mark.row("U69", "U70", "OR04")
async def test_the_ends_of_tracks_are_told_after_the_devices_that_went() -> None:
    house = House()
    seen: list[Event] = []
    with house.bus.subscribe(RecordingDeviceChanged, AudioTrackEnded, VideoTrackEnded, name="test") as events:
        async with living(house):
            await until(lambda: house.session.has("audio") and house.session.has("video"))
            await house.lose("sound")
            await house.lose("camera")
            async with asyncio.timeout(10):
                while {type(event) for event in seen} != {RecordingDeviceChanged, AudioTrackEnded, VideoTrackEnded}:
                    seen.append(await anext(events))
    sound = [event for event in seen if not isinstance(event, VideoTrackEnded)]
    assert [getattr(event, "state", "ended") for event in sound] == ["ADD", "REMOVE", "ended"]


# --- drivers that are mad


def mad_block(what: str, block: AudioBlock) -> Any:
    samples = block.samples
    return {
        "nothing": None,
        "bytes": samples.tobytes(),
        "floats": AudioBlock(samples / 32768.0, block.captured_s),  # type: ignore[arg-type]
        "long": AudioBlock(np.tile(samples, 2), block.captured_s),
        "stereo": AudioBlock(samples.reshape(-1, 2), block.captured_s),
        "empty": AudioBlock(np.zeros(0, np.int16), block.captured_s),
        "never": AudioBlock(samples, math.nan),
        "tomorrow": AudioBlock(samples, block.captured_s + 86_400),
    }[what]


class MadMicrophone(MockMicrophone):
    """Delivers what is no sound; after so many `openings` it is sane."""

    def __init__(self, what: str, openings: int = 2) -> None:
        super().__init__(SyntheticMicrophone(tone_hz=440))
        self.what, self.openings, self.opened = what, openings, 0

    def start(self, sink: Callable[[AudioBlock], None], on_lost: Callable[[HardwareError], None]) -> None:
        self.opened += 1
        is_mad = self.opened <= self.openings
        super().start(lambda block: sink(mad_block(self.what, block) if is_mad else block), on_lost)


@pytest.mark.parametrize("what", ["nothing", "bytes", "floats", "long", "stereo", "empty", "never", "tomorrow"])
async def test_a_microphone_that_gives_garbage_costs_the_sound_until_it_is_sane(what: str) -> None:
    microphone = MadMicrophone(what)
    house = House()
    house.drivers = replace(house.drivers, microphone=lambda: microphone)
    await house.give_back("hub")
    async with living(house), visitor(house.url, auto_subscribe=True) as client:
        await until(lambda: house.session.health == "degraded: no audio")
        await until(lambda: kinds_of(client) == {"video"})
        await until(lambda: house.link.patterns["mute"] == "slow-pulse")
        await until(lambda: kinds_of(client) == {"audio", "video"}, timeout_s=20)
        await house.truth(())
        assert microphone.opened == 3
        assert house.supervisor.restarts.total() == 0


class Hanging(MockMicrophone):
    """Hangs once: in its start, in the thread that delivers, or in its close, when it was lost."""

    def __init__(self, where: str) -> None:
        super().__init__(SyntheticMicrophone(tone_hz=440))
        self.where, self.released, self.opened, self.lost = where, threading.Event(), 0, False

    def start(self, sink: Callable[[AudioBlock], None], on_lost: Callable[[HardwareError], None]) -> None:
        self.opened += 1
        delivered = itertools.count()

        def deliver(block: AudioBlock) -> None:
            sink(block)
            if next(delivered) == 50 and self.opened == 1:
                if self.where == "sink":
                    self.released.wait()
                elif self.where == "close":
                    self.lost = True
                    on_lost(HardwareError("it was unplugged"))

        if self.where == "start":
            self.released.wait()
        super().start(deliver, on_lost)

    def close(self) -> None:
        if self.lost:
            self.released.wait()
        super().close()


@pytest.mark.parametrize("where", ["start", "sink", "close"])
async def test_a_driver_that_hangs_takes_its_own_device_only(where: str) -> None:
    microphone, house = Hanging(where), House()
    house.drivers = replace(house.drivers, microphone=lambda: microphone)
    await house.give_back("hub")
    try:
        async with living(house), visitor(house.url, auto_subscribe=True) as client:
            await until(lambda: house.session.lacks("audio"))
            await until(lambda: kinds_of(client) == {"video"})
            await until(lambda: house.link.patterns["mute"] == "slow-pulse")
            worst_s, end_s = 0.0, time.monotonic() + 0.5
            while (before_s := time.monotonic()) < end_s:
                await asyncio.sleep(0.01)
                worst_s = max(worst_s, time.monotonic() - before_s)
            assert worst_s < 0.4  # the loop does not wait for the driver
            assert microphone.opened == 1
            microphone.where = ""
            microphone.released.set()
            await until(lambda: kinds_of(client) == {"audio", "video"})
            await house.truth(())
            assert house.supervisor.restarts.total() == 0
    finally:
        microphone.released.set()


class Raising(MockSpeaker):
    def __init__(self, openings: int = 3) -> None:
        super().__init__()
        self.openings = openings

    def start(self, source: Callable[[], Samples], on_lost: Callable[[HardwareError], None]) -> None:
        self.openings -= 1
        if self.openings >= 0:
            raise ZeroDivisionError("a bug of the driver")
        super().start(source, on_lost)


async def test_a_driver_that_raises_is_tried_again_and_restarts_nothing(caplog: pytest.LogCaptureFixture) -> None:
    speaker, house = Raising(), House()
    house.drivers = replace(house.drivers, speaker=lambda: speaker)
    await house.give_back("hub")
    async with living(house):
        await until(lambda: house.session.devices is not None and "speaker" in house.session.devices.working)
        await house.truth(())
        assert house.supervisor.restarts.total() == 0
    assert "its driver failed: ZeroDivisionError: a bug of the driver" in caplog.text


async def test_leds_whose_driver_raises_come_back_by_themselves() -> None:
    house = House()
    house.leds.bug = ZeroDivisionError("a bug of the driver")
    await house.give_back("hub")
    async with living(house):
        await until(lambda: "its driver failed: ZeroDivisionError" in house.link.health)
        await until(lambda: house.session.state is ConnectionState.CONNECTED)
        house.leds.bug = None
        await house.truth(())
        assert house.supervisor.restarts.total() == 0


async def test_a_fault_of_our_own_is_a_restart_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    await house.give_back("hub")
    keep, calls = Attendance._stay_in, itertools.count()

    async def stay(attendance: Attendance, client: RoomClient) -> None:
        if next(calls) < 2:
            raise ZeroDivisionError("ours")
        await keep(attendance, client)

    monkeypatch.setattr(Attendance, "_stay_in", stay)
    async with living(house):
        await house.truth(())
        assert house.supervisor.restarts == {"session": 2}


# --- buttons


async def test_a_button_that_bounces_and_one_that_is_held_for_long() -> None:
    house = House()
    await house.give_back("hub")
    async with living(house):
        await house.truth(())
        house.buttons.click("mute")
        await until(lambda: house.session.is_muted("audio"))
        panel = house.link._panel
        now_s = time.monotonic()
        panel._edge(ButtonEdge("mute", True, now_s - 60.0))  # down for a minute by now
        await until(lambda: not house.session.is_muted("audio"))  # push to talk
        panel._edge(ButtonEdge("mute", False, time.monotonic()))
        await until(lambda: house.session.is_muted("audio"))
        assert house.link.health == "ok"


async def test_a_stuck_button_does_not_keep_the_gate_open_and_the_other_one_works() -> None:
    house = House()
    await house.give_back("hub")
    async with living(house):
        await house.truth(())
        house.buttons.click("mute")
        await until(lambda: house.session.is_muted("audio"))
        house.link._panel._edge(ButtonEdge("mute", True, time.monotonic() - STUCK_S))
        await until(lambda: house.link.health == "degraded: button down all the time: mute; let go of it, or mend it")
        await until(lambda: house.session.is_muted("audio"))
        assert house.link.patterns["mute"] == "on"
        house.buttons.press("call")
        await until(lambda: house.session.state is ConnectionState.DISCONNECTED)  # held for 1 s: hang up
        house.buttons.release("call")
        house.buttons.click("call")
        await until(lambda: house.session.state is ConnectionState.CONNECTED)
        house.link._panel._edge(ButtonEdge("mute", False, time.monotonic()))
        await until(lambda: house.link.health == "ok")


async def test_buttons_stuck_from_boot_ask_for_nothing(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    await house.give_back("hub")
    house.buttons.press("mute")
    house.buttons.press("call")
    async with living(house):
        await until(lambda: house.link.health.startswith("degraded: button down all the time: mute, call"))
        await until(lambda: house.session.state is ConnectionState.CONNECTED)
        gestures = house.link._panel._gestures
        assert gestures.next_deadline_s() is None  # no hold, no set-up mode, no factory reset is on its way
        assert not house.session.is_muted("audio")
        house.buttons.release("mute")
        house.buttons.click("mute")
        await until(lambda: house.session.is_muted("audio"))
        assert house.link.health.startswith("degraded: button down all the time: call")
    assert not {"SetupMode", "FactoryReset"} & set(caplog.text.split())
