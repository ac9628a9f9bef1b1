"""Encryption and SEI with a unit's media at one end and a real Chromium at the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.async_api import Browser, Page, expect

from appliance.hub.tokens import TokenSigner
from appliance.media.e2ee import FrameKey, derive_key
from appliance.media.frames import CodedFrame, EncodedFrame, VideoCodec
from appliance.media.packetizer import Packetizer
from appliance.room import LocalStream, RemoteStream
from appliance.room.client import RoomClient
from appliance.room.decryption import Decryption
from appliance.room.events import SeiMessage
from hw.frame_code import read_code
from tests.appliance.media.pictures import code, without_vui
from tests.appliance.room.media import playout, until, uplink
from tests.integration import axe, browser
from tests.integration.browser import close, hears, join, open_page
from tests.integration.browser import until as until_page
from tests.integration.room_page import SECRET as TOKEN_SECRET
from tests.integration.room_page import Served
from tests.integration.test_settings_page import DESK, page_of

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

SECRET = "correct horse battery staple"
CODECS = pytest.mark.parametrize("codec", ["h264", "vp8"])


class Unit:
    """A room client with sound and pictures, in an encrypted room."""

    def __init__(self, client: RoomClient) -> None:
        self.client = client

    @property
    def stream(self) -> RemoteStream:
        (stream,) = self.client.streams
        return stream

    @property
    def decryption(self) -> Decryption:
        assert self.client._stay is not None
        return cast(Decryption, cast(Any, self.client._stay.media)._decryption)

    async def hears(self) -> None:
        await until(lambda: self.client.streams, 15)
        stream = self.stream
        await until(lambda: stream.audio is not None and stream.audio.level > 20, 15, "the tone of the page")

    async def sees(self) -> None:
        await until(lambda: self.client.streams, 15)
        stream = self.stream
        await until(lambda: stream.video is not None, 15, "video of the page")
        assert stream.video is not None
        codes: set[int | None] = set()
        with stream.video.watch():
            async with asyncio.timeout(15):
                while len(codes - {None}) < 3:
                    codes.add(code(await stream.video.wait_frame()))
        assert codes - {None} <= set(range(5000, 5030))


@asynccontextmanager
async def unit(served: Served, codec: VideoCodec = "h264", secret: str = SECRET) -> AsyncIterator[Unit]:
    async with uplink(codec=codec) as sender, playout() as player:
        client = RoomClient(f"ws://127.0.0.1:{served.port}/hub/ws", uplink=sender, playout=player, auto_subscribe=True)
        if secret:
            client.set_encryption_mode("aes-128-gcm")
            client.set_encryption_secret(secret)
        token = TokenSigner(TOKEN_SECRET).sign("unit", "lobby", "host", "Unit", 600, time.time())
        try:
            await client.join("lobby", "unit", token)
            await client.publish(LocalStream(width=160, height=160))
            yield Unit(client)
        finally:
            await client.destroy()


def keyed(served: Served, secret: str = SECRET) -> str:
    return f"{served.link('anna')}&key={secret.replace(' ', '%20')}"


async def seen_codes(page: Page) -> set[int]:
    """Three frame codes in what the page shows of the unit."""
    codes: set[int] = set()
    async with asyncio.timeout(browser.STEP_TIMEOUT_S):
        while len(codes) < 3:
            await until_page(page, "room.peers[0].video.frames > 0")
            found = read_code(await browser.picture(page, "unit"))
            codes |= {found} if found is not None else set()
    return codes


async def messages_cross(one: Unit, page: Page) -> None:
    """SEI from the unit to the page and back, byte by byte, once."""
    heard: list[SeiMessage] = []
    one.client.on(SeiMessage, heard.append)
    one.client.send_sei_message(b"\x00\x00\x01")
    await until_page(page, "room.sei.length > 0")
    assert await page.evaluate("room.sei") == [
        {"userId": "unit", "stream": "main", "payloadType": 243, "data": [0, 0, 1]}
    ]
    await page.evaluate(
        "document.dispatchEvent(new CustomEvent('send-sei-message', { detail: { data: [0, 0, 3, 7] } }))"
    )
    await until(lambda: heard, 15, "a message of the page")
    assert [(event.user_id, event.data, event.payload_type) for event in heard] == [("anna", b"\x00\x00\x03\x07", 243)]


@pytest.mark.row("U89", "U90")
@CODECS
async def test_both_hear_and_see_each_other(served: Served, boris: Browser, codec: VideoCodec) -> None:
    async with unit(served, codec) as one:
        page = await join(boris, keyed(served), name="Anna", query=f"&codec={codec}")
        await until_page(page, hears("unit", 440))
        await seen_codes(page)
        await one.hears()
        await one.sees()
        stats = await page.evaluate("room.stats()")
        assert stats["downlinks"]["unit/main"]["codecs"] == ["audio/opus", f"video/{codec.upper()}"]
        assert stats["uplinks"][0]["codecs"] == ["audio/opus", f"video/{codec.upper()}"]
        await until_page(page, "room.encryption.opened > 20")
        counts = await page.evaluate("room.encryption")
        assert (counts["forged"], counts["malformed"], counts["replayed"]) == (0, 0, 0)
        assert one.decryption.refused == {}
        assert not await page.evaluate("room.peers[0].undecryptable")
        assert not one.stream.is_undecryptable
        assert await page.evaluate("document.getElementById('encrypted').checkVisibility()")
        assert SECRET not in page.url
        await messages_cross(one, page)
        await close(page)


@pytest.mark.row("U83", "U84")
@CODECS
async def test_messages_cross_without_encryption_too(served: Served, boris: Browser, codec: VideoCodec) -> None:
    async with unit(served, codec, "") as one:
        page = await join(boris, served.link("anna"), name="Anna", query=f"&codec={codec}")
        await until_page(page, "room.peers[0].video.frames > 0")
        await one.sees()
        await messages_cross(one, page)
        assert await page.evaluate("room.encryption") is None
        await close(page)


async def test_a_camera_that_does_not_speak_of_order_is_seen(
    served: Served, boris: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chromium writes into its SPS, which is authenticated."""
    packetize = Packetizer.__call__

    def bare(packetizer: Packetizer, coded: CodedFrame) -> EncodedFrame:
        if packetizer.codec == "h264" and coded.keyframe:
            coded = replace(coded, data=without_vui(coded.data))
        return packetize(packetizer, coded)

    monkeypatch.setattr(Packetizer, "__call__", bare)
    async with unit(served, "h264"):
        page = await join(boris, keyed(served), name="Anna")
        await seen_codes(page)
        assert (await page.evaluate("room.encryption"))["forged"] == 0
        await close(page)


