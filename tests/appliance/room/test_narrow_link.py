"""Our sender to our receiver over a link that narrows and widens again, for real."""

from __future__ import annotations

import asyncio
import time

import pytest

from appliance.media import aiortc_hooks
from appliance.media.uplink import UplinkSettings
from appliance.media.video_settings import VideoSettings
from tests.appliance.room.leg_pair import Call, until
from tests.bench.sources import BenchCamera

pytestmark = pytest.mark.alone

WIDE_BPS, NARROW_BPS = 2_000_000, 300_000


@pytest.fixture(autouse=True)
def _installed() -> None:
    aiortc_hooks.install(["127.0.0.1"])


async def test_video_follows_a_link_that_narrows_and_widens_without_a_long_freeze() -> None:
    async with Call() as call:
        call.uplink.change(UplinkSettings(VideoSettings(width=640, height=360)))
        call.uplink.start(None, BenchCamera())
        call.wire.rate_bps = WIDE_BPS
        _, down = await call.connect(("video",))
        video, shown_s, gaps_s = down.video, time.monotonic(), [0.0]
        assert video is not None

        async def watch() -> None:
            nonlocal shown_s
            with video.watch():
                while True:
                    await video.wait_frame()
                    gaps_s.append(time.monotonic() - shown_s)
                    shown_s += gaps_s[-1]

        def target_bps() -> int:
            return call.uplink.target_bitrate_bps("h264") or 0

        watching = asyncio.create_task(watch(), name="watch")
        try:
            await until(lambda: target_bps() > NARROW_BPS and len(gaps_s) > 30, 10)
            gaps_s.clear()
            call.wire.rate_bps = NARROW_BPS
            await until(lambda: target_bps() < NARROW_BPS, 10)
            await asyncio.sleep(3)  # for what was on its way, and for a steady rate
            (made,) = call.uplink.encodings()
            assert made.bitrate_bps < NARROW_BPS
            assert (made.width, made.fps) != (640, 30)
            call.wire.rate_bps = WIDE_BPS
            await until(lambda: target_bps() > 3 * NARROW_BPS, 30)
            assert max(gaps_s) < 2.0
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
