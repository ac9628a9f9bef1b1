"""The room page's control plane in a real Chromium: moderation, calls, messages, names, roles, tokens, languages."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from appliance.hub.settings import HubSettings
from appliance.hub.tokens import TokenSigner
from appliance.room.client import RoomClient
from appliance.room.events import (
    InvitationAccepted,
    InvitationReceived,
    InvitationRefused,
    PeerMessage,
    ScreenMuted,
    StreamAdded,
    StreamRemoved,
)
from tests.appliance.room.house import Guest
from tests.integration import axe, browser
from tests.integration.browser import close, join, open_page, until, user_id
from tests.integration.programs import demo
from tests.integration.room_page import SECRET, Served
from tests.tcp_proxy import tcp_proxy

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub() -> AsyncIterator[Served]:
    """It asks for no token; whoever has one is who it says."""
    served = Served(HubSettings(secure=False, token_grace_s=2))
    await served.start()
    yield served
    await served.stop()


def invited(hub: Served, user: str, room: str, *, moderator: bool = False, ttl_s: float = 600) -> str:
    token = TokenSigner(SECRET).sign(user, room, "host", "", ttl_s, time.time(), moderator=moderator)
    return f"{hub.url(room)}#token={token}"


@asynccontextmanager
async def unit(hub: Served, user: str) -> AsyncIterator[Guest]:
    """A client without devices, logged in."""
    client = RoomClient(f"ws://127.0.0.1:{hub.port}/hub/ws")
    try:
        await client.login(user, user_name=user.title())
        yield Guest(client)
    finally:
        await client.destroy()


def complaints(page: Page) -> list[str]:
    """What the page logged as errors, but for the demo's tokens, which it asked for in vain."""
    return [problem for problem in browser.problems[page] if "404" not in problem]


async def toasted(page: Page, words: str) -> None:
    await until(page, f"document.getElementById('toasts').textContent.includes({json.dumps(words)})")


async def act(page: Page, name: str, action: str) -> None:
    """The moderator's `action` in the menu of the member called `name`."""
    if not await page.locator("#side-people").is_visible():
        await page.click("#open-people")
    await page.get_by_role("button", name=f"What to do with {name}", exact=True).click()
    await page.get_by_role("button", name=action, exact=True).click()


async def test_moderator_mutes_and_the_muted_one_waits(hub: Served, chromium: Browser) -> None:
    host = await join(chromium, invited(hub, "host", "mute", moderator=True), name="Hanna")
    guest = await join(chromium, invited(hub, "guest", "mute"), name="Gert")
    await until(host, "room.peers[0].audio && room.control.mayModerate")
    await until(guest, "room.peers.length === 1 && !room.control.mayModerate")

    await guest.click("#open-people")
    assert not await guest.locator("#end-room").is_visible()
    await guest.get_by_role("button", name="What to do with Hanna").click()
    assert await guest.locator("#member-actions button").all_text_contents() == ["Write a message"]
    await guest.keyboard.press("Escape")

    await act(host, "Gert", "Mute microphone")
    await until(guest, "room.local.audioMuted && room.control.forced.audio.by === 'host'")
    await until(host, "room.peers[0].audio.muted")
    await toasted(guest, "Hanna muted you.")
    assert await guest.locator("#mic").get_attribute("aria-disabled") == "true"
    assert "until they allow it" in (await guest.locator("#mic").get_attribute("aria-label") or "")
    await guest.locator("#open-people").click()
    await guest.keyboard.press("m")
    await toasted(guest, "your microphone stays off until they allow it again")
    assert await guest.evaluate("room.local.audioMuted")

    await host.get_by_role("button", name="Allow to speak", exact=True).click()
    await until(guest, "!room.control.forced.audio")
    assert await guest.evaluate("room.local.audioMuted")  # one's own hand opens it
    await guest.keyboard.press("m")
    await until(host, "!room.peers[0].audio.muted")
    await close(guest)
    await close(host)


