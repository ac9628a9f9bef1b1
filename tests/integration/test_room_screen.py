"""A screen shared from the room page: shown large to the others, withdrawn when it ends, whoever ends it."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page

from tests.integration.browser import close, join, open_page, problems, until, user_id
from tests.integration.room_page import Served

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

# The browser's own "stop sharing" is no part of the page: its track is kept for the test to end.
_KEEP_TRACK = """
const capture = navigator.mediaDevices.getDisplayMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getDisplayMedia = async (wish) => (window.captured = await capture(wish));
"""
_SCREEN = "room.peers.find((peer) => peer.stream === 'screen')"


async def sharer(chromium: Browser, served: Served) -> Page:
    page = await open_page(chromium, "about:blank")
    await page.add_init_script(_KEEP_TRACK)
    await page.goto(f"{served.url()}?auto=1&name=Anna")
    await until(page, "room.state === 'connected'")
    return page


async def width(page: Page, selector: str) -> float:
    box = await page.locator(selector).bounding_box()
    assert box is not None
    return box["width"]


@pytest.mark.row("U28", "U29", "U32", "U71")
async def test_a_shared_screen_is_large_and_goes_when_it_is_stopped(served: Served, chromium: Browser) -> None:
    one, two = await sharer(chromium, served), await join(chromium, served.url(), name="Boris")
    anna = await user_id(one)
    await until(two, "room.peers.length === 1 && room.peers[0].video.frames > 1")
    await one.click("#screen")
    await until(two, f"{_SCREEN}?.video.frames > 1")
    await until(one, "room.local.screen")
    assert await one.locator("#screen").inner_text() == "Stop sharing"
    screen = f"[data-user='{anna}'][data-stream='screen']"
    assert await width(two, screen) > 2 * await width(two, f"[data-user='{anna}'][data-stream='main']")
    assert (await two.locator(f"{screen} .name").inner_text()).startswith("Anna: ")
    shown = await two.evaluate(f"{_SCREEN}.video.width")
    assert shown == await one.evaluate("captured.getVideoTracks()[0].getSettings().width")

    await one.click("#screen")
    await until(two, f"!{_SCREEN} && room.peers.length === 1")
    assert await one.evaluate("captured.getTracks().every((track) => track.readyState === 'ended')")
    await one.click("#screen")
    await until(two, f"{_SCREEN}?.video.frames > 1")
    await one.evaluate("captured.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    await until(two, f"!{_SCREEN}")
    await until(one, "document.getElementById('toasts').textContent.includes('no longer share')")
    assert not problems[one] + problems[two]
    await close(one)
    await close(two)


async def test_who_comes_later_sees_it_and_who_goes_takes_it_along(served: Served, chromium: Browser) -> None:
    one = await sharer(chromium, served)
    await one.click("#screen")
    await until(one, "room.local.screen")
    two = await join(chromium, served.url(), name="Boris")
    await until(two, f"{_SCREEN}?.video.frames > 1")
    await close(one)
    await until(two, "room.peers.length === 0")
    await close(two)


async def test_who_thinks_better_of_it_shares_nothing_and_is_not_bothered(served: Served, chromium: Browser) -> None:
    one = await sharer(chromium, served)
    refuse = "() => { navigator.mediaDevices.getDisplayMedia = async () => { throw new DOMException('no', %r); }; }"
    await one.evaluate(refuse % "NotAllowedError")
    await one.click("#screen")
    assert await one.locator("#toasts").inner_text() == ""
    await one.evaluate(refuse % "NotReadableError")
    await one.click("#screen")
    await until(one, "document.getElementById('toasts').textContent.includes('cannot be shared')")
    assert not await one.evaluate("room.local.screen")
    await close(one)
