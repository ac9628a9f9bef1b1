"""Layers, screens and tiles between a unit's media and the room page in a real Chromium."""

from __future__ import annotations

import asyncio
import time

import pytest
from playwright.async_api import Browser

from appliance.hub.settings import HubSettings
from appliance.media import aiortc_hooks
from appliance.media.uplink import Uplink, UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.room import LocalStream
from appliance.room.client import RoomClient
from appliance.room.streams import StreamType
from hw.synthetic import SyntheticCamera
from tests.appliance.room.media import playout, until
from tests.integration import browser
from tests.integration.browser import close, open_page
from tests.integration.browser import until as until_page
from tests.integration.room_page import Served

KEEP = (
    "window.legs = []; window.RTCPeerConnection = class extends RTCPeerConnection {"
    "constructor(...a) { super(...a); legs.push(this); } }"
)
pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.row("U36", "U47", "U48")
async def test_small_tiles_take_the_low_layer_a_screen_is_large_and_the_page_obeys_too(boris: Browser) -> None:
    served = Served(HubSettings(demo_tokens=True))
    await served.start()
    aiortc_hooks.install(["127.0.0.1"], loopback=True)
    sender = Uplink(
        UplinkSettings(VideoSettings(640, 360, fps=15, codec="vp8"), VideoSettings(800, 600, fps=10, codec="vp8"))
    )
    sender.start(None, SyntheticCamera(640, 360, 15))
    client = None
    try:
        async with playout() as player:
            client = RoomClient(f"ws://127.0.0.1:{served.port}/hub/ws", uplink=sender, playout=player)
            await client.join("lobby", "unit", served.link("unit").partition("token=")[2])
            await client.publish(LocalStream(audio=False, width=640, height=360))
            page = await open_page(boris, "about:blank", viewport={"width": 1280, "height": 800})
            await page.context.add_init_script(KEEP)
            await page.goto(f"{served.url()}?auto=1&name=Anna")
            mine = "room.peers.find((p) => p.stream === 'main')"
            await until_page(page, f"{mine}.video.width === 640 && {mine}.video.layer === 'high'")
            await page.set_viewport_size({"width": 360, "height": 330})
            await until_page(page, f"{mine}.video.width === 320 && {mine}.video.layer === 'low'")
            await until(lambda: sender.target_bitrate_bps("vp8", layer="high") is None, what="nobody takes it")
            await page.set_viewport_size({"width": 1280, "height": 800})
            await until_page(page, f"{mine}.video.width === 640")

            sender.start_screen(SyntheticCamera(800, 600, 10))
            await client.publish(LocalStream(audio=False, name="screen", width=800, height=600))
            shown = "room.peers.find((p) => p.stream === 'screen')"
            await until_page(page, f"{shown}.video.width === 800 && {shown}.video.frames > 3")
            tiles = [page.locator(f"[data-user=unit][data-stream={name}]") for name in ("screen", "main")]
            screen, main = [await tile.bounding_box() for tile in tiles]
            assert screen is not None
            assert main is not None
            assert screen["height"] > 2.5 * main["height"]
            assert screen["y"] < main["y"], "over the row of the others"
            await until_page(page, f"{mine}.video.width === 320", 10)
            await client.mute("screen")
            await until_page(page, f"{shown}.video.muted")
            assert await tiles[0].get_attribute("data-video") == "false"
            await client.unmute("screen")
            await until_page(page, f"!{shown}.video.muted")
            await client.unpublish("screen")
            await until_page(page, f"!{shown} && {mine}.video.width === 640")

            (stream,) = client.streams
            assert stream.has_low
            await client.subscribe(stream, audio=False)
            assert stream.video is not None
            sent = "legs.flatMap((pc) => pc.getSenders()).find((s) => s.track)?.getParameters().encodings[0]"
            await until_page(page, f"{sent}.scaleResolutionDownBy === 1 && {sent}.active")
            assert client.set_remote_video_stream_type(stream, StreamType.LOW)
            await until_page(page, f"{sent}.scaleResolutionDownBy === 2 && {sent}.maxBitrate === 150000")
            with stream.video.watch():
                async with asyncio.timeout(15):
                    while (await stream.video.wait_frame()).height > 180:
                        pass
            client.set_shown_size(stream, (0, 0))
            await until_page(page, f"!{sent}.active")
            received = await settled_packets(client)
            assert client.set_remote_video_stream_type(stream, StreamType.HIGH)
            client.set_shown_size(stream, None)
            await until_page(page, f"{sent}.scaleResolutionDownBy === 1 && {sent}.active")
            await until(lambda: packets(client) > received + 5, what="pictures again")
            assert browser.problems[page] == []
            await close(page)
    finally:
        if client is not None:
            await client.destroy()
        await sender.close()
        await served.stop()


def packets(client: RoomClient) -> int:
    return sum(report.stats.packets for report in client.leg_reports() if report.direction == "down")


async def settled_packets(client: RoomClient) -> int:
    """Once none has come for half a second."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < 10:
        before = packets(client)
        await asyncio.sleep(0.5)
        if packets(client) == before:
            return before
    raise AssertionError("pictures go on")
