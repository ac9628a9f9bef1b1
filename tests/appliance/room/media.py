"""Media for the tests of the room: a tone and a small moving picture, and a playout that nobody hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from appliance.media import aiortc_hooks
from appliance.media.frames import VideoCodec
from appliance.media.playout import Playout
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_settings import VideoSettings
from hw.synthetic import SyntheticCamera, SyntheticMicrophone


@asynccontextmanager
async def uplink(*, camera: bool = True, codec: VideoCodec = "vp8") -> AsyncIterator[Uplink]:
    aiortc_hooks.install(["127.0.0.1"], loopback=True)
    sender = Uplink(UplinkSettings(VideoSettings(width=160, height=160, fps=15, codec=codec)))
    sender.start(SyntheticMicrophone(tone_hz=440), SyntheticCamera(160, 160, 15) if camera else None)
    try:
        yield sender
    finally:
        await sender.close()


@asynccontextmanager
async def playout() -> AsyncIterator[Playout]:
    aiortc_hooks.install(["127.0.0.1"], loopback=True)
    player = Playout()
    player.start(None)
    try:
        yield player
    finally:
        await player.close()


async def until(condition: Callable[[], object], timeout_s: float = 5.0, what: str = "") -> None:
    """Wait for `condition`, looking every 10 ms; fails after `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - any condition at all
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s:g} s: {what or condition}") from None
