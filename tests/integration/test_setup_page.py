"""First set-up in a real browser, from the box to the room: a phone and a desktop, by hand and by keyboard, in English
and in Chinese; and what it says when things go wrong."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Request, Route, expect

from tests.integration.axe import violations
from tests.integration.browser import chromium, open_page, problems
from tests.integration.programs import Unit, appliance, demo, free_port

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PASSWORD = "three blue bicycles"
STEP_MS = 15_000
CONFIG = """
[audio]
driver = "mock"
[video]
driver = "mock"
width = 320
height = 240
fps = 10
[gpio]
driver = "mock"
[network]
ice_addresses = ["127.0.0.1"]
[web]
host = "127.0.0.1"
port = {port}
tls = "{tls}"
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def browser(one_browser: Browser) -> AsyncIterator[Browser]:
    """One process for all; what a test opened is closed after it."""
    yield one_browser
    for context in one_browser.contexts:
        await context.close()
    problems.clear()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def in_its_room(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Unit]:
    """A demo for tests that change nothing."""
    async with demo(tmp_path_factory.mktemp("demo")) as unit:
        await unit.connected()
        yield unit


@asynccontextmanager
async def new_unit(state_dir: Path, *, tls: str = "off") -> AsyncIterator[Unit]:
    """A unit out of its box: no demo, no owner; its hardware is mock, its network none of its business."""
    port = free_port()
    scheme = "https" if tls == "self-signed" else "http"
    async with appliance(state_dir, CONFIG.format(port=port, tls=tls), port, scheme=scheme) as unit:
        yield unit