@pytest.mark.row("U47", "U49")
async def test_moderator_stops_a_shared_tab_and_allows_one_again(hub: Served, chromium: Browser) -> None:
    host = await join(chromium, invited(hub, "host", "shared", moderator=True), name="Hanna")
    guest = await join(chromium, invited(hub, "guest", "shared"), name="Gert")
    async with unit(hub, "door") as door:
        await door.client.join("shared")
        await guest.click("#screen")
        screen = "room.peers.find((peer) => peer.stream === 'screen')"
        await until(host, f"{screen}?.video.frames > 1")
        await door.heard(StreamAdded, 3)
        await act(host, "Gert", "Stop shared screen")
        assert (await door.heard(ScreenMuted)).user_id == "guest"
        assert (await door.heard(StreamRemoved)).stream.name == "screen"
        await until(guest, "!room.local.screen && room.control.forced.screen.by === 'host'")
        await until(host, f"!{screen} && room.peers[0].video.frames > 1")
        await toasted(guest, "Hanna stopped your screen.")
        await host.keyboard.press("Escape")
        button = guest.locator("#screen")
        assert (await button.get_attribute("aria-disabled"), await button.inner_text()) == ("true", "Not allowed")
        assert not await axe.violations(guest)
        await button.dispatch_event("click")
        await toasted(guest, "you can share one when they allow it again")
        assert not await guest.evaluate("room.local.screen")

        await host.reload()  # whoever moderates is told what is forced
        await until(host, "room.peers.some((peer) => peer.userId === 'guest')")
        await act(host, "Gert", "Allow to share a screen")
        await until(guest, "!room.control.forced.screen")
        assert await button.inner_text() == "Share screen"
        await guest.click("#screen")
        await until(host, f"{screen}?.video.frames > 1")
    assert not complaints(guest)
    await close(guest)
    await close(host)


async def test_each_member_is_as_loud_as_one_likes(hub: Served, chromium: Browser) -> None:
    one = await join(chromium, f"{hub.url('loud')}", name="Hanna")
    two = await join(chromium, f"{hub.url('loud')}", name="Gert")
    who = await user_id(two)
    await two.click("#screen")
    await until(one, "room.peers.length === 2 && room.peers.every((peer) => peer.leg === 'connected')")
    heard = f"[...document.querySelectorAll('[data-user=\"{who}\"] audio')]"
    assert await one.evaluate(f"{heard}.map((audio) => audio.volume)") == [1, 1]

    await one.locator(f"[data-user='{who}'][data-stream='main'] .plate").focus()
    await one.keyboard.press("Enter")
    slider = one.get_by_role("slider", name="Volume here")
    await slider.focus()
    for _ in range(12):
        await one.keyboard.press("ArrowLeft")
    assert await slider.get_attribute("aria-valuetext") == "40 %"
    assert await one.evaluate(f"{heard}.map((audio) => audio.volume)") == [0.4, 0.4], "its screen, too"
    await one.keyboard.press("Home")
    assert await one.evaluate(f"{heard}.every((audio) => audio.volume === 0 && audio.muted)")
    assert not await axe.violations(one)
    await one.keyboard.press("Escape")
    assert "silent here" in await one.locator(f"[data-user='{who}'][data-stream='main'] .states").inner_text()
    assert not await axe.violations(one)
    assert await two.evaluate("room.peers[0].volume") == 100, "nobody else hears of it"

    await two.click("#screen")  # what comes later is as loud
    await until(one, "room.peers.length === 1")
    await two.click("#screen")
    await until(one, "room.peers.length === 2")
    assert await one.evaluate(f"{heard}.map((audio) => audio.muted)") == [True, True]
    assert await two.locator(".own .plate").is_disabled()
    assert not complaints(one) + complaints(two)
    await close(one)
    await close(two)


