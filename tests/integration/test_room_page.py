"""The room page in a real Chromium against a real hub: calls, words, recovery, devices."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from appliance.hub.settings import HubSettings
from hw.frame_code import read_code
from tests.integration import browser
from tests.integration.browser import close, hears, join, open_page, peers, until, until_untouched, user_id
from tests.integration.room_page import ANNA_HZ, BORIS_HZ, Served
from tests.tcp_proxy import tcp_proxy

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]


async def seen_codes(page: Page, user: str, want: int) -> set[int]:
    """The first `want` different frame codes in the picture of `user`."""
    codes: set[int] = set()
    async with asyncio.timeout(browser.STEP_TIMEOUT_S):
        while len(codes) < want:
            frames = (await peers(page))[user]["video"]["frames"]
            await until(page, f"room.peers.some((p) => p.userId === '{user}' && p.video.frames > {frames})")
            if (code := read_code(await browser.picture(page, user))) is not None:
                codes.add(code)
    return codes


async def test_two_people_hear_and_see_each_other(served: Served, anna: Browser, boris: Browser) -> None:
    one = await join(anna, served.url(), name="Anna", query="&codec=h264")
    two = await join(boris, served.url(), name="Boris", query="&codec=vp8")
    anna_id, boris_id = await user_id(one), await user_id(two)
    await until(one, hears(boris_id, BORIS_HZ))
    await until(two, hears(anna_id, ANNA_HZ))
    assert await seen_codes(one, boris_id, 3) <= set(range(5000, 5030))
    assert await seen_codes(two, anna_id, 3) <= set(range(1000, 1030))
    assert (await peers(one))[boris_id]["name"] == "Boris"
    await until(one, "room.peers[0].speaking && room.peers[0].quality === 1 && room.local.quality === 1")
    stats = await two.evaluate("room.stats()")
    assert stats["downlinks"][f"{anna_id}/main"]["codecs"] == ["audio/opus", "video/H264"]
    assert stats["uplinks"][0]["codecs"] == ["audio/opus", "video/VP8"]
    await two.goto("about:blank")  # as one who closes the tab
    await until(one, "room.peers.length === 0")
    await close(two)
    await close(one)


async def test_mute_silences_and_is_shown_and_unmute_brings_it_back(
    served: Served, anna: Browser, boris: Browser
) -> None:
    one = await join(anna, served.url(), name="Anna")
    two = await join(boris, served.url(), name="Boris")
    anna_id = await user_id(one)
    tile = two.locator(f"[data-user='{anna_id}']")
    await until(two, hears(anna_id, ANNA_HZ) + " && room.peers[0].video.frames > 2")

    await one.keyboard.press("m")
    await until(two, "room.peers[0].audio.muted && room.peers[0].audio.frequency === 0")
    assert await tile.get_attribute("data-muted") == "true"
    assert "microphone off" in (await tile.text_content() or "")
    assert await one.locator("#mic").get_attribute("aria-label") == "Turn on microphone"

    await one.click("#camera")
    await until(two, "room.peers[0].video.muted")
    assert await tile.locator(".avatar").is_visible()
    assert not await tile.locator("video").is_visible()

    await one.keyboard.press("m")
    await one.click("#camera")
    await until(two, hears(anna_id, ANNA_HZ) + " && !room.peers[0].audio.muted && !room.peers[0].video.muted")
    assert await seen_codes(two, anna_id, 2) <= set(range(1000, 1030))
    await close(one)
    await close(two)


async def test_silent_link_is_found_and_resumed_while_the_media_goes_on(
    served: Served, anna: Browser, boris: Browser
) -> None:
    two = await join(boris, served.url(), name="Boris")
    async with tcp_proxy(served.port) as proxy:
        one = await join(anna, f"http://127.0.0.1:{proxy.port}/join/lobby", name="Anna")
        await until(one, "room.peers[0].video.frames > 2")
        await until(two, "room.peers[0].video.frames > 2")
        received = (await one.evaluate("room.stats()"))["downlinks"]
        proxy.black_hole()
        silent_s = time.monotonic()
        await until(one, "room.state === 'reconnecting'")
        assert time.monotonic() - silent_s < 7
        await proxy.restore()
        await until(one, "room.state === 'connected'")
        await one.keyboard.press("m")
        await until(two, "room.peers[0].audio.muted")  # what the hub had to say of Anna's return came before this
        assert "left" not in (await two.locator("#toasts").text_content() or "")
        again = (await one.evaluate("room.stats()"))["downlinks"]
        assert again.keys() == received.keys()
        for key, counts in again.items():  # the same leg went on: a new one would count from 0
            assert counts["packets"] > received[key]["packets"] > 0
        await close(one)
    await close(two)


async def test_call_comes_back_after_the_hub_was_killed(served: Served, anna: Browser, boris: Browser) -> None:
    one = await join(anna, served.url(), name="Anna")
    two = await join(boris, served.url(), name="Boris")
    await until(one, "room.peers.length === 1")
    await served.stop()
    await until(one, "room.state === 'reconnecting'")
    assert await one.locator("#banner").is_visible()
    assert "Reconnecting" in (await one.locator("#status").text_content() or "")
    await served.start()
    returned_s = time.monotonic()
    await until(one, "room.state === 'connected'")
    await until(two, "room.state === 'connected'")
    assert time.monotonic() - returned_s < 3.5
    await until(one, f"room.peers.length === 1 && {hears(await user_id(two), BORIS_HZ)}")
    await until(two, f"room.peers.length === 1 && {hears(await user_id(one), ANNA_HZ)}")
    assert not await one.locator("#banner").is_visible()
    await close(one)
    await close(two)


async def test_dead_leg_is_made_anew(served: Served, anna: Browser, boris: Browser) -> None:
    keep = (
        "window.legs = []; window.RTCPeerConnection = class extends RTCPeerConnection {"
        "constructor(...a) { super(...a); legs.push(this); } }"
    )
    two = await open_page(boris, "about:blank")
    await two.context.add_init_script(keep)
    await two.goto(f"{served.url()}?auto=1&filter=off&name=Boris")
    await until(two, "room.state === 'connected'")
    one = await join(anna, served.url(), name="Anna")
    heard = hears(await user_id(two), BORIS_HZ)
    await until(one, heard)
    await two.evaluate("legs.forEach((leg) => leg.close())")
    await until(one, f"!({heard})")
    await until(one, heard)
    await until(two, hears(await user_id(one), ANNA_HZ))
    await close(one)
    await close(two)


async def test_lobby_shows_camera_and_level_and_remembers_the_name(served: Served, anna: Browser) -> None:
    page = await open_page(anna, served.url("front-door"))
    await until(page, "document.getElementById('preview').videoWidth > 0")
    await until(page, "document.getElementById('lobby-level').getAttribute('aria-valuenow') > 20")
    assert await page.locator("#lobby-title").text_content() == "front-door"
    assert await page.locator("#lobby-audio option").count() >= 1
    await page.fill("#name", "Anna Berg")
    await page.keyboard.press("Enter")
    await until(page, "room.state === 'connected'")
    assert await page.locator(".own .name").text_content() == "Anna Berg (you)"
    assert await page.locator("#alone").is_visible()

    await page.click("#devices")
    await page.get_by_label("Remove echo and background noise").uncheck()
    await page.get_by_role("button", name="Done").click()
    await page.get_by_role("button", name="Leave").click()
    await until(page, "room.reason === 'left'")
    assert await page.locator("#ended-title").text_content() == "You left the call"
    await page.get_by_role("button", name="Join again").click()
    await until(page, "room.state === 'connected'")
    await page.goto(served.url("other"))
    assert await page.locator("#name").input_value() == "Anna Berg"
    await page.click("#join")
    await until(page, "room.state === 'connected'")
    await page.click("#devices")
    assert not await page.get_by_label("Remove echo and background noise").is_checked()
    assert browser.problems[page] == []
    await close(page)


@pytest.mark.parametrize(
    ("fault", "title"),
    [
        ("missing", "This room needs an invitation"),
        ("forged", "This invitation doesn't work"),
        ("other room", "This invitation doesn't work"),
        ("expired", "This invitation has expired"),
    ],
)
async def test_wrong_invitation_is_said_in_words_and_another_one_helps(anna: Browser, fault: str, title: str) -> None:
    served = Served(HubSettings())
    await served.start()
    link = {
        "missing": served.url(),
        "forged": served.link("anna", secret=b"another secret, which the hub has not"),
        "other room": served.link("anna", room="elsewhere"),
        "expired": served.link("anna", ttl_s=-120),
    }[fault]
    address, _, fragment = link.partition("#")
    page = await open_page(anna, f"{address}?auto=1" + (f"#{fragment}" if fragment else ""))
    await until(page, "room.state === 'ended'")
    assert await page.locator("#ended-title").text_content() == title
    assert "token" not in page.url
    await page.get_by_label("Invitation link").fill("nothing of use")
    await page.get_by_role("button", name="Use this invitation").click()
    assert await page.get_by_role("alert").is_visible()
    await page.get_by_label("Invitation link").fill(served.link("anna"))
    await page.get_by_role("button", name="Use this invitation").click()
    assert await page.get_by_label("Your name").input_value() == "Anna"
    await page.click("#join")
    await until(page, "room.state === 'connected' && room.userId === 'anna'")
    await page.reload()  # the invitation is kept in the tab
    await until(page, "room.state === 'connected' && room.userId === 'anna'")
    await close(page)
    await served.stop()


async def test_kick_close_and_full_room_show_their_words_and_a_way_back(boris: Browser) -> None:
    served = Served(HubSettings(demo_tokens=True, room_capacity=1))
    await served.start()
    page = await join(boris, served.url(), name="Boris")
    title, detail = page.locator("#ended-title"), page.locator("#ended-detail")

    await served.admin("POST", f"lobby/members/{await user_id(page)}/kick", message="Please use the other door.")
    await until(page, "room.reason === 'kicked'")
    assert await title.text_content() == "You were disconnected"
    assert await detail.text_content() == "Please use the other door."

    await page.get_by_role("button", name="Join again").click()
    await until(page, "room.state === 'connected'")
    await served.admin("DELETE", "lobby", message="We close at six.")
    await until(page, "room.reason === 'room-closed'")
    assert await title.text_content() == "The call has ended"
    assert await detail.text_content() == "We close at six."

    await page.get_by_role("button", name="Join again").click()
    await until(page, "room.state === 'connected'")
    late = await open_page(boris, served.url() + "?auto=1")
    await until(late, "room.reason === 'room-full'")
    assert await late.locator("#ended-title").text_content() == "The room is full"
    await close(page)
    await late.get_by_role("button", name="Try again").click()
    await until(late, "room.state === 'connected'")
    await close(late)
    await served.stop()


async def test_without_devices_one_still_hears_after_a_tap(served: Served, boris: Browser) -> None:
    speaker = await join(boris, served.url(), name="Boris")
    async with browser.chromium(devices=False, autoplay=False) as bare:
        page = await open_page(bare, served.url() + "?auto=1&name=Ear")
        await until_untouched(page, "document.getElementById('unblock').checkVisibility()")
        assert await page.evaluate("room.state") == "connected"
        assert await page.evaluate("room.local.problems") == {"audio": "absent", "video": "absent"}
        assert await page.locator("#room-problems p").all_text_contents() == [
            "No camera and no microphone found. Plug one in, or go on without."
        ]
        assert await page.locator("#toasts").text_content() == ""  # Boris has been here before us
        await page.get_by_role("button", name="Tap to hear the others").click()
        await until(page, hears(await user_id(speaker), BORIS_HZ))
        await until(speaker, "room.peers.length === 1 && room.peers[0].audio === null && room.peers[0].video === null")
        await close(page)
    await close(speaker)


async def test_refused_camera_is_explained_and_the_call_goes_on(served: Served) -> None:
    async with browser.chromium(refuse=True) as strict:
        page = await open_page(strict, served.url())
        await page.fill("#name", "Anna")
        await page.locator("#lobby-problems").get_by_text("Your browser blocks the camera and microphone.").wait_for()
        assert await page.locator("#lobby-problems .notice").count() == 1
        await page.click("#join")
        await until(page, "room.state === 'connected' && room.local.problems.video === 'denied'")
        await close(page)


async def test_page_keeps_to_itself_and_every_control_has_a_name(served: Served, anna: Browser) -> None:
    page = await open_page(anna, "about:blank")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    await page.goto(served.url())
    await page.fill("#name", "Anna")
    nameless = """() => [...document.querySelectorAll("button, input, select")].filter((element) =>
        element.checkVisibility() && !element.labels?.length && !(element.ariaLabel || element.innerText).trim()
    ).map((element) => element.outerHTML)"""
    assert await page.evaluate(nameless) == []
    await page.click("#join")
    await until(page, "room.state === 'connected'")
    assert await page.evaluate(nameless) == []
    order = []
    for _ in range(8):
        await page.keyboard.press("Tab")
        order.append(await page.evaluate("document.activeElement.id"))
    assert order == ["open-call", "open-chat", "open-people", "mic", "camera", "screen", "devices", "leave"]
    assert requests
    assert {url for url in requests if not url.startswith(f"http://127.0.0.1:{served.port}/")} == set()
    assert browser.problems[page] == []
    await close(page)


async def test_pure_modules(served: Served, anna: Browser) -> None:
    page = await open_page(anna, served.url())

    async def run(module: str, expression: str) -> Any:
        return await page.evaluate(f"import('/hub/static/{module}.js').then((m) => {expression})")

    shapes = "[[1, 1250, 640], [3, 1250, 640], [4, 1250, 640], [8, 1250, 640], [3, 374, 640]]"
    shown = await run("layout", f"{shapes}.map(([n, w, h]) => ({{ n, w, h, ...m.shape(n, w, h, 12) }}))")
    assert [shape["columns"] for shape in shown] == [1, 2, 2, 3, 1]
    for shape in shown:
        rows = -(-shape["n"] // shape["columns"])
        assert shape["columns"] * (shape["width"] + 12) - 12 <= shape["w"]
        assert rows * (shape["height"] + 12) - 12 <= shape["h"]

    losses = await run("quality", "[0, 0.03, 0.06, 0.12, 0.3, null].map((loss) => m.level(loss, 20))")
    assert losses == [1, 2, 3, 4, 5, 0]
    delays = await run("quality", "[90, 150, 300, 400, 900, null].map((rtt) => m.level(0, rtt))")
    assert delays == [1, 2, 3, 4, 5, 1]
    down = """(() => { const q = new m.Quality(); const at = (packets, lost, s) =>
        q.add({ packets, lost, rtt_ms: 10, at_ms: s * 1000 });
        return [at(0, 0, 0), at(100, 0, 2), at(180, 20, 4), at(280, 20, 6), at(380, 20, 8), at(480, 20, 10),
                at(480, 20, 12), at(480, 20, 14)]; })()"""
    assert await run("quality", down) == [0, 1, 4, 4, 4, 1, 1, 6]

    waits = await run("link", "[0, 1, 2, 3, 4, 50].map((n) => [m.backoff(n, 0), m.backoff(n, 1)])")
    assert all(low < high for low, high in waits)
    assert waits[-1][1] <= 2000  # a hub that returns is found within 2 s

    roster = """(() => { const a = { user_id: "a", streams: [] }, b = { user_id: "b" };
        let [r, notes] = m.reset(m.empty, [a]); const out = [notes.map((n) => n.what)];
        [r, notes] = m.change(r, b); out.push(notes.map((n) => n.what));
        [r, notes] = m.change(r, { ...b, user_name: "B" });
        out.push(notes.map((n) => n.what + n.before), m.nameOf(r.b));
        [r, notes] = m.reset(r, [a, { user_id: "c" }]); out.push(notes.map((n) => n.what + n.member.user_id).sort());
        [r, notes] = m.remove(r, "nobody"); out.push(notes, Object.keys(r)); return out; })()"""
    assert await run("roster", roster) == [[], ["joined"], ["renamedb"], "B", ["joinedc", "leftb"], [], ["a", "c"]]

    assert await run("avatar", "['Anna Berg', 'anna', '', 'Ärger im Büro'].map(m.initials)") == ["AB", "A", "?", "ÄB"]
    tokens = "['https://h/join/r#token=a-b.c_d.e', ' a.b.c ', 'hello'].map(m.tokenIn)"
    assert await run("settings", tokens) == ["a-b.c_d.e", "a.b.c", ""]
    await close(page)