async def claim_code(state_dir: Path) -> str:
    """As it stands on the label."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "appliance", "claim-code"),
        env=os.environ | {"STATE_DIRECTORY": str(state_dir)},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    code = re.search(r"\b[0-9A-Z]{3}-[0-9A-Z]{3}-[0-9A-Z]{3}\b", output.decode())
    assert code, output
    return code[0]


async def step(page: Page, name: str) -> None:
    await expect(page.locator(f"#step-{name}")).to_be_visible(timeout=STEP_MS)


async def onward(page: Page, name: str) -> None:
    """Sends the form of the step `name`."""
    await page.click(f"#step-{name} .onward button[type=submit]")


async def is_accessible(page: Page) -> None:
    assert await violations(page) == []


def only_from(page: Page, unit: Unit) -> list[str]:
    """Every request of `page` that goes to somebody else than `unit`, as they come."""
    strange: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((unit.url, "data:", "blob:")):
            strange.append(request.url)

    page.on("request", note)
    return strange


@pytest.mark.parametrize(
    ("screen", "scheme", "language", "title"),
    [(PHONE, "light", "en-US", "Ready"), (DESKTOP, "dark", "zh-CN", "一切就绪")],
    ids=["phone", "desktop-chinese"],
)
async def test_the_whole_wizard(
    tmp_path: Path, browser: Browser, screen: dict[str, Any], scheme: str, language: str, title: str
) -> None:
    """On the demo, whose network is a mock: a wrong password first, then the right one. Every step is accessible."""
    async with demo(tmp_path) as unit:
        page = await open_page(browser, f"{unit.url}/login", color_scheme=scheme, locale=language, **screen)
        strange = only_from(page, unit)
        await page.goto(f"{unit.url}/setup")
        await step(page, "name")
        await is_accessible(page)
        await onward(page, "name")
        await expect(page.locator("#name-problem")).not_to_be_empty()
        await page.locator(".chip").nth(1).click()
        name = await page.input_value("#name")
        await onward(page, "name")

        await step(page, "network")
        first = page.locator("#networks button").first
        await first.click(timeout=STEP_MS)
        await page.fill("#psk", "wrong one")
        await is_accessible(page)
        await page.click("#join-wifi button[type=submit]")
        await expect(page.locator("#network-work .progress")).to_be_visible()
        await is_accessible(page)
        await expect(page.locator("#psk-problem")).not_to_be_empty(timeout=STEP_MS)
        await expect(page.locator("#psk")).to_be_focused()
        await page.fill("#psk", "right one")
        await page.click("#join-wifi button[type=submit]")

        await step(page, "room")
        await is_accessible(page)
        await page.fill("#room", "attic")
        await onward(page, "room")

        await step(page, "test")
        await expect(page.locator("#picture")).to_be_visible(timeout=STEP_MS)
        await page.click("#chime")
        await page.wait_for_function(
            "() => document.getElementById('speaker-meter').ariaValueNow > 40", timeout=STEP_MS
        )
        await page.wait_for_function(
            "() => document.getElementById('microphone-meter').ariaValueNow > 25", timeout=STEP_MS
        )
        await page.click("#walk-leds")
        await is_accessible(page)
        await page.click("#finish")

        await step(page, "done")
        await expect(page.locator("#step-done h1")).to_have_text(title)
        await expect(page.locator("#done-address")).to_have_attribute("href", f"{unit.url}/")
        await is_accessible(page)
        state = await unit.connected()
        assert (state["device"]["name"], state["room"]) == (name, "attic")
        assert (await unit.get("/api/network"))["last_attempt"]["state"] == "joined"
        assert strange == []
        assert problems[page] == []


async def test_a_new_unit_is_claimed_by_its_label(tmp_path: Path, browser: Browser) -> None:
    async with new_unit(tmp_path) as unit:
        code = await claim_code(tmp_path)
        page = await open_page(browser, f"{unit.url}/", **PHONE)
        assert page.url == f"{unit.url}/setup"
        await step(page, "claim")
        await is_accessible(page)
        await expect(page.locator(".sections")).to_have_count(0)  # strangers are shown no way to other pages

        await onward(page, "claim")
        await expect(page.locator("#code-problem")).not_to_be_empty()
        await page.fill("#code", "000-000-001")
        await page.fill("#password", "short")
        await onward(page, "claim")
        await expect(page.locator("#password-problem")).to_contain_text("8")
        await page.fill("#password", PASSWORD)
        await expect(page.locator("#strength")).to_have_attribute("data-strength", re.compile("[34]"))
        await onward(page, "claim")
        await expect(page.locator("#code-problem")).not_to_be_empty()
        await page.click("[data-reveal=password]")
        await expect(page.locator("#password")).to_have_attribute("type", "text")

        await page.goto(f"{unit.url}/login")  # no owner, nobody to be
        await page.goto(f"{unit.url}/setup#code={code.replace('-', '').lower()}")  # the QR code of the label
        await step(page, "claim")
        assert await page.input_value("#code") == code
        assert "code" not in page.url
        await page.fill("#password", PASSWORD)
        await onward(page, "claim")

        await step(page, "name")
        await page.fill("#name", "Kitchen")
        await page.reload()  # in the middle: nothing is lost that was saved
        await step(page, "name")
        await page.fill("#name", "Kitchen")
        await onward(page, "name")
        await step(page, "network")  # this computer's network is set up elsewhere
        await page.click("#network-next")
        await step(page, "room")
        await page.reload()
        await step(page, "room")
        await onward(page, "room")
        await step(page, "test")
        await page.go_back()
        await step(page, "room")
        await page.go_forward()
        await step(page, "test")
        await page.click("#finish")
        await step(page, "done")
        await page.reload()
        await step(page, "done")
        await expect(page.locator("#done-address")).to_have_attribute("href", f"{unit.url}/")  # it listens nowhere else

        await page.click("#step-done .primary")
        await expect(page.locator("#now-title")).to_have_text("Kitchen")
        await is_accessible(page)
        await page.click("#sign-out")
        await page.wait_for_url("**/login")
        await is_accessible(page)
        await page.goto(f"{unit.url}/")
        assert page.url == f"{unit.url}/login?next=/"
        await page.fill("#password", "three red bicycles")
        await page.click("#login button[type=submit]")
        await expect(page.locator("#password-problem")).not_to_be_empty()
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{unit.url}/")


async def test_where_the_login_leads_to_is_never_another_site(tmp_path: Path, browser: Browser) -> None:
    async with demo(tmp_path) as unit:
        for target in ("//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"):
            page = await open_page(browser, f"{unit.url}/login?next={target}")
            await page.route("**/api/auth/login", lambda route: route.fulfill(json={}))
            await page.fill("#password", "anything")
            await page.keyboard.press("Enter")
            await page.wait_for_url(f"{unit.url}/")
            await page.context.close()


async def test_the_phone_is_told_what_to_do_when_the_set_up_network_goes_away(tmp_path: Path, browser: Browser) -> None:
    async with demo(tmp_path) as unit:
        page = await open_page(browser, f"{unit.url}/setup#network", **PHONE)
        await page.locator("#networks button").first.click(timeout=STEP_MS)
        await page.fill("#psk", "wrong one")
        away = asyncio.Event()

        async def lose(route: Route) -> None:
            await (route.abort() if away.is_set() else route.continue_())

        await page.route("**/api/network", lose)
        away.set()
        await page.click("#join-wifi button[type=submit]")
        await expect(page.locator("#network-away")).to_be_visible(timeout=STEP_MS)
        await expect(page.locator("#away-ssid")).to_have_text("Living room")
        await expect(page.locator("#away-address")).to_have_attribute("href", f"{unit.url}/setup")
        await is_accessible(page)
        away.clear()  # the phone is back in the unit's own network
        await expect(page.locator("#network-away")).to_be_hidden(timeout=STEP_MS)
        await expect(page.locator("#psk-problem")).not_to_be_empty(timeout=STEP_MS)
        await page.fill("#psk", "right one")
        await page.click("#join-wifi button[type=submit]")
        await expect(page.locator("#network-work")).to_be_visible()
        await page.reload()  # in the midst of it: the page takes it up again
        await expect(page.locator("#network-work")).to_be_visible()
        await expect(page.locator("#step-network")).to_be_hidden(timeout=STEP_MS)
        assert (await unit.get("/api/network"))["last_attempt"]["state"] == "joined"


async def test_a_hidden_network_with_a_fixed_address(tmp_path: Path, browser: Browser) -> None:
    async with demo(tmp_path) as unit:
        page = await open_page(browser, f"{unit.url}/setup#network", **DESKTOP)
        await page.locator("#networks button").last.click(timeout=STEP_MS)
        await page.click("#join-wifi button[type=submit]")
        await expect(page.locator("#ssid-problem")).not_to_be_empty()
        await page.fill("#ssid", "Hidden")
        await page.fill("#psk", "right one")
        await page.click("#join-wifi summary")
        await page.fill("#static-address", "300.1.1.1/24")
        await page.click("#join-wifi button[type=submit]")
        await expect(page.locator("#static-address-problem")).not_to_be_empty()
        await page.fill("#static-address", "192.168.7.20/24")
        await page.fill("#static-gateway", "192.168.7.1")
        await page.fill("#static-dns", "192.168.7.1, 192.168.7.2")
        await is_accessible(page)
        await page.click("#join-wifi button[type=submit]")
        await expect(page.locator("#step-network")).to_be_hidden(timeout=STEP_MS)
        wifi = next(one for one in (await unit.get("/api/network"))["interfaces"] if one["kind"] == "wifi")
        assert (wifi["ssid"], wifi["addresses"]) == ("Hidden", ["192.168.7.20/24"])


async def test_into_the_room_of_another_unit_that_has_a_certificate_of_its_own(
    tmp_path: Path, browser: Browser
) -> None:
    """The link from one unit's home page, pasted into another one's set-up."""
    async with new_unit(tmp_path / "host", tls="self-signed") as host, demo(tmp_path / "guest") as guest:
        link = (await host.post("/api/invitation"))["url"]
        page = await open_page(browser, f"{guest.url}/setup#room", **DESKTOP)
        await choose_room(page)
        await page.check("input[value=link]")
        await page.fill("#address", "https://")
        await onward(page, "room")
        await expect(page.locator("#address-problem")).not_to_be_empty()
        await page.fill("#address", re.sub(r":\d+/", f":{free_port()}/", link))
        await onward(page, "room")
        await expect(page.locator("#address-problem")).not_to_be_empty()  # nobody answers there
        await page.fill("#address", link)
        await onward(page, "room")
        await expect(page.locator("#trust")).to_be_visible(timeout=STEP_MS)
        shown = (await page.inner_text("#fingerprint")).replace("\n", ":")
        assert shown in host.log.read_text()
        await is_accessible(page)
        assert (await guest.state())["room"] == "lobby"  # nothing was changed yet
        await page.check("#trusted")
        await onward(page, "room")
        await step(page, "test")
        state = await guest.connected()
        assert state["user_id"].startswith("guest-")


async def test_a_room_that_cannot_be_joined_is_said(tmp_path: Path, browser: Browser) -> None:
    async with demo(tmp_path / "host") as host, demo(tmp_path / "guest") as guest:
        await host.connected()
        page = await open_page(browser, f"{guest.url}/setup#room", **PHONE)
        await choose_room(page)
        await page.check("input[value=link]")
        await page.fill("#address", f"{host.url}/join/lobby#token=eyJhbGciOiJIUzI1NiJ9.e30.c2ln")
        await onward(page, "room")
        await expect(page.locator("#step-room [data-problem]")).to_be_visible(timeout=STEP_MS)
        await is_accessible(page)
        await page.check("input[value=own]")
        await onward(page, "room")
        await step(page, "test")
        await guest.connected()


async def test_a_hub_that_was_found_and_the_invitation_of_its_home_page(tmp_path: Path, browser: Browser) -> None:
    """What mDNS finds is `test_neighbors`' business; here it is what a person does with it."""
    async with demo(tmp_path / "host") as host, demo(tmp_path / "guest") as guest:
        link = (await host.post("/api/invitation"))["url"]
        page = await open_page(browser, f"{guest.url}/login", locale="zh-CN", **PHONE)
        hub = {"name": "Host", "url": host.url.replace("http", "ws"), "room": "lobby", "fingerprint": ""}
        await page.route("**/api/hubs", lambda route: route.fulfill(json={"hubs": [hub]}))
        await page.goto(f"{guest.url}/setup#room")
        await choose_room(page)
        await page.click("#hubs label")
        await is_accessible(page)
        await page.fill("#token", "no token")
        await onward(page, "room")
        await expect(page.locator("#token-problem")).to_have_text("这不是房间令牌。")
        await page.fill("#token", link)
        await onward(page, "room")
        await step(page, "test")
        assert (await guest.connected())["user_id"].startswith("guest-")


