"""What the room is told of this unit: its stream follows the devices that work, its name the settings."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress

from appliance.devices import Devices
from appliance.errors import RtcError, RtcErrorCode
from appliance.media.uplink import Uplink
from appliance.room.client import RoomClient
from appliance.room.events import ConnectionState, LoginState
from appliance.room.streams import LocalStream

logger = logging.getLogger(__name__)

PUBLISH_RETRY_S = 2.0
FIRST_DEVICES_S = 1.5  # after start: a stream that grows makes everybody build its leg anew


def stream_of(devices: Devices, uplink: Uplink) -> LocalStream:
    """The stream of what works now."""
    size = uplink.settings.video
    in_use = {one.kind: one.device_id for one in devices.stats()}
    return LocalStream(
        "microphone" in devices.working,
        "camera" in devices.working,
        width=size.width,
        height=size.height,
        audio_track=_track_id(in_use.get("microphone", "")),
        video_track=_track_id(in_use.get("camera", "")),
    )


async def keep_published(
    client: RoomClient,
    working: Callable[[], LocalStream],
    misses_some: Callable[[], bool],
    changed: asyncio.Event,
) -> None:
    """Until cancelled. `changed` is set at each change of what is `working`, and on coming into a room; at first it
    waits a little while a device `misses`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(FIRST_DEVICES_S):
            while misses_some():
                await changed.wait()
                changed.clear()
    changed.set()
    while True:
        await changed.wait()
        changed.clear()
        if client.connection_state is not ConnectionState.CONNECTED:
            continue  # back in the room it is set again
        published = next((stream for stream in client.published if stream.name == "main"), None)
        stream = working()
        try:
            if stream.kinds and stream != published:
                await client.publish(stream)
            elif not stream.kinds and published is not None:
                await client.unpublish("main")
        except RtcError as exc:
            if exc.code in (RtcErrorCode.NOT_JOINED, RtcErrorCode.RECONNECTING):
                continue
            logger.warning("not published: %s; once more in %g s", exc, PUBLISH_RETRY_S)
            await asyncio.sleep(PUBLISH_RETRY_S)
            changed.set()


async def keep_name(client: RoomClient, wanted: Callable[[], str], changed: asyncio.Event) -> None:
    """Until cancelled. `changed` is set when `wanted` may give another name; each login brings the name of its time."""
    told = wanted()
    while True:
        await changed.wait()
        changed.clear()
        name = wanted()
        if name == told or client.login_state is not LoginState.CONNECTED:
            continue
        try:
            await client.set_user_name(name)
            told = name
        except RtcError as exc:
            logger.warning("the room goes on with the name %r: %s", told, exc)


def _track_id(device_id: str) -> str:
    """The room hears that a device was replaced, not which serial number it has."""
    return hashlib.sha256(device_id.encode()).hexdigest()[:8] if device_id else ""