async def test_moderator_disconnects_bans_and_ends_the_room(hub: Served, chromium: Browser) -> None:
    host = await join(chromium, invited(hub, "host", "order", moderator=True), name="Hanna")
    guest = await join(chromium, invited(hub, "guest", "order"), name="Gert")
    title, detail = guest.locator("#ended-title"), guest.locator("#ended-detail")
    await until(host, "room.peers.length === 1")

    await act(host, "Gert", "Disconnect…")
    assert await host.locator("#confirm-title").text_content() == "Disconnect Gert?"
    await host.get_by_role("button", name="Cancel", exact=True).click()
    await act(host, "Gert", "Remove from the room…")
    await host.get_by_label("Words for them").fill("The meeting is over.")
    await host.get_by_role("button", name="Remove", exact=True).click()
    await until(guest, "room.reason === 'removed'")
    assert await title.text_content() == "You were removed from the room"
    assert await detail.text_content() == "The meeting is over."
    await toasted(host, "Gert was removed.")

    await guest.get_by_role("button", name="Join again").click()
    await until(guest, "room.state === 'connected'")
    await act(host, "Gert", "Disconnect…")
    await host.get_by_role("button", name="Disconnect", exact=True).click()
    await until(guest, "room.reason === 'kicked'")

    await guest.get_by_role("button", name="Join again").click()
    await until(guest, "room.state === 'connected'")
    await act(host, "Gert", "Ban…")
    await host.get_by_label("How long").select_option("1 hour")
    await host.get_by_role("button", name="Ban", exact=True).click()
    await until(guest, "room.reason === 'banned'")
    assert hub.hub is not None
    assert hub.hub.rooms.exclusions.banned("order", time.monotonic() + 3500) == ["guest"]
    await guest.get_by_role("button", name="Try again").click()
    await until(guest, "room.reason === 'banned'")
    await close(guest)
    assert hub.hub.rooms.exclusions.banned("order", time.monotonic() + 3700) == []  # asking lifts it

    other = await join(chromium, invited(hub, "other", "order"), name="Olga")
    await host.get_by_role("button", name="End the call for everybody").click()
    await host.get_by_label("Words for them").fill("We close.")
    await host.locator("#confirm-yes").click()
    for page in (host, other):
        await until(page, "room.reason === 'room-closed'")
        assert await page.locator("#ended-detail").text_content() == "We close."
        await close(page)


async def test_one_browser_rings_another_in_another_room(hub: Served, chromium: Browser) -> None:
    hall = await join(chromium, hub.url("hall"), name="Anna")
    kitchen = await join(chromium, hub.url("kitchen"), name="Boris")
    boris = await user_id(kitchen)
    await hall.click("#open-call")
    await hall.get_by_label("User id").fill(boris)
    await hall.keyboard.press("Enter")
    await until(kitchen, "room.control.ringing.length === 1 && room.control.tone === 'ringing'")
    await until(hall, "room.control.calling.state === 'received' && room.control.tone === 'calling'")
    assert await kitchen.get_by_role("alert").filter(has_text="Anna is calling").is_visible()
    assert (await kitchen.title()).startswith("☎ Anna is calling")

    await kitchen.get_by_role("button", name="Refuse").click()
    await toasted(hall, "they don't take the call.")
    await until(hall, "!room.control.calling && room.control.tone === ''")
    await until(kitchen, "room.control.tone === ''")

    await hall.locator("#contacts").get_by_role("button", name="Call: ").click()
    await kitchen.get_by_role("button", name="Accept").click()
    await until(kitchen, "room.control.room === 'hall' && room.peers.length === 1")
    assert kitchen.url.split("?")[0].endswith("/join/hall")
    await until(hall, f"room.peers[0].userId === '{boris}' && room.peers[0].video.frames > 2")
    await until(kitchen, "room.peers[0].video.frames > 2 && room.control.talking")
    await until(hall, "room.control.talking")

    await hall.get_by_role("button", name="Hang up").click()
    await until(kitchen, "room.control.room === 'kitchen' && room.peers.length === 0 && !room.control.talking")
    await toasted(kitchen, "Anna hung up.")
    await until(hall, "room.peers.length === 0 && !room.control.talking && room.state === 'connected'")
    assert complaints(hall) == complaints(kitchen) == []
    await close(kitchen)
    await close(hall)


