"""The microphone's own switch goes with the mute gate."""

from __future__ import annotations

from appliance.devices import Drivers
from appliance.events import Bus
from appliance.session import Session
from hw import MuteSwitch
from hw.mock import MockMicrophone
from tests.appliance.unit import MockDevices, hub_at, new_session, running, settings, until


class SwitchedMicrophone(MockMicrophone):
    def __init__(self) -> None:
        super().__init__()
        self.switched: list[bool] = []

    def set_muted(self, muted: bool) -> None:
        self.switched.append(muted)


async def test_the_switch_follows_the_gate() -> None:
    microphone = SwitchedMicrophone()
    assert isinstance(microphone, MuteSwitch)
    async with hub_at() as (_, url):
        session = Session(settings(url), Drivers(microphone=lambda: microphone), Bus())
        await session.set_muted("audio", True)
        async with running(session):
            await until(lambda: session.has("audio"))
            assert microphone.switched[-1:] == [True]  # muted before it was there
            await session.set_muted("audio", False)
            assert microphone.switched[-1:] == [False]
            await session.set_muted("audio", True)
            microphone.unplug()
            await until(lambda: not session.has("audio"))
            microphone.switched.clear()
            microphone.plug_in()
            await until(lambda: session.has("audio"))
            assert microphone.switched[-1:] == [True]


async def test_a_microphone_without_a_switch_is_muted_by_the_gate() -> None:
    devices = MockDevices()
    assert not isinstance(devices.microphone, MuteSwitch)
    async with hub_at() as (_, url):
        session, _ = new_session(url, devices)
        async with running(session):
            await until(lambda: session.has("audio"))
            await session.set_muted("audio", True)
            assert session.is_muted("audio")
