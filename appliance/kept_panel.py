"""The front panel of a unit that runs, and the next one when its pins change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from appliance.composing import until
from appliance.drivers import PanelDevices
from appliance.panel_link import PanelLink


class KeptPanel:
    """`connect` makes the link of one front panel."""

    def __init__(self, devices: PanelDevices, connect: Callable[[PanelDevices], PanelLink]) -> None:
        self.link: PanelLink | None = None  # of the panel of now; None before `run`
        self._devices = devices
        self._connect = connect
        self._replaced = asyncio.Event()

    @property
    def health(self) -> str:
        return self.link.health if self.link is not None else "ok"

    def replace(self, devices: PanelDevices) -> None:
        """Another panel from now on."""
        self._devices = devices
        self._replaced.set()

    async def run(self) -> None:
        """Until cancelled; the LEDs are closed after it."""
        while True:
            self._replaced.clear()
            devices = self._devices
            link = self.link = self._connect(devices)
            try:
                await until(self._replaced.wait, link.run())
            finally:
                await asyncio.to_thread(devices.leds.close)