@pytest.mark.parametrize("reads_codes", [True, False])
async def test_an_invitation_scanned_by_the_phone(tmp_path: Path, browser: Browser, reads_codes: bool) -> None:
    """Chromium on Linux has no BarcodeDetector: a stand-in of it sees a code in the third picture of the camera."""
    link = "https://192.168.1.20:8080/join/attic#token=a.b.c"
    detector = f"""
        window.looks = 0;
        window.BarcodeDetector = class {{
            static async getSupportedFormats() {{ return ["qr_code"]; }}
            async detect(video) {{
                if (video.videoWidth) window.looks += 1;
                return window.looks < 3 ? [] : [{{ rawValue: "{link}" }}];
            }}
        }};
    """
    async with demo(tmp_path) as unit:
        context = await browser.new_context(permissions=["camera"], **PHONE)
        if reads_codes:
            await context.add_init_script(detector)
        page = await context.new_page()
        await page.goto(f"{unit.url}/setup#room")
        await choose_room(page)
        await page.check("input[value=link]")
        if not reads_codes:
            await expect(page.locator("#scan")).to_be_hidden()
            return
        await page.click("#scan")
        await expect(page.locator("#address")).to_have_value(link, timeout=STEP_MS)
        await expect(page.locator("#scanner")).to_be_hidden()
        assert await page.evaluate("document.getElementById('scanner-video').srcObject === null")


