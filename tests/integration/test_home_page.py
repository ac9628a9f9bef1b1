"""The home page in a real Chromium: the calls of a unit, from the first ring to the list of those that were missed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from appliance.room.call_content import BUSY, Call, decode_call_ended, encode
from appliance.room.client import RoomClient
from appliance.room.events import InvitationAccepted, InvitationCanceled, InvitationReceived, PeerMessage
from tests.appliance.room.house import Guest
from tests.hw.test_slides import write_picture
from tests.integration.axe import violations
from tests.integration.browser import problems
from tests.integration.test_settings_page import DESK, PHONE, page_of

pytestmark = pytest.mark.chromium


async def test_who_rings_is_answered_and_called_back(tmp_path: Path) -> None:
    async with page_of(tmp_path, "/", **PHONE) as (unit, page):
        state = await unit.state()
        card, now = page.locator("#call"), page.locator("#call-now")
        await expect(page.locator("#status")).to_contain_text("In room")
        await expect(card).to_be_hidden()
        token = (await unit.post("/api/invitation"))["url"].partition("#token=")[2]
        guest = Guest(RoomClient(f"ws://127.0.0.1:{unit.port}/hub/ws"))
        try:
            own_id = await guest.client.login(token=token, user_name="Anna")
            call = encode(Call(room=state["room"]))

            await guest.client.create_invitation(state["user_id"], call).send()
            await expect(now).to_have_text("Anna rings")
            await page.get_by_role("button", name="Answer").click()
            await guest.heard(InvitationAccepted)
            await expect(now).to_have_text("In a call with Anna")
            await page.get_by_role("button", name="Hang up").click()
            ended = await guest.heard(PeerMessage)
            assert decode_call_ended(ended.message.text) is not None
            await expect(card).to_be_hidden()

            given_up = guest.client.create_invitation(state["user_id"], call)
            await given_up.send()
            await expect(now).to_have_text("Anna rings")
            await given_up.cancel()
            await guest.heard(InvitationCanceled)
            await expect(now).to_have_text("Anna has given up.")
            await expect(page.locator("#missed-title")).to_have_text("Missed calls: 1")
            assert await violations(page) == []
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")

            await page.get_by_role("button", name="Call Anna back").click()
            ring = await guest.heard(InvitationReceived)
            await expect(now).to_have_text(f"Ringing {own_id}…")
            await expect(page.get_by_role("button", name="Cancel")).to_be_visible()
            await ring.invitation.refuse(BUSY)
            await expect(now).to_have_text(f"{own_id} is in another call.")
            await page.get_by_role("button", name="Forget them").click()
            await expect(page.locator("#missed")).to_be_hidden()
            assert (await unit.get("/api/calls"))["calls"] == []
        finally:
            await guest.client.destroy()


async def test_a_screen_that_a_host_has_stopped_comes_back_when_it_may(tmp_path: Path) -> None:
    (pictures := tmp_path / "pictures").mkdir()
    write_picture(pictures / "1.png", 180)
    (tmp_path / "demo.toml").write_text(f'[screen]\nsource = "{pictures}"\n')
    async with page_of(tmp_path, "/", **PHONE) as (unit, page):
        state = await unit.until(lambda state: state["screen"]["shared"])
        button, camera = page.locator("#screen"), page.locator("#camera")
        await expect(button).to_contain_text("Stop sharing")
        await expect(button).to_contain_text("on")
        member = f"/admin/rooms/{state['room']}/members/{state['user_id']}"
        for kind in ("screen", "video"):
            assert (await unit.send("POST", f"{member}/mute", {"kind": kind}))[0] == 204
        await expect(button).to_contain_text("turned off by a host")
        await expect(camera).to_contain_text("turned off by a host")
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert (await unit.state())["screen"]["shared"] is False
        assert (await unit.send("POST", f"{member}/unmute", {"kind": "screen"}))[0] == 204
        await unit.until(lambda state: state["screen"]["shared"] and not state["mute"]["screen"])
        await expect(button).not_to_contain_text("turned off by a host")
        await expect(button).to_contain_text("Stop sharing")
        await expect(camera).to_contain_text("turned off by a host")


async def test_the_panel_invites_into_the_units_own_room_and_into_no_other(tmp_path: Path) -> None:
    async with page_of(tmp_path, "/panel", **DESK) as (unit, page):
        link = page.get_by_role("link", name="Join from this browser")
        await expect(link).to_have_attribute("href", re.compile(r"/join/lobby#token=."))
        assert (await unit.send("PUT", "/api/config", {"room.url": "ws://127.0.0.1:9", "room.room": "office"}))[0] < 300
        await expect(page.locator("#alone")).to_be_visible()
        await expect(link).to_be_hidden()
        problems[page] = [problem for problem in problems[page] if "/api/invitation" not in problem]


async def test_the_configured_peers_are_rung(tmp_path: Path) -> None:
    async with page_of(tmp_path, "/?lang=zh", **DESK) as (unit, page):
        assert (await unit.send("PUT", "/api/config", {"call.peers": ["desk"]}))[0] < 300
        await page.get_by_role("button", name="呼叫 desk").click()
        await expect(page.locator("#call-now")).to_have_text("desk 不在线。")
        assert (await unit.state())["call"]["reason"] == "unreachable"
        assert await violations(page) == []
        await page.goto(f"{unit.url}/panel")
        await expect(page.locator("#events")).to_contain_text("正在呼叫 desk")
        await expect(page.locator("#events")).to_contain_text("呼叫结束：unreachable")
