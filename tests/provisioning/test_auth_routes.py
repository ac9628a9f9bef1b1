"""Claiming, logging in and out, the password and tokens: over real HTTP, behind the door of the unit."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from appliance.web_access import Access, guard
from provisioning.attempts import FREE_FAILURES
from provisioning.auth import Auth
from provisioning.auth_routes import AuthRoutes
from provisioning.http_routes import add_routes
from tests.provisioning.owner import PASSWORD, claimed, new_auth

OTHER = "battery staple"


@dataclass
class Browser:
    """One of a person: keeps cookies and sends what a page's script sends."""

    http: TestClient[web.Request, web.Application]
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def session_id(self) -> str:
        return self.cookies.get(f"room_appliance_{self.http.port}", "")

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        sent = {
            "Origin": f"http://127.0.0.1:{self.http.port}",
            "X-CSRF-Token": self.cookies.get(f"room_appliance_csrf_{self.http.port}", ""),
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }
        async with self.http.request(method, path, json=body, headers=sent | headers) as response:
            self._keep(response)
            text = await response.read()
            return response.status, await response.json() if text else None

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        return await self.send("POST", path, body, **headers)

    async def signed_in(self) -> bool:
        return bool((await self.send("GET", "/api/auth"))[1]["signed_in"])

    async def log_in(self, password: str = PASSWORD) -> int:
        return (await self.post("/api/auth/login", {"password": password}))[0]

    def _keep(self, response: ClientResponse) -> None:
        for name, morsel in response.cookies.items():
            if morsel.value:
                self.cookies[name] = morsel.value
            else:
                self.cookies.pop(name, None)


@asynccontextmanager
async def door(auth: Auth) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    application = web.Application(middlewares=[guard(Access(auth, frozenset, loopback_only=True))])
    add_routes(application, AuthRoutes(auth).routes())
    async with TestClient(TestServer(application), cookie_jar=DummyCookieJar()) as http:
        yield http


@pytest.fixture
async def auth() -> Auth:
    return await claimed(new_auth())


@pytest.fixture
async def http(auth: Auth) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async with door(auth) as opened:
        yield opened


@pytest.fixture
def owner(http: TestClient[web.Request, web.Application]) -> Browser:
    return Browser(http)


# --- claiming


async def test_the_claim_code_sets_the_password_once(tmp_path: Path) -> None:
    auth = new_auth(tmp_path)
    async with door(auth) as http:
        owner = Browser(http)
        unclaimed = {"claimed": False, "setup_mode": True, "signed_in": False, "scope": None}
        assert await owner.send("GET", "/api/auth") == (200, unclaimed)
        assert (await owner.post("/api/auth/login", {"password": PASSWORD}))[0] == 409
        status, state = await owner.post("/api/setup/claim", {"code": auth.claim.code.lower(), "password": PASSWORD})
        assert (status, state) == (200, {"claimed": True, "setup_mode": False, "signed_in": True, "scope": "admin"})
        assert await owner.signed_in()
        status, problem = await Browser(http).post("/api/setup/claim", {"code": auth.claim.code, "password": OTHER})
        assert (status, problem["error"]["code"]) == (403, "not-in-setup")
        assert await Browser(http).log_in() == 200
        assert await Browser(http).log_in(OTHER) == 401
    assert new_auth(tmp_path).claim.is_claimed  # after a restart


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({"code": "4F7-K2M-9XA", "password": PASSWORD}, 400, "code"),  # its check character does not fit
        ({"code": "000-000-000", "password": PASSWORD}, 403, "code"),
        ({"code": "", "password": PASSWORD}, 400, "code"),
        ({"code": "GOOD", "password": "short"}, 400, "password"),
        ({"code": "GOOD", "password": "x" * 129}, 400, "password"),
        ({"code": "GOOD"}, 400, ""),
    ],
)
async def test_a_wrong_claim_is_explained_and_changes_nothing(body: dict[str, str], status: int, where: str) -> None:
    auth = new_auth()
    async with door(auth) as http:
        code = auth.claim.code if body["code"] == "GOOD" else body["code"]
        got, problem = await Browser(http).post("/api/setup/claim", body | {"code": code})
        assert (got, problem["error"].get("field", "")) == (status, where)
    assert not auth.claim.is_claimed
    assert not auth.password.is_set


