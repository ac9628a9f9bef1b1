"""A monitor of devices, from its own thread to the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from hw import DeviceChange, DeviceMonitor, HardwareError

logger = logging.getLogger(__name__)


async def listen(monitor: DeviceMonitor, take: Callable[[DeviceChange], None]) -> None:
    """Until cancelled, calls `take` on the loop with each change; ends where the machine tells none."""
    loop = asyncio.get_running_loop()

    def sink(change: DeviceChange) -> None:
        with suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(take, change)

    opening = asyncio.create_task(asyncio.to_thread(monitor.start, sink), name="device-changes-open")
    try:
        await asyncio.wait({opening})
        if (error := opening.exception()) is not None:
            if not isinstance(error, HardwareError):
                logger.error("device changes: the monitor failed", exc_info=error)
            logger.info("%s; devices that come back are found by trying", error)
            return
        await asyncio.Event().wait()
    finally:
        await asyncio.gather(opening, return_exceptions=True)  # what was begun is closed
        await asyncio.to_thread(monitor.close)