@pytest.mark.row("U91")
async def test_a_wrong_key_is_told_and_the_right_one_can_be_typed(served: Served, boris: Browser) -> None:
    async with unit(served) as one:
        page = await open_page(boris, f"{served.link('anna')}".replace("#", "?auto=1#") + "&key=wrong")
        await until_page(page, "room.state === 'ended' && room.reason === 'crypt-mismatch'")
        assert one.client.peers == {}
        assert "key" in await page.inner_text("#ended-title")
        assert await page.evaluate("document.querySelectorAll('video[src], .tile').length") == 0
        await page.fill("#key", SECRET)
        await page.click("#key-form button")
        await until_page(page, "room.state === 'connected'")
        await until_page(page, hears("unit", 440))
        assert list(one.client.peers) == ["anna"]
        await close(page)


async def test_the_key_is_typed_in_the_lobby_and_stays_there(served: Served, boris: Browser) -> None:
    async with unit(served) as one:
        page = await open_page(boris, "about:blank")
        said: list[str] = []
        page.on("request", lambda request: said.append(f"{request.url} {request.post_data}"))
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: said.append(str(frame))))
        await page.goto(served.link("anna"))
        await page.click("#lobby-encrypted summary")
        await page.fill("#lobby-key", SECRET)
        assert not await axe.violations(page)
        await page.fill("#name", "Anna")
        await page.click("#join")
        await until_page(page, hears("unit", 440))
        await one.hears()
        kept = "JSON.stringify([{ ...sessionStorage }, { ...localStorage }, location.href, document.cookie])"
        told = [*said, await page.evaluate(kept), await page.input_value("#lobby-key")]
        assert len(said) > 10
        assert not [words for words in told if SECRET in words or SECRET.split()[0] in words]
        await close(page)