async def test_a_slip_of_the_pen_costs_no_attempt() -> None:
    auth = new_auth()
    async with door(auth) as http:
        for _ in range(5 * FREE_FAILURES):
            assert (await Browser(http).post("/api/setup/claim", {"code": "4F7", "password": PASSWORD}))[0] == 400
        assert (await Browser(http).post("/api/setup/claim", {"code": auth.claim.code, "password": PASSWORD}))[0] == 200


async def test_of_two_who_know_the_code_one_becomes_the_owner() -> None:
    auth = new_auth()
    async with door(auth) as http:
        wishes = [{"code": auth.claim.code, "password": f"password of {n}"} for n in range(3)]
        results = await asyncio.gather(*(Browser(http).post("/api/setup/claim", wish) for wish in wishes))
        assert sorted(status for status, _ in results) == [200, 403, 403]
        (first,) = (n for n, (status, _) in enumerate(results) if status == 200)
        assert await auth.password.verify(wishes[first]["password"])


async def test_a_forgotten_password_is_set_anew_in_set_up_mode_and_signs_everybody_out(
    auth: Auth, owner: Browser
) -> None:
    assert await owner.log_in() == 200
    claim = {"code": auth.claim.code, "password": OTHER}
    assert (await owner.post("/api/setup/claim", claim))[0] == 403
    auth.claim.reopen(time.monotonic())
    other = Browser(owner.http)
    assert (await other.send("GET", "/api/auth"))[1]["setup_mode"]
    assert (await other.post("/api/setup/claim", claim))[0] == 200
    assert await other.signed_in()
    assert not await owner.signed_in()
    assert await owner.log_in() == 401
    assert await owner.log_in(OTHER) == 200
    assert (await other.post("/api/setup/claim", claim))[0] == 403  # once


# --- sessions


async def test_each_log_in_gives_a_new_session_and_ends_the_one_before(owner: Browser) -> None:
    planted = "A" * 43
    owner.cookies[f"room_appliance_{owner.http.port}"] = planted  # fixation: somebody else knows this id
    assert await owner.log_in() == 200
    first = owner.session_id
    assert first != planted
    assert await owner.log_in() == 200
    assert owner.session_id not in (first, planted)
    for stale in (planted, first):
        assert not await Browser(owner.http, {f"room_appliance_{owner.http.port}": stale}).signed_in()


async def test_the_cookie_is_for_this_unit_alone_and_for_no_script(owner: Browser) -> None:
    async with owner.http.post("/api/auth/login", json={"password": PASSWORD}) as response:
        session, token = response.headers.getall("Set-Cookie")
    assert {"HttpOnly", "Path=/", "SameSite=Strict"} <= set(session.split("; "))
    assert "Domain" not in session
    assert {"Path=/", "SameSite=Strict"} <= set(token.split("; "))
    assert "HttpOnly" not in token  # the pages' scripts send it back


async def test_whoever_logged_out_is_out_with_the_old_cookie_too(owner: Browser) -> None:
    await owner.log_in()
    kept = dict(owner.cookies)
    assert (await owner.post("/api/auth/logout"))[0] == 204
    assert owner.cookies == {}
    assert not await Browser(owner.http, kept).signed_in()
    assert (await owner.post("/api/auth/logout"))[0] == 401


async def test_the_owner_logs_out_everywhere(owner: Browser) -> None:
    other = Browser(owner.http)
    await owner.log_in()
    await other.log_in()
    assert (await owner.post("/api/auth/logout", {"everywhere": True}))[0] == 204
    assert not await other.signed_in()


async def test_a_new_password_signs_the_others_out_and_gives_the_owner_a_new_session(owner: Browser) -> None:
    other = Browser(owner.http)
    await owner.log_in()
    await other.log_in()
    before = owner.session_id
    status, problem = await owner.post("/api/auth/password", {"current": OTHER, "new": OTHER})
    assert (status, problem["error"]["field"]) == (403, "current")
    status, problem = await owner.post("/api/auth/password", {"current": PASSWORD, "new": "short"})
    assert (status, problem["error"]["field"]) == (400, "new")
    assert await other.signed_in()
    assert (await owner.post("/api/auth/password", {"current": PASSWORD, "new": OTHER}))[0] == 204
    assert owner.session_id not in ("", before)
    assert await owner.signed_in()
    assert not await other.signed_in()
    assert await other.log_in() == 401
    assert await other.log_in(OTHER) == 200


async def test_a_restart_signs_nobody_out(tmp_path: Path) -> None:
    auth = await claimed(new_auth(tmp_path))
    async with door(auth) as http:
        owner = Browser(http)
        await owner.log_in()
        session_id = owner.session_id
    async with door(new_auth(tmp_path)) as http:
        assert await Browser(http, {f"room_appliance_{http.port}": session_id}).signed_in()