async def test_unit_is_rung_and_rings(hub: Served, chromium: Browser) -> None:
    page = await join(chromium, hub.url("yard"), name="Anna")
    anna = await user_id(page)
    async with unit(hub, "front-door") as door:
        await page.click("#open-call")
        await page.get_by_label("User id").fill("front-door")
        await page.locator("#dial-call").click()
        invitation = (await door.heard(InvitationReceived)).invitation
        assert json.loads(invitation.content) == {"kind": "call", "room": "yard"}
        assert invitation.caller_id == anna
        await until(page, "room.control.calling.state === 'received'")
        await invitation.accept()
        await door.client.join("yard", "front-door")
        await until(page, "room.peers.length === 1 && room.control.talking.peer === 'front-door'")
        await page.get_by_role("button", name="Hang up").click()
        ended = json.loads((await door.heard(PeerMessage)).message.text)
        assert ended == {"kind": "call-ended", "invitation": invitation.invitation_id, "reason": "hang-up"}
        await door.client.leave()

        call = door.client.create_invitation(anna, json.dumps({"kind": "call", "room": "yard"}))
        await call.send()
        await page.get_by_role("button", name="Refuse").click()
        assert (await door.heard(InvitationRefused)).response == "declined"

        call = door.client.create_invitation(anna, json.dumps({"kind": "call", "room": "yard"}))
        await call.send()
        await until(page, "room.control.ringing.length === 1")
        await call.cancel()
        await until(page, "room.control.missed.length === 1 && room.control.ringing.length === 0")
        await toasted(page, "You missed a call of Front-Door.")
        assert await page.locator("#open-call").get_attribute("aria-label") == "Call, 1 missed call"
        await page.locator("#missed").get_by_role("button", name="Call back").click()
        await (await door.heard(InvitationReceived, 2)).invitation.refuse("do-not-disturb")
        await toasted(page, "they don't want to be disturbed now.")
        await page.get_by_role("button", name="Clear").click()
        await until(page, "room.control.missed.length === 0")

        # Both at once: the smaller id's call stands, which is the door's.
        call = door.client.create_invitation(anna, json.dumps({"kind": "call", "room": "yard"}))
        await page.locator("#contacts").get_by_role("button", name="Call: Front-Door").click()
        await until(page, "room.control.calling.state === 'received'")
        await call.send()
        await door.heard(InvitationAccepted, 2)
        await until(page, "!room.control.calling && room.control.talking.peer === 'front-door'")

    await until(page, "room.control.people.find((one) => one.userId === 'front-door').state === 'OFFLINE'")
    await page.get_by_label("User id").fill("front-door")
    await page.locator("#dial-call").click()
    await toasted(page, "they are not online.")
    assert complaints(page) == []
    await close(page)


async def test_a_whole_unit_answers_and_calls(chromium: Browser, tmp_path: Path) -> None:
    async with demo(tmp_path) as unit:
        await unit.connected()
        page = await join(chromium, unit.room_url(), name="Anna")
        await until(page, "room.control.people[0].userId === room.peers[0].userId && room.control.mayModerate")
        await page.click("#open-call")
        await page.locator("#contacts").get_by_role("button", name="Call: ").click()
        await unit.until(lambda now: now["call"]["phase"] == "ringing-in")
        await unit.post("/api/answer")
        await until(page, "room.control.talking?.peer === room.peers[0].userId")
        await unit.post("/api/hangup")
        await toasted(page, "hung up.")
        await unit.post("/api/call", {"peers": [await user_id(page)]})
        await page.get_by_role("button", name="Accept").click()
        await unit.until(lambda now: now["call"]["phase"] == "in-call")
        await page.get_by_role("button", name="Hang up").click()
        state = await unit.until(lambda now: now["call"]["phase"] == "idle")
        assert state["call"]["reason"] == "peer-hung-up"
        await until(page, "!room.control.talking && room.state === 'connected'")
        assert complaints(page) == []
        await close(page)