async def test_by_keyboard_alone(tmp_path: Path, browser: Browser) -> None:
    async with demo(tmp_path) as unit:
        page = await open_page(browser, f"{unit.url}/setup", **DESKTOP)
        await step(page, "name")
        await page.keyboard.press("Tab")
        assert await focused(page) == "skip"
        await page.keyboard.press("Enter")
        await tab_to(page, "name")
        await page.keyboard.type("Front door")
        await page.keyboard.press("Enter")
        await step(page, "network")
        await expect(page.locator("#networks button").first).to_be_visible(timeout=STEP_MS)
        await tab_to(page, "choice")
        await page.keyboard.press("Enter")
        assert await focused(page) == "psk"
        await page.keyboard.type("right one")
        await page.keyboard.press("Enter")
        await step(page, "room")
        await tab_to(page, "own")
        await page.keyboard.press("ArrowDown")
        await expect(page.locator("#link-field")).to_be_visible()
        await page.keyboard.press("ArrowUp")
        await tab_to(page, "room")
        await page.keyboard.press("Enter")
        await step(page, "test")
        await tab_to(page, "finish")
        await page.keyboard.press("Enter")
        await step(page, "done")
        await tab_to(page, "done-address")


@pytest.mark.parametrize("path", ["/", "/panel", "/login", "/setup", "/settings", "/diagnostics", "/join/lobby"])
async def test_every_page_is_accessible(in_its_room: Unit, browser: Browser, path: str) -> None:
    unit = in_its_room
    for screen, language in ((PHONE, "zh-CN"), (DESKTOP, "en-US")):
        for scheme in ("light", "dark"):
            page = await open_page(browser, unit.url + path, color_scheme=scheme, locale=language, **screen)
            await page.wait_for_load_state("networkidle" if path in ("/login", "/settings") else "load")
            assert (path, await violations(page)) == (path, [])
            assert (path, await too_small(page)) == (path, [])
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is too wide"
            await page.context.close()