# --- tokens


async def test_a_token_is_shown_once_does_what_its_scope_says_and_is_revoked(owner: Browser) -> None:
    await owner.log_in()
    status, made = await owner.post("/api/auth/tokens", {"name": "Dashboard", "scope": "read"})
    assert status == 201
    bearer = {"Authorization": f"Bearer {made['token']}"}
    machine = Browser(owner.http)
    assert (await machine.send("GET", "/api/auth", **bearer))[1]["scope"] == "read"
    status, problem = await machine.send("GET", "/api/auth/tokens", **bearer)
    assert (status, problem["error"]["code"]) == (403, "scope")
    (listed,) = (await owner.send("GET", "/api/auth/tokens"))[1]["tokens"]
    assert listed["last_used"] is not None
    assert "token" not in listed
    assert "digest" not in listed
    assert (listed["id"], listed["name"], listed["scope"]) == (made["id"], "Dashboard", "read")
    assert (await owner.send("DELETE", f"/api/auth/tokens/{made['id']}"))[0] == 204
    assert (await owner.send("DELETE", f"/api/auth/tokens/{made['id']}"))[0] == 404
    assert not (await machine.send("GET", "/api/auth", **bearer))[1]["signed_in"]


async def test_a_page_that_a_token_opened_has_its_scope_and_ends_with_it(owner: Browser) -> None:
    await owner.log_in()
    _, made = await owner.post("/api/auth/tokens", {"name": "Tablet", "scope": "control"})
    tablet = Browser(owner.http)
    status, state = await tablet.post("/api/auth/login", {"token": made["token"]})
    assert (status, state["scope"]) == (200, "control")
    assert (await tablet.post("/api/auth/tokens", {"name": "More", "scope": "admin"}))[0] == 403
    assert (await tablet.post("/api/auth/logout", {"everywhere": True}))[0] == 403
    assert await tablet.signed_in()
    await owner.send("DELETE", f"/api/auth/tokens/{made['id']}")
    assert not await tablet.signed_in()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"password": "", "token": ""},
        {"password": PASSWORD, "token": "good"},
        {"user": "admin", "password": "admin"},
    ],
)
async def test_a_log_in_needs_one_of_password_and_token(owner: Browser, body: dict[str, str]) -> None:
    assert (await owner.post("/api/auth/login", body))[0] == 400


# --- guesses


async def test_guesses_are_slowed_down_and_told_when_to_try_again(
    owner: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    for guess in ("password", "12345678", "admin"):
        assert await owner.log_in(guess) == 401
    async with owner.http.post("/api/auth/login", json={"password": PASSWORD}) as response:
        assert response.status == 429  # a good one waits too
        assert int(response.headers["Retry-After"]) in (1, 2)
    async with owner.http.post("/api/auth/login", json={"token": "good"}) as response:
        assert response.status == 429
    wrong = [record.getMessage() for record in caplog.records if "wrong guess" in record.getMessage()]
    assert wrong == ["a wrong guess from 127.0.0.1: this is not the owner's password"] * 3


# --- what is kept


async def test_what_was_decided_last_is_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two visitors at once: the first one's writing is slow, and yet the second one's stands at the end."""
    auth = await claimed(new_auth(tmp_path))
    auth.sessions.begin("admin", time.monotonic())
    slow, write, is_first = threading.Event(), auth.sessions.save, True

    def save(snapshot: bytes) -> None:
        nonlocal is_first
        if is_first:
            is_first = False
            slow.wait(5)
        write(snapshot)

    monkeypatch.setattr(auth.sessions, "save", save)
    first = asyncio.create_task(auth.save(), name="first")
    await asyncio.sleep(0)
    auth.sessions.end_all()
    second = asyncio.create_task(auth.save(), name="second")
    await asyncio.sleep(0)
    slow.set()
    await asyncio.gather(first, second)
    assert (tmp_path / "sessions.json").read_bytes() == b"[]"


async def test_a_disk_that_refuses_lets_the_owner_in_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    auth = await claimed(new_auth(tmp_path))

    def refuse(_snapshot: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(auth.sessions, "save", refuse)
    async with door(auth) as http:
        owner = Browser(http)
        assert await owner.log_in() == 200
        assert await owner.signed_in()
    assert "cannot be kept" in caplog.text