async def test_messages_reach_one_or_all_and_say_when_they_do_not(hub: Served, chromium: Browser) -> None:
    one = await join(chromium, hub.url("talk"), name="Anna")
    async with unit(hub, "door") as door, tcp_proxy(hub.port) as proxy:
        two = await join(chromium, f"http://127.0.0.1:{proxy.port}/join/talk", name="Boris")
        boris = await user_id(two)
        await door.client.join("talk", "door")
        await until(one, "room.peers.length === 2")
        await one.click("#open-chat")
        await one.get_by_role("textbox", name="Message").fill("Hello\n<b>all</b>")
        await one.keyboard.press("Enter")
        await until(two, "room.control.messages[0].text === 'Hello\\n<b>all</b>' && room.control.messages[0].to === ''")
        wire = json.loads((await door.heard(PeerMessage)).message.text)
        assert wire == {"kind": "chat", "room": "talk", "text": "Hello\n<b>all</b>"}
        await toasted(two, "Anna: Hello")
        assert await two.locator("#chat-badge").text_content() == "1"
        await two.click("#open-chat")
        assert not await two.locator("#chat-badge").is_visible()
        assert "<b>all</b>" in (await two.locator("#chat-log").text_content() or "")

        await one.get_by_label("To", exact=True).select_option(boris)
        await one.get_by_role("textbox", name="Message").fill("for you alone")
        await one.keyboard.press("Enter")
        await until(two, "room.control.messages.length === 2")
        assert "to you" in (await two.locator("#chat-log li").nth(1).text_content() or "")
        await until(one, "!room.control.messages[1].pending && room.control.messages[1].missing.length === 0")
        assert len(door.of(PeerMessage)) == 1

        await one.get_by_role("textbox", name="Message").fill("ä" * (16 * 1024 + 5))
        assert await one.locator("#chat-problem").text_content() == "Too long by 10 bytes."
        await one.keyboard.press("Enter")
        assert await one.evaluate("room.control.messages.length") == 2

        proxy.black_hole()
        await one.get_by_role("textbox", name="Message").fill("too late")
        await one.keyboard.press("Enter")
        await until(one, f"room.control.messages[2]?.missing[0] === '{boris}'")
        await one.locator("#chat-log").get_by_text("Not delivered to Boris").wait_for()
        await door.client.send_peer_message(await user_id(one), "as plain text")
        await until(one, "room.control.messages[3]?.text === 'as plain text' && room.control.messages[3].to")
        await proxy.restore()
        await until(two, "room.state === 'connected'")
    await close(two)
    await close(one)


async def test_new_name_is_everybodys_news(hub: Served, chromium: Browser) -> None:
    one = await join(chromium, hub.url("names"), name="Anna")
    two = await join(chromium, hub.url("names"), name="Boris")
    await until(two, "room.peers.length === 1")
    await one.click("#open-people")
    await one.get_by_label("You are called").fill("Anna Berg")
    await one.get_by_role("button", name="Save").click()
    await until(two, "room.peers[0].name === 'Anna Berg'")
    await toasted(two, "Anna is now called Anna Berg")
    assert await one.locator(".own .name").text_content() == "Anna Berg (you)"
    await until(one, "Object.values(room.control.reported).length === 2")  # everybody's network
    await until(two, "document.querySelector('.tile:not(.own)').dataset.bars > 0")
    await close(two)
    await close(one)


async def test_listener_of_a_live_room_takes_part_and_steps_back(hub: Served, chromium: Browser) -> None:
    host = await join(chromium, hub.url("stage"), name="Hanna", query="&profile=live")
    page = await join(chromium, hub.url("stage"), name="Gert", query="&role=audience")
    await until(page, "room.control.profile === 'live' && room.peers[0].video.frames > 2")
    assert await host.evaluate("room.peers.length") == 0
    assert await page.locator("#listening").is_visible()
    assert not await page.locator("#mic").is_visible()
    assert await page.locator(".own").count() == 0
    await until(page, "room.peers[0].video.frames > 20")
    received = (await page.evaluate("room.stats()"))["downlinks"]
    third = await join(chromium, hub.url("stage"), name="Olga")
    await until(third, "room.peers.length === 1")
    frames = await page.evaluate("room.peers[0].video.frames")
    await until(page, f"room.peers.find((peer) => peer.name === 'Hanna').video.frames > {frames} + 5")
    again = (await page.evaluate("room.stats()"))["downlinks"]
    for key, counts in received.items():  # the roster changed, the leg went on: a new one would count from 0
        assert again[key]["packets"] > counts["packets"] > 0

    await page.get_by_role("button", name="Take part").first.click()
    await until(host, "room.peers.some((peer) => peer.name === 'Gert' && peer.video?.frames > 2)")
    await page.click("#open-people")
    await page.get_by_role("button", name="Only listen").click()
    await until(host, "!room.peers.some((peer) => peer.name === 'Gert')")
    await toasted(host, "Gert only listens now")
    await until(page, "room.control.role === 'audience' && room.peers.length === 2")
    assert complaints(page) == []
    for one in (page, third, host):
        await close(one)


