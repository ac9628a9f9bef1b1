"""Transport-wide congestion control against libwebrtc: a real Chromium sends to a leg, and receives from one."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable

import pytest

from appliance.media import aiortc_hooks
from appliance.media.feedback import PacketFate, TransportReport
from appliance.media.playout import Playout
from appliance.media.uplink import Uplink
from appliance.room.downlink_leg import DownlinkLeg
from appliance.room.uplink_leg import UplinkLeg
from hw.mock import MockSpeaker
from hw.synthetic import SyntheticCamera, SyntheticMicrophone
from tests.integration.browser import chromium, open_page

pytestmark = pytest.mark.chromium

START_BPS = 300_000  # libwebrtc's, before anybody tells it anything
WAIT_S = 20.0
SEND = """async () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [640, 360];
    const context = canvas.getContext("2d");
    setInterval(() => {
        context.fillStyle = `hsl(${performance.now() / 10 % 360} 90% 50%)`;
        for (let i = 0; i < 60; i++) context.fillRect(640 * Math.random(), 360 * Math.random(), 60, 40);
        context.fillStyle = "#000";
        context.fillRect(640 * Math.random(), 0, 4, 360);
    }, 33);
    window.pc = new RTCPeerConnection();
    const [track] = canvas.captureStream(30).getVideoTracks();
    pc.addTransceiver(track, {direction: "sendonly"});
    await pc.setLocalDescription();
    await new Promise((done) => {
        pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done();
    });
    return pc.localDescription.sdp;
}"""
RECEIVE = """async (sdp) => {
    window.pc = new RTCPeerConnection();
    await pc.setRemoteDescription({type: "offer", sdp});
    await pc.setLocalDescription();
    await new Promise((done) => {
        if (pc.iceGatheringState === "complete") done();
        pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done();
    });
    return pc.localDescription.sdp;
}"""
AVAILABLE = """async () => {
    for (const each of (await pc.getStats()).values())
        if (each.type === "candidate-pair" && each.availableOutgoingBitrate) return each.availableOutgoingBitrate;
    return 0;
}"""


@pytest.fixture(autouse=True)
def _hooks() -> None:
    aiortc_hooks.install(["127.0.0.1"])


def _lost(reason: str) -> None:
    raise AssertionError(reason)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not await condition():
        assert time.monotonic() < deadline_s, "timed out"
        await asyncio.sleep(0.1)


def rate_lines(sdp: str) -> set[str]:
    return set(re.findall(r"transport-cc|goog-remb|transport-wide-cc-extensions-01", sdp))


async def test_a_browser_that_sends_to_a_unit_learns_at_once_what_its_link_carries() -> None:
    playout = Playout()
    playout.start(MockSpeaker())
    leg = DownlinkLeg("down", "anna", playout, ice_servers=(), on_media=lambda kind: None, on_closed=_lost)
    async with chromium() as browser:
        page = await open_page(browser, "about:blank")
        answer = await leg.answer(await page.evaluate(SEND))
        assert {"transport-cc", "transport-wide-cc-extensions-01"} <= rate_lines(answer)
        await page.evaluate("(sdp) => pc.setRemoteDescription({type: 'answer', sdp})", answer)

        async def found() -> bool:
            return bool(await page.evaluate(AVAILABLE) > 3 * START_BPS)

        await until(found)
        await leg.close()
    await playout.close()


async def test_a_unit_hears_from_a_browser_when_each_packet_arrived() -> None:
    uplink = Uplink()
    uplink.start(SyntheticMicrophone(), SyntheticCamera(320, 192, 30))
    leg = UplinkLeg("up", uplink, ("audio", "video"), ice_servers=(), on_closed=_lost)
    async with chromium() as browser:
        page = await open_page(browser, "about:blank")
        await leg.accept(await page.evaluate(RECEIVE, await leg.offer()))
        fates: list[PacketFate] = []
        assert leg._numbers is not None
        take = leg._numbers.on_report

        def hear(report: TransportReport) -> None:
            fates.extend(report.packets)
            take(report)

        leg._numbers.on_report = hear

        async def told() -> bool:
            return len(fates) > 200

        await until(told)
        assert sum(fate.arrived_s is None for fate in fates) < 20
        delays_s = [fate.arrived_s - fate.sent_s for fate in fates if fate.arrived_s is not None]
        assert max(delays_s) - min(delays_s) < 2.0
        assert leg._numbers.refused == 0
        await leg.close()
    await uplink.close()
