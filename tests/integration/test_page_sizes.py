"""Every page in windows from a phone's to a large screen's: nothing is cut off, and nothing hangs over an edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, ViewportSize

from tests.integration.browser import close, join, open_page, until, user_id
from tests.integration.programs import demo
from tests.integration.room_page import Served

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

PHONE = ViewportSize(width=390, height=844)
PANEL = ViewportSize(width=800, height=480)
WINDOW = ViewportSize(width=1200, height=720)
SCREEN = ViewportSize(width=1920, height=1080)
TABLET = ViewportSize(width=768, height=1024)
SIZES = [PHONE, PANEL, WINDOW, SCREEN, TABLET]
Box = tuple[float, float, float, float]  # left, top, right, bottom

LAID_OUT = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
OVERHANGING = """() => [...document.querySelectorAll("main button, main input, main select, nav a, header a")]
    .filter((element) => element.checkVisibility() && !element.closest(".visually-hidden, .scroll, .skip"))
    .map((element) => [element.outerHTML.slice(0, 80), element.getBoundingClientRect()])
    .filter(([, box]) => box.left < -0.5 || box.right > innerWidth + 0.5).map(([what]) => what)"""


async def resize(page: Page, size: ViewportSize) -> None:
    """The page has drawn itself in a window of this size."""
    await page.set_viewport_size(size)
    await until(page, f"innerWidth === {size['width']} && innerHeight === {size['height']}")
    await page.evaluate(LAID_OUT)
    await page.evaluate(LAID_OUT)


async def box(page: Page, selector: str) -> Box:
    found: Any = await page.evaluate(
        """(selector) => { const box = document.querySelector(selector).getBoundingClientRect();
            return [box.left, box.top, box.right, box.bottom]; }""",
        selector,
    )
    return tuple(found)


def is_within(inner: Box, outer: Box) -> bool:
    slack = 0.5
    return (
        inner[0] >= outer[0] - slack
        and inner[1] >= outer[1] - slack
        and inner[2] <= outer[2] + slack
        and inner[3] <= outer[3] + slack
    )


def is_apart(one: Box, other: Box) -> bool:
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


async def test_the_own_picture_hangs_over_no_edge(served: Served, anna: Browser, boris: Browser) -> None:
    first = await join(anna, served.url(), name="Anna")
    second = await join(boris, served.url(), name="Boris with a name that is too long")
    other = f'.tile[data-user="{await user_id(second)}"]'
    await until(first, f"document.querySelector('{other}')?.dataset.video === 'true'")
    for door in ("", "chat"):
        for size in SIZES:
            await resize(first, size)
            if door:
                await first.click(f"#open-{door}")
                await first.evaluate(LAID_OUT)
            window = (0, 0, size["width"], size["height"])
            own, tile, stage = [await box(first, which) for which in (".own", other, "#stage")]
            where = f"{size} {door}: own {own}, other {tile}, stage {stage}"
            assert is_within(own, stage), where
            assert is_within(tile, stage), where
            assert is_within(own, tile) or is_apart(own, tile), where
            assert is_apart(own, await box(first, f"{other} .plate")), where
            assert is_within(await box(first, "#leave"), window), where
            if door:
                assert is_within(await box(first, f"#{door}-send"), await box(first, "#side")), where
                await first.click(f"#side-{door} [data-close]")
    await close(first)
    await close(second)


async def test_the_lobby_is_seen_in_whole(served: Served, anna: Browser) -> None:
    page = await open_page(anna, served.url())
    for size in SIZES:
        await resize(page, size)
        window = (0, 0, size["width"], size["height"])
        for what in (".preview", "#name", "#lobby-audio", "#lobby-video", "#join"):
            assert is_within(await box(page, what), window), (size, what)
    await close(page)


async def test_no_page_of_the_unit_is_wider_than_its_window(anna: Browser, tmp_path: Path) -> None:
    async with demo(tmp_path) as unit:
        for path in ("/", "/panel", "/settings", "/diagnostics", "/setup"):
            page = await open_page(anna, unit.url + path)
            for size in SIZES:
                await resize(page, size)
                width = await page.evaluate("document.documentElement.scrollWidth")
                assert width == size["width"], (path, size)
                assert await page.evaluate(OVERHANGING) == [], (path, size)
                bar = await box(page, ".sections")
                assert bar[3] - bar[1] <= 70, (path, size)
            if path == "/setup":
                await resize(page, PANEL)
                button = await page.locator("main .button.primary:visible").first.bounding_box()
                assert button is not None
                assert button["y"] + button["height"] <= PANEL["height"]
            await page.context.close()