async def test_demo_renews_its_guests_token(chromium: Browser) -> None:
    served = Served(HubSettings(demo_tokens=True, token_ttl_s=31))
    await served.start()
    page = await join(chromium, served.url(), name="Anna")
    guest = await user_id(page)
    await toasted(page, "Your invitation was renewed.")
    assert await user_id(page) == guest
    assert not await page.locator("#renewal").is_visible()
    await close(page)
    await served.stop()


async def test_invitation_near_its_end_counts_down_and_another_one_helps(hub: Served, chromium: Browser) -> None:
    page = await join(chromium, invited(hub, "anna", "time", ttl_s=25), name="Anna")
    await until(page, "room.control.tokenLeft > 15")
    assert await page.get_by_role("alert").filter(has_text="Your invitation ends soon.").is_visible()
    assert await axe.violations(page) == []
    await page.get_by_label("Another invitation").fill(invited(hub, "boris", "time"))
    await page.get_by_role("button", name="Use", exact=True).click()
    await toasted(page, "This invitation is for somebody else or for another room.")
    await page.get_by_label("Another invitation").fill(invited(hub, "anna", "time"))
    await page.get_by_role("button", name="Use", exact=True).click()
    await until(page, "room.control.tokenLeft === null")
    await page.reload()
    await until(page, "room.state === 'connected' && room.userId === 'anna'")
    await close(page)


async def test_past_the_grace_the_end_is_said(hub: Served, chromium: Browser) -> None:
    page = await join(chromium, invited(hub, "late", "time", ttl_s=2), name="Late")
    await page.get_by_text("Your invitation is over.").wait_for()
    await until(page, "room.reason === 'token-expired'")
    assert await page.locator("#ended-title").text_content() == "This invitation has expired"
    assert await page.get_by_role("textbox", name="Invitation link").is_visible()
    await close(page)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nobody_is_kept_out(hub: Served, chromium: Browser, language: str, scheme: str) -> None:
    """axe finds nothing in any state; on a phone nothing is wider than the screen."""
    look = {"locale": language, "color_scheme": scheme, "viewport": {"width": 390, "height": 844}}
    other = await join(chromium, hub.url("axe"), name="Boris")
    page = await open_page(chromium, hub.url("axe"), **look)
    word = {"en": "Join", "zh": "加入"}[language]
    await page.fill("#name", "Anna")
    assert await axe.violations(page) == []
    await page.get_by_role("button", name=word, exact=True).click()
    await until(page, "room.state === 'connected' && room.peers.length === 1")
    await other.click("#open-call")
    await other.get_by_label("User id").fill(await user_id(page))
    await other.locator("#dial-call").click()
    await until(page, "room.control.ringing.length === 1")
    assert await axe.violations(page) == []
    await page.locator(".ringing .button.danger").click()
    for name in ("call", "chat", "people"):
        await page.click(f"#open-{name}")
        assert await axe.violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.locator("#members button").click()
    assert await axe.violations(page) == []
    await page.locator("#member-actions [data-key=ban]").click()
    assert await axe.violations(page) == []
    await page.keyboard.press("Escape")
    await page.click("#leave")
    await until(page, "room.state === 'ended'")
    assert await axe.violations(page) == []
    assert complaints(page) == []
    await close(page)
    await close(other)


async def test_a_switch_of_language_is_kept_and_keeps_the_address(hub: Served, chromium: Browser) -> None:
    page = await open_page(chromium, f"{hub.url('words')}?codec=vp8")
    await page.get_by_role("link", name="简体中文").click()
    await page.get_by_role("button", name="加入").wait_for()
    assert "codec=vp8" in page.url
    await page.goto(hub.url("words"))
    await page.get_by_role("button", name="加入").wait_for()
    await close(page)