async def test_the_language_is_switched_and_remembered(tmp_path: Path, browser: Browser) -> None:
    async with demo(tmp_path) as unit:
        page = await open_page(browser, f"{unit.url}/setup", locale="en-US")
        await expect(page.locator("html")).to_have_attribute("lang", "en")
        await step(page, "name")
        await page.click(".languages a[lang=zh]")
        await expect(page.locator("html")).to_have_attribute("lang", "zh")
        await page.goto(f"{unit.url}/panel")
        await expect(page.locator("html")).to_have_attribute("lang", "zh")
        await expect(page.locator("h1")).to_have_text("前面板")


# --- parts


async def choose_room(page: Page) -> None:
    """To the step of the room, whatever came before."""
    await page.wait_for_selector("#loading", state="hidden")
    if await page.is_visible("#step-name"):
        await page.fill("#name", "Front door")
        await onward(page, "name")
        await step(page, "network")
        await page.click("#network-next", timeout=STEP_MS)
    await step(page, "room")


async def focused(page: Page) -> str:
    found: str = await page.evaluate(
        "(({id, name, value, classList}) => id || (name && value) || classList[0] || '')(document.activeElement)"
    )
    return found


async def tab_to(page: Page, name: str) -> None:
    """Presses Tab until the focus is on the element with this id, value or first class."""
    for _ in range(40):
        if await focused(page) == name:
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"no way to {name} by Tab; the focus is on {await focused(page)}")


async def too_small(page: Page) -> list[str]:
    """Buttons, links that stand alone, and inputs that a finger would miss: under 44 px high."""
    small: list[str] = await page.evaluate(
        """() => [...document.querySelectorAll("button, select, summary, nav a, a.button, input, textarea")]
            .filter((element) => !element.matches("[type=radio], [type=checkbox], .with-button *"))
            .filter((element) => element.checkVisibility({ visibilityProperty: true }))
            .filter((element) => element.getBoundingClientRect().height < 43.5)
            .map((element) => element.outerHTML.slice(0, 120))"""
    )
    return small
