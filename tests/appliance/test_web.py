"""The web side over real HTTP: who gets in, what is refused and how, the event stream, the virtual panel."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

import av
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from appliance import event_stream
from appliance.api import MuteRequest, NoFields
from appliance.config import Config
from appliance.events import Bus
from appliance.hub.tokens import TokenSigner
from appliance.invitation import Invitations
from appliance.panel import ButtonRequest, PanelHardware
from appliance.room.events import NetworkQuality, NetworkQualityChanged, PeerJoined
from appliance.session import Session
from appliance.state import UnitState, describe
from appliance.supervisor import Health
from appliance.unit_events import MuteChanged
from appliance.web import Unit, build
from appliance.web_access import Access
from hw.mock import MockButtons, MockLeds
from provisioning.auth import Auth
from provisioning.auth_routes import ClaimRequest, LoginRequest, TokenRequest
from provisioning.http_json import BodyError, decode_body
from provisioning.portal import Portal
from provisioning.visitor import visitor
from tests.appliance.unit import MockDevices, idle_intercom, new_session, running, until
from tests.provisioning.owner import claimed, new_auth

TOKEN = {"Authorization": "Bearer good"}
PROTECTED = ["/api/state", "/api/events", "/panel/events", "/panel/camera.jpg", "/panel/peer.jpg", "/panel/speaker.wav"]
CHANGES = ["/api/mute", "/api/volume", "/api/talk", "/api/join", "/api/leave", "/api/resume", "/panel/buttons/mute"]

Client = TestClient[web.Request, web.Application]


@dataclass
class Site:
    http: Client
    session: Session
    bus: Bus
    devices: MockDevices
    leds: MockLeds
    buttons: MockButtons
    health: dict[str, Health]
    auth: Auth

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.http.port}"


@asynccontextmanager
async def open_site(
    *, open_pages: bool = True, loopback_only: bool = True, patience_s: float = 0.2
) -> AsyncIterator[Site]:
    devices, leds, buttons = MockDevices(), MockLeds(), MockButtons()
    session, bus = new_session("ws://127.0.0.1:9/hub/ws", devices, auto_join=False)
    intercom = idle_intercom(session, bus)
    health: dict[str, Health] = {"session": "ok"}
    auth = await claimed(new_auth())

    def state() -> UnitState:
        patterns = {"mute": "on" if session.is_muted("audio") else "off"}
        return describe(session, intercom, bus, name="Door", version="9", panel=True, leds=patterns, health=health)

    application = build(
        Unit(
            session,
            intercom,
            bus,
            state,
            lambda: health,
            Invitations(Config, TokenSigner(bytes(32))),
            lambda: None,
            PanelHardware(leds, buttons, devices.speaker),
        ),
        Portal(
            unit_name=lambda: "Door",
            is_signed_in=lambda request: visitor(request).may("admin"),
            version="9",
            has_panel=True,
        ),
        Access(
            auth,
            lambda: frozenset({"door.local"}),
            loopback_only=loopback_only,
            open_pages=open_pages,
        ),
        [],
    )
    server = TestServer(application)
    await server.start_server(shutdown_timeout=patience_s)
    async with TestClient(server) as http, running(session):
        await until(lambda: session.devices is not None and len(session.devices.working) == 3)
        yield Site(http, session, bus, devices, leds, buttons, health, auth)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with open_site() as opened:
        yield opened


async def error(response: ClientResponse) -> dict[str, str]:
    assert response.content_type == "application/json"
    problem: dict[str, str] = (await response.json())["error"]
    assert problem["code"]
    assert problem["message"]
    return problem


async def messages(response: ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """(event, data) of a stream; comments and `retry` are left out."""
    name = ""
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


# --- who gets in


@pytest.mark.parametrize("path", PROTECTED)
async def test_nothing_is_told_without_a_token(site: Site, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer bad"}, {"Authorization": "Basic good"}):
        async with site.http.get(path, headers=headers) as response:
            assert response.status == 401
            assert (await error(response))["code"] == "unauthorized"


@pytest.mark.parametrize("path", CHANGES)
async def test_nothing_is_changed_without_a_token(site: Site, path: str) -> None:
    async with site.http.post(path, json={"audio": True, "action": "press"}) as response:
        assert response.status == 401
    assert not site.session.is_muted("audio")
    assert not site.session.attendance.wanted
    assert not site.buttons.pressed


async def test_a_page_of_the_demo_may_use_the_api_by_its_cookie(site: Site) -> None:
    async with site.http.get("/") as page:
        session, token = page.headers.getall("Set-Cookie")
    assert "HttpOnly" in session
    assert "SameSite=Strict" in session
    assert "SameSite=Strict" in token
    csrf = {"X-CSRF-Token": SimpleCookie(token)[f"room_appliance_csrf_{site.http.port}"].value}
    async with site.http.get("/api/state") as response:
        assert response.status == 200
    async with site.http.get("/panel") as page:
        assert "Set-Cookie" not in page.headers  # it has one
    async with site.http.post("/api/mute", json={"audio": True}, headers=csrf) as response:
        assert (await error(response))["code"] == "origin"  # a browser always says where a change comes from
    headers = {"Origin": site.origin}
    async with site.http.post("/api/mute", json={"audio": True}, headers=headers) as response:
        assert (await error(response))["code"] == "csrf"
    async with site.http.post("/api/mute", json={"audio": True}, headers={**headers, **csrf}) as response:
        assert response.status == 200
    assert site.session.is_muted("audio")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://[::1"},
    ],
)
async def test_pages_of_other_sites_change_nothing(site: Site, headers: dict[str, str]) -> None:
    async with site.http.post("/api/mute", json={"audio": True}, headers={**TOKEN, **headers}) as response:
        assert response.status == 403
        assert (await error(response))["code"] == "origin"
    assert not site.session.is_muted("audio")


async def test_without_open_pages_the_owners_pages_send_strangers_to_the_login() -> None:
    async with open_site(open_pages=False) as site:
        for path in ("/", "/panel"):
            async with site.http.get(path, allow_redirects=False) as page:
                assert (page.status, page.headers["Location"]) == (303, f"/login?next={path}")
                assert "Set-Cookie" not in page.headers
        async with site.http.post("/api/auth/login", json={"token": "good"}) as response:
            assert response.status == 200
        async with site.http.get("/", allow_redirects=False) as page:
            assert page.status == 200
        async with site.http.get("/api/state") as response:
            assert response.status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "door.local",
        "192.168.1.4",
        "127.0.0.1.evil.example",
        "",
        "127.0.0.1:80, evil.example",
        "127.0.0.1:80@evil.example",
        "127.0.0.1:port",
        "[::1",
        "localhost/",
    ],
)
async def test_the_demo_answers_to_loopback_names_only(site: Site, host: str) -> None:
    async with site.http.get("/", headers={"Host": host}) as response:
        assert response.status == 403
        assert (await error(response))["code"] == "host"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("door.local", 200),
        ("DOOR.local:8080", 200),
        ("192.168.1.4:8080", 200),
        ("[fe80::1]:8080", 200),
        ("localhost", 200),
        ("other.local", 403),
        ("evil.example:8080", 403),
    ],
)
async def test_a_unit_answers_to_its_names_and_to_addresses(host: str, status: int) -> None:
    async with open_site(loopback_only=False) as site, site.http.get("/healthz", headers={"Host": host}) as response:
        assert response.status == status


def test_a_unit_answers_to_the_name_that_it_got_meanwhile() -> None:
    names: set[str] = set()
    access = Access(new_auth(), lambda: frozenset(names), loopback_only=False)
    assert not access.may_host("porch.local:8080")
    names.add("porch.local")  # Improv set it
    assert access.may_host("porch.local:8080")


@pytest.mark.parametrize("path", ["/", "/panel", "/static/home.js", "/api/state", "/nothing", "/api/nothing"])
async def test_every_answer_carries_the_security_headers(site: Site, path: str) -> None:
    async with site.http.get(path, headers=TOKEN) as response:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "aiohttp" not in response.headers["Server"]


async def test_what_is_not_there_is_said_in_json(site: Site) -> None:
    async with site.http.get("/api/nothing", headers=TOKEN) as response:
        assert response.status == 404
        assert (await error(response))["code"] == "not-found"
    async with site.http.get("/api/mute", headers=TOKEN) as response:
        assert response.status == 405
        assert (await error(response))["code"] == "method-not-allowed"
        assert response.headers["Allow"] == "POST"


# --- the API


async def test_push_to_talk_over_http(site: Site) -> None:
    async def talk(**wish: object) -> dict[str, Any]:
        async with site.http.post("/api/talk", json=wish, headers=TOKEN) as response:
            return {"status": response.status, **await response.json()}

    await site.session.gates.set("audio", True)
    assert (await talk(on=True))["mute"]["audio"] is False
    assert (await talk(on=False))["mute"]["audio"] is True
    assert (await talk(on=True, seconds=0.1))["mute"]["audio"] is False
    await until(lambda: site.session.is_muted("audio"), "a client that is gone lets go")
    assert (await talk(on=True, seconds=3600))["status"] == 400
    assert site.session.is_muted("audio")


async def test_a_unit_with_nothing_to_share_says_so(site: Site) -> None:
    async with site.http.post("/api/screen", json={"shared": True}, headers=TOKEN) as response:
        assert response.status == 409
        assert (await error(response))["code"] == "nothing-to-share"
    async with site.http.post("/api/screen", json={"shared": False}, headers=TOKEN) as response:
        assert response.status == 202
        assert (await response.json())["screen"] == {"available": False, "wished": False, "shared": False, "error": ""}


async def test_the_state(site: Site) -> None:
    site.bus.publish(NetworkQualityChanged(uplink=NetworkQuality.GOOD, downlink=NetworkQuality.POOR))
    async with site.http.get("/api/state", headers=TOKEN) as response:
        state = await response.json()
    assert set(state) == {
        "device", "connection", "room", "user_id", "call", "mute", "screen", "sound", "network_quality", "peers",
        "video", "leds", "health", "stages", "taken_back",
    }  # fmt: skip
    assert state["device"] == {"name": "Door", "version": "9", "microphone": True, "camera": True, "panel": True}
    assert state["connection"]["state"] == "DISCONNECTED"
    assert state["room"] == "lobby"
    assert state["mute"] == {"audio": False, "video": False, "screen": False, "forced": []}
    assert state["network_quality"]["uplink"] == 0  # of the room before, if any
    assert state["leds"] == {"mute": "off"}
    assert state["health"] == {"session": "ok"}


async def test_mute_moves_the_gate_and_says_so(site: Site) -> None:
    async with site.http.post("/api/mute", json={"audio": True}, headers=TOKEN) as response:
        assert await response.json() == {"mute": {"audio": True, "video": False, "screen": False, "forced": []}}
    assert site.session.is_muted("audio")
    async with site.http.post("/api/mute", json={"audio": False, "screen": True}, headers=TOKEN) as response:
        assert await response.json() == {"mute": {"audio": False, "video": False, "screen": True, "forced": []}}


async def test_the_volume_of_a_user_is_set_and_bounded(site: Site) -> None:
    async with site.http.post("/api/volume", json={"user_id": "bob", "volume": 40}, headers=TOKEN) as response:
        assert await response.json() == {"user_id": "bob", "volume": 40}
    assert site.session.volume("bob") == 40
    assert site.session.playout is not None
    assert site.session.playout.add("bob").gain == 0.4
    async with site.http.post("/api/volume", json={"user_id": "bob", "volume": 101}, headers=TOKEN) as response:
        assert response.status == 400
    assert site.session.volume("bob") == 40


async def test_a_device_is_tried_again_at_once(site: Site) -> None:
    site.devices.camera.unplug()
    await until(lambda: site.session.lacks("video"))
    site.devices.camera.plug_in()
    async with site.http.post("/api/resume", json={"kind": "camera"}, headers=TOKEN) as response:
        assert response.status == 202
        told = await response.json()
    assert (told["kind"], told["works"]) == ("camera", False)
    assert "unplugged" in told["error"]
    await until(lambda: site.session.has("video"))
    async with site.http.post("/api/resume", json={"kind": "radio"}, headers=TOKEN) as response:
        assert response.status == 400
        assert (await error(response))["field"] == "$.kind"


@pytest.mark.parametrize(
    ("body", "words", "field"),
    [
        (b"", "not JSON", ""),
        (b"{", "not JSON", ""),
        (b"\xff\xfe", "not JSON", ""),
        (b"[" * 5000, "object", ""),
        (b"[]", "object", ""),
        (b"{}", "one at least", ""),
        (b'{"audio": 1}', "bool", "$.audio"),
        (b'{"video": null}', "bool", "$.video"),
        (b'{"audio": true, "sound": true}', "sound", "sound"),
    ],
)
async def test_a_bad_body_is_explained_and_changes_nothing(site: Site, body: bytes, words: str, field: str) -> None:
    async with site.http.post("/api/mute", data=body, headers=TOKEN) as response:
        assert response.status == 400
        problem = await error(response)
    assert words in problem["message"]
    assert problem.get("field", "") == field
    assert not site.session.is_muted("audio")


async def test_a_body_that_is_too_long_is_refused(site: Site) -> None:
    async with site.http.post("/api/mute", data=b" " * 20_000, headers=TOKEN) as response:
        assert response.status == 413
        await error(response)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["audio", "video", "action", "token"]), inner),
    max_leaves=5,
)


@given(body=st.binary(max_size=200) | _json.map(lambda value: json.dumps(value).encode()))
@pytest.mark.parametrize("cls", [MuteRequest, NoFields, ButtonRequest, ClaimRequest, LoginRequest, TokenRequest])
def test_a_body_is_what_was_asked_for_or_a_body_error(cls: type[Any], body: bytes) -> None:
    problem = ""
    try:
        assert isinstance(decode_body(body, cls, "this"), cls)
    except BodyError as exc:
        problem = str(exc)
    assert not problem or "allowed is this" in problem


async def test_join_and_leave(site: Site) -> None:
    async with site.http.post("/api/join", headers=TOKEN) as response:
        assert response.status == 202
    assert site.session.attendance.wanted
    await until(lambda: site.session.attendance.retry_at_s is not None)  # nobody is there
    async with site.http.get("/api/state", headers=TOKEN) as response:
        connection = (await response.json())["connection"]
    assert connection["error"]["code"] == "service-unavailable"
    assert connection["retry_at"] > connection["since"]
    async with site.http.post("/api/leave", json={}, headers=TOKEN) as response:
        assert response.status == 200
        assert (await response.json())["connection"]["state"] == "DISCONNECTED"
    assert not site.session.attendance.wanted
    async with site.http.post("/api/join", json={"room": "other"}, headers=TOKEN) as response:
        assert response.status == 400
        assert (await error(response))["field"] == "room"


async def test_health_is_open_to_everybody_and_says_little(site: Site) -> None:
    async with site.http.get("/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})
    site.health["session"] = "failed: no pictures"
    async with site.http.get("/healthz") as response:
        assert (response.status, await response.json()) == (503, {"status": "failed"})


# --- events


async def test_every_event_reaches_the_stream_in_order(site: Site) -> None:
    async with asyncio.timeout(5), site.http.get("/api/events", headers=TOKEN) as response:
        assert response.content_type == "text/event-stream"
        site.bus.publish(PeerJoined(user_id="anna", user_name="Anna\nB"))
        await site.session.gates.set("video", True)
        stream = messages(response)
        first, second = await anext(stream), await anext(stream)
    assert first == ("peer-joined", {"user_id": "anna", "user_name": "Anna\nB", "role": "host", "rejoined": False})
    assert second == ("mute-changed", {"audio": False, "video": True, "screen": False})


async def test_a_silent_stream_is_kept_alive(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.05)
    async with asyncio.timeout(5), site.http.get("/api/events", headers=TOKEN) as response:
        lines = [await response.content.readline() for _ in range(6)]
    assert lines.count(b": still here\n") == 2


async def test_whoever_was_logged_out_hears_no_more(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.05)
    async with site.http.get("/"):  # gives the cookie
        pass
    async with asyncio.timeout(5), site.http.get("/api/events") as response:
        await response.content.readline()
        site.auth.sessions.end_all()
        site.bus.publish(PeerJoined(user_id="anna"))
        assert b"anna" not in await response.content.read()  # it ends


async def test_too_many_streams_are_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MAX_STREAMS", 1)
    async with site.http.get("/api/events", headers=TOKEN), site.http.get("/api/events", headers=TOKEN) as second:
        assert second.status == 503
        await error(second)


async def test_the_end_of_the_server_ends_its_streams() -> None:
    async with open_site(patience_s=10) as site:
        response = await site.http.get("/api/events", headers=TOKEN)
        await response.content.readline()
        async with asyncio.timeout(2):
            await site.http.server.close()
        assert not [task for task in asyncio.all_tasks() if "panel" in task.get_name()]


# --- the panel


async def test_buttons_are_pressed_and_let_go(site: Site) -> None:
    async def act(name: str, action: str) -> tuple[int, dict[str, Any]]:
        async with site.http.post(f"/panel/buttons/{name}", json={"action": action}, headers=TOKEN) as response:
            return response.status, await response.json()

    assert await act("mute", "press") == (200, {"button": "mute", "pressed": True})
    assert await act("call", "press") == (200, {"button": "call", "pressed": True})
    assert site.buttons.pressed == {"mute", "call"}
    assert await act("mute", "release") == (200, {"button": "mute", "pressed": False})
    edges: list[tuple[str, bool]] = []
    site.buttons.start(lambda edge: edges.append((edge.button, edge.pressed)))
    assert await act("mute", "click") == (200, {"button": "mute", "pressed": False})
    assert edges == [("mute", True), ("mute", False)]
    assert (await act("doorbell", "press"))[0] == 404
    assert (await act("mute", "smash"))[0] == 400
    await site.http.server.close()
    assert not site.buttons.pressed  # the page that held `call` is gone


async def test_the_page_is_told_what_the_unit_shows(site: Site) -> None:
    seen: dict[str, Any] = {}
    site.bus.publish(PeerJoined(user_id="early"))
    async with asyncio.timeout(5), site.http.get("/panel/events", headers=TOKEN) as response:
        async for name, data in messages(response):
            if name == "event" and data["name"] == "peer-joined":
                seen[data["fields"]["user_id"]] = data
            elif name != "event":
                seen[name] = data
            if name == "state" and "late" not in seen:
                site.leds.set({"mute": 0.5})
                site.bus.publish(PeerJoined(user_id="late"))
            if {"early", "late", "meters"} <= set(seen) and seen["leds"]["mute"] == 0.5:
                break
    assert seen["state"]["device"]["name"] == "Door"
    assert seen["meters"].keys() == {"microphone", "speaker"}
    assert seen["early"]["at"] <= seen["late"]["at"]


async def test_the_own_camera_is_shown_while_its_gate_is_open(site: Site) -> None:
    async with site.http.get("/panel/camera.jpg", headers=TOKEN) as response:
        assert response.content_type == "image/jpeg"
        with av.open(io.BytesIO(await response.read()), "r") as jpeg:
            picture = next(jpeg.decode(video=0))
    assert (picture.width, picture.height) == (320, 240)
    await site.session.gates.set("video", True)
    async with site.http.get("/panel/camera.jpg", headers=TOKEN) as response:
        assert (response.status, await response.read()) == (204, b"")


async def test_a_peer_that_is_not_there_has_no_picture(site: Site) -> None:
    async with site.http.get("/panel/peer.jpg", params={"user": "nobody"}, headers=TOKEN) as response:
        assert (response.status, await response.read()) == (204, b"")


async def test_what_the_speaker_played_can_be_saved(site: Site) -> None:
    await until(lambda: site.devices.speaker.blocks >= 10)
    async with site.http.get("/panel/speaker.wav", headers=TOKEN) as response:
        assert response.content_type == "audio/wav"
        with wave.open(io.BytesIO(await response.read())) as wav:
            assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (1, 2, 48_000)
            assert wav.getnframes() >= 4800


async def test_the_gate_is_the_newest_retained_value(site: Site) -> None:
    await site.session.gates.set("audio", True)
    assert site.bus.latest(MuteChanged) == MuteChanged(audio=True, video=False, screen=False)
