"""A camera that encodes, as a Pi's does, in a call with a real Chromium: its access units arrive as they were made, a
key frame that Chromium asks for is asked of the camera, and its bit rate follows what the way to Chromium carries."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page

from appliance.devices import Drivers
from appliance.events import Bus
from appliance.media.uplink import UplinkSettings
from appliance.media.video_settings import VideoSettings
from appliance.session import Session
from hw import AccessUnit, HardwareError, Picture
from hw.annexb import NAL_SPS, kind, nal_units
from hw.encoding import EncodingCamera
from hw.frame_code import read_code
from hw.synthetic import SyntheticCamera
from tests.appliance.unit import hub_at, running, settings, token
from tests.appliance.unit import until as until_here
from tests.integration.browser import chromium, open_page, picture, until
from tests.integration.sound_and_picture import two_codes
from tests.wire import Wire

pytestmark = pytest.mark.chromium

NARROW_BPS = 350_000

# Every encoded picture that arrives is kept in `taken`, before it is decoded; while `dropping`, it is not decoded.
# The page's own worker would stand in the same place: it is not started where this class is missing.
_TAP = """
delete window.RTCRtpScriptTransform;
window.taken = [];
window.dropping = false;
window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration) {
        super({ ...configuration, encodedInsertableStreams: true });
        this.addEventListener("track", ({ receiver, track }) => {
            const { readable, writable } = receiver.createEncodedStreams();
            const transform = (frame, controller) => {
                if (track.kind === "video" && !window.dropping) {
                    const bytes = new Uint8Array(frame.data);
                    let text = "";
                    for (let i = 0; i < bytes.length; i += 32768)
                        text += String.fromCharCode(...bytes.subarray(i, i + 32768));
                    window.taken.push([frame.type, btoa(text)]);
                }
                if (track.kind !== "video" || !window.dropping) controller.enqueue(frame);
            };
            readable.pipeThrough(new TransformStream({ transform })).pipeTo(writable).catch(() => {});
        });
    }
};
"""

# All media goes through `route` of a Wire: the unit's candidates are replaced, and the page's own are hidden.
_WIRED = """
window.RTCPeerConnection = class extends RTCPeerConnection {
    async setRemoteDescription({ type, sdp }) {
        return super.setRemoteDescription({ type, sdp: await window.route(sdp) });
    }
    get localDescription() {
        const found = super.localDescription;
        return found && { type: found.type, sdp: found.sdp.replace(/a=candidate:.*\\r\\n/g, "") };
    }
};
"""

_WITHOUT_H264 = """
window.RTCPeerConnection = class extends RTCPeerConnection {
    async setRemoteDescription(description) {
        await super.setRemoteDescription(description);
        const { codecs: all } = RTCRtpReceiver.getCapabilities("video");
        const codecs = all.filter((codec) => codec.mimeType !== "video/H264");
        for (const transceiver of this.getTransceivers())
            if (transceiver.receiver.track.kind === "video") transceiver.setCodecPreferences(codecs);
    }
};
"""


class Recorded(EncodingCamera):
    """Keeps what it delivered."""

    def __init__(self) -> None:
        super().__init__(SyntheticCamera(640, 360, 15))
        self.units: list[AccessUnit] = []

    def start(self, sink: Callable[[Picture | AccessUnit], None], on_lost: Callable[[HardwareError], None]) -> None:
        def keep(item: Picture | AccessUnit) -> None:
            if isinstance(item, AccessUnit):
                self.units.append(item)
            sink(item)

        super().start(keep, on_lost)


class FixedRate(Recorded):
    """Its rate changes with no key frame, as on a Pi: each key frame but the first was asked for."""

    def set_bitrate(self, bps: int) -> None:
        pass


@asynccontextmanager
async def unit(camera: Recorded | None = None) -> AsyncIterator[tuple[Recorded, Session, str]]:
    """A unit in this process whose camera encodes, and the address of its hub."""
    camera = camera or Recorded()
    async with hub_at() as (_, url):
        plain = settings(url)
        uplink = UplinkSettings(VideoSettings(width=640, height=360, fps=15))
        session = Session(
            type(plain)(plain.url, plain.room, plain.user_id, plain.user_name, plain.token, uplink=uplink),
            Drivers(camera=lambda: camera),
            Bus(),
        )
        async with running(session):
            await until_here(lambda: camera.units and session.has("video"))
            yield camera, session, url.replace("ws:", "http:").replace("/hub/ws", "")


async def enter(
    browser: Browser, url: str, user: str, *scripts: str, query: str = "", wire: Wire | None = None
) -> Page:
    page = await open_page(browser, "about:blank")
    if wire is not None:
        await page.expose_function("route", wire.route)
    for script in scripts:
        await page.add_init_script(script)
    await page.goto(f"{url}/join/lobby?auto=1&name={user}#token={token(user)}")
    await until(page, "room.state === 'connected'")
    await until(page, "room.peers.some((peer) => peer.userId === 'unit' && peer.video?.frames > 3)")
    return page


async def moves(page: Page) -> None:
    """What the page shows of the unit moves, and is whole."""

    async def code() -> int | None:
        return read_code(await picture(page, "unit"))

    await two_codes(code)


def nals(data: bytes) -> list[bytes]:
    """Without the SPS, in which Chromium writes down on arrival that pictures are not reordered."""
    return [nal for nal in nal_units(data) if kind(nal) != NAL_SPS]


async def test_access_units_arrive_in_chromium_as_the_camera_made_them() -> None:
    async with unit() as (camera, session, url), chromium(devices=False) as browser:
        page = await enter(browser, url, "anna", _TAP)
        await moves(page)
        await until(page, "window.taken.length >= 30")
        taken: list[list[str]] = await page.evaluate("window.taken")
        received = [(type_, nals(base64.b64decode(text))) for type_, text in taken]
        sent = [nals(each.data) for each in camera.units]
        assert received[0][0] == "key"
        first = sent.index(received[0][1])
        assert [units for _, units in received] == sent[first : first + len(received)]
        stats = await page.evaluate("room.stats()")
        assert [leg["codecs"] for leg in stats["downlinks"].values()] == [["video/H264"]]
        assert session.uplink is not None
        assert session.uplink.refused == 0


async def test_key_frames_that_viewers_need_are_asked_of_the_camera() -> None:
    async with unit(FixedRate()) as (camera, _, url), chromium(devices=False) as browser:
        first = await enter(browser, url, "anna", _TAP)
        await moves(first)
        requests = camera.requests
        second = await enter(browser, url, "boris")
        await until_here(lambda: camera.requests > requests, "who comes needs a key frame", 15)
        await moves(second)

        requests = camera.requests
        await first.evaluate("window.dropping = true")
        await until_here(lambda: camera.requests > requests, "Chromium's decoder got nothing, and sent a PLI", 15)
        await first.evaluate("window.dropping = false")
        await moves(first)


async def test_the_bit_rate_of_the_camera_follows_the_way_to_chromium() -> None:
    with Wire() as wire:
        async with unit() as (camera, session, url), chromium(devices=False) as browser:
            wire.delay_s = 0.01
            page = await enter(browser, url, "anna", _WIRED, wire=wire)
            await moves(page)
            assert wire.forwarded > 30
            uplink = session.uplink
            assert uplink is not None
            start_bps = uplink.settings.video.start_bitrate_bps
            await until_here(lambda: camera.bitrate_bps != start_bps, "Chromium estimates", 20)
            wire.rate_bps = NARROW_BPS
            await until_here(lambda: camera.bitrate_bps < NARROW_BPS, "the way is narrow", 30)
            wire.rate_bps = None
            await until_here(lambda: camera.bitrate_bps > NARROW_BPS, "the way is wide again", 30)
            await moves(page)


async def test_who_cannot_take_h264_sees_the_camera_in_vp8() -> None:
    async with unit() as (camera, _, url), chromium(devices=False) as browser:
        page = await enter(browser, url, "anna", _WITHOUT_H264)
        await moves(page)
        stats = await page.evaluate("room.stats()")
        assert [leg["codecs"] for leg in stats["downlinks"].values()] == [["video/VP8"]]
        both = await enter(browser, url, "boris")
        await moves(both)
        started_s = time.monotonic()
        await until_here(lambda: camera.units[-1].captured_s > started_s)
