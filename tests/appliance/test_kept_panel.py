"""A front panel that is exchanged for the next one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from appliance.drivers import PanelDevices
from appliance.kept_panel import KeptPanel
from appliance.panel_link import PanelLink
from hw.mock import MockButtons, MockLeds
from tests.appliance.unit import MockDevices, idle_intercom, new_session, until


async def test_the_next_panel_takes_over_and_the_last_one_is_closed() -> None:
    session, bus = new_session("ws://127.0.0.1:9", MockDevices(), auto_join=False)
    intercom = idle_intercom(session, bus)
    first, second = MockLeds(), MockLeds()
    panel = KeptPanel(PanelDevices(first, MockButtons()), lambda devices: PanelLink(devices, session, intercom, bus))
    assert (panel.link, panel.health) == (None, "ok")
    running = asyncio.create_task(panel.run(), name="panel under test")
    await until(lambda: panel.link is not None)
    last = panel.link
    panel.replace(PanelDevices(second, MockButtons(), lambda: "unplugged"))
    await until(lambda: panel.link is not last)
    assert (first.closed, second.closed) == (True, False)
    assert panel.health == "degraded: unplugged"
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert (first.closed, second.closed) == (True, True)