async def test_the_panel_of_a_unit_says_whose_media_cannot_be_decrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = derive_key("aes-128-gcm", SECRET.encode())
    honest = FrameKey.fingerprint
    (tmp_path / "demo.toml").write_text(f'[room]\nencryption = "aes-128-gcm"\nencryption_secret = "{SECRET}"\n')
    async with page_of(tmp_path, "/panel", **DESK) as (one, page), uplink() as sender, playout() as player:
        badge = page.locator("#peers .badge")
        for secret, words in ((SECRET, ""), ("wrong", "cannot be decrypted")):
            token = (await one.post("/api/invitation"))["url"].partition("#token=")[2].partition("&")[0]
            client = RoomClient(f"ws://127.0.0.1:{one.port}/hub/ws", uplink=sender, playout=player)
            client.set_encryption_mode("aes-128-gcm")
            client.set_encryption_secret(secret)
            monkeypatch.setattr(FrameKey, "fingerprint", lambda key, room_id: honest(right, room_id))
            try:
                await client.join("lobby", token=token)
                await client.publish(LocalStream(width=160, height=160))
                await one.until(lambda state: state["peers"] and state["peers"][0]["audio"])
                if words:
                    await one.until(lambda state: state["peers"][0]["undecryptable"])
                    await expect(badge).to_have_text(words)
                    assert not await axe.violations(page)
                else:
                    await one.until(lambda state: state["peers"][0]["audio"]["level"])
                    await expect(badge).to_have_text("")
                    assert not (await one.state())["peers"][0]["undecryptable"]
            finally:
                await client.destroy()
            await one.until(lambda state: not state["peers"])


async def test_without_a_key_nobody_comes_in(served: Served, boris: Browser) -> None:
    async with unit(served) as one:
        page = await open_page(boris, f"{served.link('anna')}".replace("#", "?auto=1#"))
        await until_page(page, "room.state === 'ended' && room.reason === 'crypt-mismatch'")
        assert one.client.peers == {}
        await close(page)


@CODECS
async def test_who_lies_about_the_key_sends_neither_sound_nor_picture(
    served: Served, boris: Browser, codec: VideoCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = derive_key("aes-128-gcm", SECRET.encode())
    honest = FrameKey.fingerprint
    monkeypatch.setattr(FrameKey, "fingerprint", lambda key, room_id: honest(right, room_id))
    async with unit(served, codec, "wrong") as one:
        page = await join(boris, keyed(served), name="Anna", query=f"&codec={codec}")
        await until_page(page, "room.peers[0]?.leg === 'connected' && room.encryption.forged > 30")
        await until(lambda: one.decryption.refused["forged"] > 30, 15, "refused frames")
        peer = (await browser.peers(page))["unit"]
        assert peer["audio"]["level"] == 0
        assert not peer["video"].get("frames")
        assert (await page.evaluate("room.encryption"))["opened"] == 0
        assert one.decryption.opened == 0
        assert one.stream.audio is None or one.stream.audio.level == 0
        tile = page.locator("[data-user='unit']")
        await until_page(page, "room.peers[0].undecryptable")
        assert await tile.locator(".waiting").inner_text() == "Cannot be decrypted: another key, or none"
        assert not await tile.locator("video").is_visible()
        assert not await axe.violations(page)
        await until(lambda: one.stream.is_undecryptable, 15, "the unit knows, too")
        await close(page)
