"""The pages /settings and /diagnostics in a real Chromium, as a person at a phone or a computer uses them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.integration.axe import violations
from tests.integration.browser import chromium, open_page, problems
from tests.integration.programs import Unit, appliance, demo, free_port
from tests.integration.test_settings import until
from tests.integration.test_setup_page import PASSWORD, claim_code

pytestmark = pytest.mark.chromium

PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "has_touch": True}
DESK = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"}
STEP_MS = 15_000


@asynccontextmanager
async def page_of(tmp_path: Path, path: str, **context: Any) -> AsyncIterator[tuple[Unit, Page]]:
    async with demo(tmp_path) as unit, chromium() as browser:
        await unit.connected()
        page = await open_page(browser, unit.url + path, **context)
        page.set_default_timeout(STEP_MS)
        yield unit, page
        assert problems[page] == []


def quiet(port: int) -> str:
    """A unit without devices."""
    return (
        '[audio]\ndriver = "none"\n[video]\ndriver = "none"\n[gpio]\ndriver = "none"\n'
        f'[web]\nhost = "127.0.0.1"\nport = {port}\ntls = "off"\n'
    )


def claim_code_of(unit: Unit) -> str:
    """Of a demo, which says it at start."""
    found = re.search(r"claim code +([0-9A-Z-]{11})", unit.log.read_text())
    assert found
    return found[1]


async def open_section(page: Page, section: str) -> None:
    await page.locator(f"#section-{section} > summary").click()


@pytest.mark.parametrize(("context", "language"), [(PHONE, "en"), (DESK, "zh")], ids=["phone", "desk"])
async def test_nobody_stumbles(tmp_path: Path, context: dict[str, Any], language: str) -> None:
    """axe-core finds nothing, with every section open, and nothing is wider than the window."""
    async with page_of(tmp_path, f"/settings?lang={language}", **context) as (unit, page):
        await expect(page.locator("#keys")).to_be_visible()
        await page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        await page.locator("#key-video-fps").fill("7")
        await expect(page.locator("#save-bar")).to_be_visible()
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.locator("#reset").click()
        await expect(page.locator("#ask")).to_be_visible()
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        await page.locator("#discard").click()
        await page.goto(f"{unit.url}/diagnostics")
        await expect(page.locator("#stages tr").first).to_be_visible()
        await expect(page.locator("#log li").first).to_be_visible()
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_key_is_changed_with_the_keyboard_alone(tmp_path: Path) -> None:
    async with page_of(tmp_path, "/settings", **DESK) as (unit, page):
        await expect(page.locator("#keys")).to_be_visible()
        await page.locator("#section-device > summary").focus()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Control+A")
        await page.keyboard.type("Gate")
        await expect(page.locator("#save-words")).to_contain_text("1")
        await page.keyboard.press("Enter")
        await expect(page.locator("#live")).to_contain_text("Saved, and in effect.")
        await unit.until(lambda state: state["device"]["name"] == "Gate")
        await expect(page.locator("#save-bar")).to_be_hidden()
        await page.reload()
        await expect(page.locator("#key-device-name")).to_have_value("Gate")


async def test_what_is_wrong_is_said_beside_its_input(tmp_path: Path) -> None:
    async with page_of(tmp_path, "/settings", **PHONE) as (unit, page):
        await expect(page.locator("#keys")).to_be_visible()
        await open_section(page, "video")
        await page.locator("#key-video-fps").fill("99")
        await page.locator("#save").click()
        await expect(page.locator("#key-video-fps-problem")).to_have_text("From 1 to 60.")
        await page.locator("#key-video-fps").fill("10")
        await open_section(page, "network")
        await page.locator("#key-network-ice_addresses").fill("127.0.0.1, nowhere")  # only the unit knows better
        await page.locator("#save").click()
        await expect(page.locator("#key-network-ice_addresses-problem")).to_contain_text("an IP address")
        await expect(page.locator("#key-network-ice_addresses")).to_be_focused()
        assert (await unit.get("/api/config"))["config"]["video"]["fps"] != 10
        problems[page].clear()  # the browser notes the 422


async def test_finding_a_setting(tmp_path: Path) -> None:
    async with page_of(tmp_path, "/settings", **PHONE) as (_unit, page):
        await page.locator("#find").fill("mirror")
        await expect(page.locator("#key-video-mirror")).to_be_visible()
        await expect(page.locator("#section-web")).to_be_hidden()
        await page.locator("#find").fill("no such words")
        await expect(page.locator("#found-none")).to_be_visible()


async def test_what_needs_a_restart_gets_it_with_one_button(tmp_path: Path) -> None:
    async with page_of(tmp_path, "/settings", **PHONE) as (unit, page):
        await expect(page.locator("#keys")).to_be_visible()
        await open_section(page, "hub")
        await page.locator("#key-hub-room_capacity").fill("5")
        await page.locator("#save").click()
        await expect(page.locator("#pending")).to_contain_text("Members")
        await page.locator("#restart").click()
        await expect(page.locator("#restarting")).to_be_visible()
        await expect(page.locator("#live")).to_contain_text("back with the new settings")
        await expect(page.locator("#pending")).to_be_hidden()
        await expect(page.locator("#trial")).to_be_visible()
        assert (await unit.get("/api/config"))["pending"] == []
        problems[page].clear()  # the browser notes that the unit was away


async def test_the_page_follows_the_unit_to_another_port(tmp_path: Path) -> None:
    """And its owner, whose cookies are of a port, stays signed in."""
    port, next_port = free_port(), free_port()
    async with appliance(tmp_path, quiet(port), port) as unit, chromium() as browser:
        await unit.post("/api/setup/claim", {"code": await claim_code(tmp_path), "password": PASSWORD})
        page = await open_page(browser, f"{unit.url}/login?next=/settings")
        await page.locator("#password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.locator("#keys")).to_be_visible()
        await open_section(page, "device")
        await page.locator("#key-device-name").fill("Gate")
        await open_section(page, "web")
        await page.locator("#key-web-port").fill(str(next_port))
        await page.locator("#save").click()
        await expect(page.locator("[data-unit-name]")).to_have_text("Gate")  # at once, without another look
        await page.locator("#restart").click()
        await expect(page.locator("#moved-to")).to_have_attribute("href", f"http://127.0.0.1:{next_port}/settings")
        await page.wait_for_url(f"http://127.0.0.1:{next_port}/settings")
        await expect(page.locator("#trial")).to_be_visible()
        await expect(page.locator("#trial")).to_be_hidden(timeout=20_000)  # somebody is there: it stays
        assert f"port = {next_port}" in (tmp_path / "config.good.toml").read_text()
        problems[page].clear()  # the browser notes that the unit was away


async def test_after_a_factory_reset_the_page_begins_anew(tmp_path: Path) -> None:
    async with page_of(tmp_path, "/settings", **PHONE) as (unit, page):
        await unit.post("/api/setup/claim", {"code": claim_code_of(unit), "password": PASSWORD})
        await page.reload()  # the claim ended the demo's own session
        await page.locator("#reset").click()
        await page.locator("#ask-yes").click()
        await expect(page.locator("#restarting")).to_be_in_viewport()
        await page.wait_for_url(f"{unit.url}/setup*")
        await expect(page.locator("#step-name")).to_be_visible()
        assert not (await unit.get("/api/auth"))["claimed"]
        problems[page].clear()  # the browser notes that the unit was away


async def test_settings_that_were_taken_back_are_told(tmp_path: Path) -> None:
    port = free_port()
    async with appliance(tmp_path, quiet(port), port) as unit, chromium() as browser:
        await unit.send("PUT", "/api/config", {"web.host": "192.0.2.77"})
        await unit.post("/api/restart")
        await until(unit, "/api/config", lambda answer: answer["notice"] is not None)
        headers = {"Authorization": unit.http.headers["Authorization"]}
        page = await open_page(browser, f"{unit.url}/settings", extra_http_headers=headers)
        await expect(page.locator("#notice")).to_contain_text("Address")
        await expect(page.locator("#notice-reason")).to_contain_text("cannot listen on 192.0.2.77")
        await page.locator("#notice-ok").click()
        await expect(page.locator("#notice")).to_be_hidden()
        assert (await unit.get("/api/config"))["notice"] is None


async def test_export_and_import(tmp_path: Path) -> None:
    async with page_of(tmp_path / "unit", "/settings", **DESK) as (unit, page):
        await expect(page.locator("#keys")).to_be_visible()
        await unit.send("PUT", "/api/config", {"device.name": "Gate", "room.token": "secret-token"})
        async with page.expect_download() as started:
            await page.get_by_role("link", name="Export the settings").click()
        file = tmp_path / "exported.toml"
        await (await started.value).save_as(file)
        assert 'name = "Gate"' in file.read_text()
        assert "secret-token" not in file.read_text()
        file.write_text(file.read_text().replace("Gate", "Yard"))
        await page.locator("#import-file").set_input_files(file)
        await page.locator("#import-form button").click()
        await page.locator("#ask-yes").click()
        await unit.until(lambda state: state["device"]["name"] == "Yard")
        await expect(page.locator("#key-room-token")).to_have_attribute("placeholder", "set; type to replace it")


async def test_diagnostics_follow_the_unit(tmp_path: Path) -> None:
    async with page_of(tmp_path, "/diagnostics", **DESK) as (unit, page):
        await expect(page.locator("#status")).to_contain_text("In room lobby")
        await expect(page.locator("#devices")).to_contain_text("mock-camera")
        await expect(page.locator("#quality-now")).not_to_be_empty()
        await page.locator("#log-words").fill("camera mock-camera works")
        await expect(page.locator("#log li")).to_have_count(1)
        await page.locator("#log-level").select_option("error")
        await expect(page.locator("#no-log")).to_be_visible()
        href = await page.locator("#log-download").get_attribute("href")
        assert href is not None
        assert "level=error" in href
        await unit.post("/api/leave")
        await expect(page.locator("#status")).to_contain_text("Not in the room")


async def test_diagnostics_show_each_track_and_what_of_the_sent_was_lost(tmp_path: Path) -> None:
    async with page_of(tmp_path, "/diagnostics", **PHONE) as (unit, page):
        tracks = page.locator("#tracks tr")
        await expect(tracks.filter(has_text="This unit").filter(has_text="Sound")).to_be_visible()
        await expect(tracks.filter(has_text="This unit").filter(has_text="large")).to_be_visible()
        answer = await unit.get("/api/diagnostics")
        leg = {
            "leg_id": "1",
            "user_id": "anna",
            "stream": "main",
            "packets": 100,
            "packets_lost": 25,
            "bytes": 9,
            "bps": 1000,
            "rtt_ms": 1.0,
            "jitter_ms": 1.0,
        }
        track = {
            "user_id": "anna",
            "user_name": "Anna",
            "is_remote": True,
            "stream_type": "screen",
            "media_type": "screen",
            "layer": "none",
            "bitrate_kbps": 1234.4,
            "frame_rate": 14.5,
            "rtt_ms": None,
            "jitter_ms": 12.0,
            "loss": 0.034,
        }
        answer |= {"legs": [{**leg, "direction": way} for way in ("up", "down")], "tracks": [track]}
        await page.route("**/api/diagnostics*", lambda route: route.fulfill(json=answer))
        await expect(page.locator("#legs tr")).to_have_text([re.compile("out.*25 %"), re.compile("in.*20 %")])
        await expect(tracks.locator("th, td")).to_have_text(
            ["Anna", "Screen", "not received", "1,234 kbit/s", "14.5", "3.4 %", "–", "12 ms"]
        )
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_button_on_the_home_page_is_held_to_talk(tmp_path: Path) -> None:
    async with page_of(tmp_path, "/settings", **DESK) as (unit, page):
        await open_section(page, "audio")
        await page.locator("#key-audio-duplex").select_option("push-to-talk")
        await page.locator("#save").click()
        await unit.until(lambda state: state["mute"]["audio"] and state["leds"]["mute"] == "on")
        await page.goto(f"{unit.url}/")
        button = page.get_by_role("button", name="Hold to talk")
        await expect(button).to_be_enabled()
        await button.hover()
        await page.mouse.down()
        await unit.until(lambda state: not state["mute"]["audio"] and state["leds"]["mute"] == "off")
        await page.mouse.up()
        await unit.until(lambda state: state["mute"]["audio"] and state["leds"]["mute"] == "on")
        await button.focus()
        await page.keyboard.down(" ")
        await unit.until(lambda state: not state["mute"]["audio"])
        await page.goto(f"{unit.url}/diagnostics")  # who goes away lets go
        await expect(page.locator("#devices")).to_contain_text("Push to talk")
        state = await unit.until(lambda state: state["mute"]["audio"])
        assert (state["sound"]["duplex"], state["sound"]["echo"]) == ("push-to-talk", "cancelled")
