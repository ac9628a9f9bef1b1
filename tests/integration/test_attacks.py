"""Attacks on a running unit that is claimed, over raw sockets where a client library would be too polite.

The program is `room-appliance run` on mock hardware, so everything between the socket and the disk is real.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.programs import API_TOKEN, Unit, appliance, free_port

PASSWORD = "correct horse"
CONFIG = """
[audio]
driver = "mock"
[video]
driver = "mock"
width = 320
height = 240
fps = 5
[gpio]
driver = "mock"
[room]
auto_join = false
[wifi]
setup_network = "off"
[web]
host = "127.0.0.1"
tls = "off"
port = {port}
"""
STEP_S = 5.0


@dataclass(frozen=True)
class Answer:
    """What came back; `status` 0: the unit hung up without a word."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def all_of(self, name: str) -> list[str]:
        return [value for known, value in self.headers if known == name.lower()]

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["error"]["code"])

    @property
    def cookies(self) -> dict[str, str]:
        return dict(value.partition(";")[0].split("=", 1) for value in self.all_of("set-cookie"))


@dataclass(frozen=True)
class Target:
    unit: Unit
    code: str  # the claim code

    @property
    def origin(self) -> str:
        return self.unit.url

    async def raw(self, request: bytes, timeout_s: float = STEP_S) -> list[Answer]:
        """All that the unit answers to these very bytes until it hangs up or says nothing more for a moment."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.unit.port)
        answers: list[Answer] = []
        try:
            writer.write(request)
            while True:
                async with asyncio.timeout(timeout_s if not answers else 0.5):
                    answer = await _read(reader)
                answers.append(answer)
                if not answer.status:
                    return answers
        except (TimeoutError, ConnectionError):
            return answers
        finally:
            writer.transport.abort()

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """One request, of a client that sends just these headers (`_` stands for "-")."""
        payload = b"" if body is None else json.dumps(body).encode()
        lines = {"Host": f"127.0.0.1:{self.unit.port}", "Content-Length": str(len(payload)), "Connection": "close"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return (await self.raw(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + payload))[0]

    async def log_in(self) -> dict[str, str]:
        """Headers of a page that is signed in."""
        answer = await self.ask("POST", "/api/auth/login", {"password": PASSWORD}, Origin=self.origin)
        assert answer.status == 200, answer
        cookies = answer.cookies
        return {
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "Origin": self.origin,
            "X_CSRF_Token": next(value for name, value in cookies.items() if "csrf" in name),
        }

    async def muted(self) -> bool:
        state = await self.unit.state()
        return bool(state["mute"]["audio"])


async def _read(reader: asyncio.StreamReader) -> Answer:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return Answer(0)
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head[1:] if line)]
    length = int(next((value for name, value in headers if name == "content-length"), "0"))
    return Answer(int(head[0].split()[1]), headers, await reader.readexactly(length))


@asynccontextmanager
async def running(state_dir: Path) -> AsyncIterator[Target]:
    port = free_port()
    async with appliance(state_dir, CONFIG.format(port=port), port) as unit:
        code = json.loads((state_dir / "claim.json").read_text())["code"]
        yield Target(unit, code)


@pytest.fixture
async def unclaimed(tmp_path: Path) -> AsyncIterator[Target]:
    async with running(tmp_path) as target:
        yield target


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    """One unit for all attacks that change nothing: nobody has claimed it yet."""
    async with running(tmp_path_factory.mktemp("shared")) as target:
        yield target


@pytest.fixture
async def target(unclaimed: Target) -> Target:
    claim = {"code": unclaimed.code, "password": PASSWORD}
    answer = await unclaimed.ask("POST", "/api/setup/claim", claim, Origin=unclaimed.origin)
    assert answer.status == 200
    return unclaimed


async def test_foreign_names_origins_and_forms_change_nothing(target: Target) -> None:
    page = await target.log_in()
    # DNS rebinding: evil.example resolves to the unit, and the victim's browser sends its own name along
    for host in ("evil.example", f"evil.example:{target.unit.port}", "127.0.0.1.evil.example", "xn--evil", "", "[::1"):
        answer = await target.ask("GET", "/api/auth", Host=host or "\t")
        assert (answer.status, answer.code) == (403, "host"), host
    rebound = f"http://evil.example:{target.unit.port}"
    absolute = f"GET {rebound}/api/auth HTTP/1.1\r\nHost: 127.0.0.1:{target.unit.port}\r\n\r\n".encode()
    assert (await target.raw(absolute))[0].status == 403
    # another site's page, with the victim's cookie
    for origin in ("https://evil.example", rebound, "null", f"http://127.0.0.1:{target.unit.port + 1}", "http://[::1"):
        answer = await target.ask("POST", "/api/mute", {"audio": True}, **{**page, "Origin": origin})
        assert (answer.status, answer.code) == (403, "origin"), origin
    answer = await target.ask("POST", "/api/mute", {"audio": True}, **page, Sec_Fetch_Site="cross-site")
    assert answer.code == "origin"
    # a form: no script, so no token; a page that cannot read the cookie guesses it
    for token in ("", "guess", "0" * 64):
        answer = await target.ask("POST", "/api/mute", {"audio": True}, **{**page, "X_CSRF_Token": token})
        assert (answer.status, answer.code) == (403, "csrf")
    answer = await target.ask("POST", "/api/mute", {"audio": True}, **{**page, "Origin": ""})
    assert (answer.status, answer.code) == (403, "origin")
    # a WebSocket is not held back by the same-origin policy of browsers
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    answer = await target.ask("GET", "/hub/ws", **upgrade, Origin="https://evil.example")
    assert (answer.status, answer.code) == (403, "origin")
    assert not await target.muted()
    assert (await target.ask("POST", "/api/mute", {"audio": True}, **page)).status == 200  # the page itself may
    assert await target.muted()


async def test_no_answer_lets_another_site_read_it(target: Target) -> None:
    page = await target.log_in()
    for path in ("/api/state", "/", "/healthz", "/api/openapi.json"):
        answer = await target.ask("GET", path, **{**page, "Origin": "https://evil.example"})
        assert not answer.all_of("access-control-allow-origin")
        assert answer.all_of("cross-origin-resource-policy") == ["same-origin"]
        assert answer.all_of("x-frame-options") == ["DENY"]
        (policy,) = answer.all_of("content-security-policy")
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    answer = await target.ask(
        "OPTIONS", "/api/mute", Origin="https://evil.example", Access_Control_Request_Method="POST"
    )
    assert answer.status >= 400
    assert not answer.all_of("access-control-allow-origin")


async def test_planted_replayed_and_forged_cookies_and_tokens_open_nothing(target: Target) -> None:
    name = f"room_appliance_{target.unit.port}"
    planted = "A" * 43
    answer = await target.ask(
        "POST", "/api/auth/login", {"password": PASSWORD}, Origin=target.origin, Cookie=f"{name}={planted}"
    )
    assert answer.cookies[name] != planted  # fixation
    page = await target.log_in()
    assert (await target.ask("GET", "/api/state", **page)).status == 200
    assert (await target.ask("POST", "/api/auth/logout", **page)).status == 204
    stored = json.loads((target.unit.log.parent / "sessions.json").read_text())
    digest = stored[0]["digest"] if stored else "0" * 64
    for cookie in (page["Cookie"], f"{name}={planted}", f"{name}={digest}", f"{name}=", f"{name}=admin", "x" * 4000):
        answer = await target.ask("GET", "/api/state", Cookie=cookie)
        assert (answer.status, answer.code) == (401, "unauthorized"), cookie[:40]
    for token in ("", API_TOKEN[:-1], API_TOKEN + "x", API_TOKEN.upper(), digest, "null", "\xff" * 20):
        answer = await target.ask("GET", "/api/state", Authorization=f"Bearer {token}")
        assert (answer.status, answer.code) == (401, "unauthorized"), token
    answer = await target.ask("GET", "/api/state", Authorization=f"Basic {API_TOKEN}")
    assert answer.status == 401


async def test_guessing_is_slowed_down_for_one_address_and_lets_nobody_in(target: Target) -> None:
    statuses = [(await target.ask("POST", "/api/auth/login", {"password": f"password {n}"})).status for n in range(20)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert set(statuses) == {401, 429}
    answer = await target.ask("POST", "/api/auth/login", {"password": PASSWORD})
    assert answer.status == 429  # else the answer would tell a good guess
    assert answer.all_of("retry-after")
    (told,) = answer.all_of("retry-after")
    assert 0 < int(told) <= 300  # never for good


async def test_a_thousand_claim_codes_are_not_tried(unclaimed: Target) -> None:
    statuses = []
    for _ in range(30):
        wish = {"code": "000-000-000", "password": PASSWORD}
        statuses.append((await unclaimed.ask("POST", "/api/setup/claim", wish)).status)
    assert statuses.count(403) <= 4
    assert statuses[-1] == 429
    assert not (unclaimed.unit.log.parent / "owner.json").exists()


async def test_what_belongs_to_set_up_is_shut_once_the_unit_is_claimed(target: Target) -> None:
    answer = await target.ask("POST", "/api/setup/claim", {"code": target.code, "password": "battery staple"})
    assert (answer.status, answer.code) == (403, "not-in-setup")
    for path in ("/setup", "/", "/panel"):
        answer = await target.ask("GET", path)
        assert (answer.status, answer.all_of("location")) == (303, [f"/login?next={path}"])
    document = json.loads((await target.ask("GET", "/api/openapi.json")).body)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation["x-scope"] == "open":
                continue
            answer = await target.ask(method.upper(), path.replace("{", "").replace("}", ""), {})
            assert answer.status in (401, 403, 404), (method, path)
            assert answer.status != 404 or "{" in path
    assert (await target.ask("POST", "/api/auth/login", {"password": "battery staple"})).status == 401
    assert (await target.ask("POST", "/api/auth/login", {"password": PASSWORD})).status == 200


async def test_an_unclaimed_unit_shows_strangers_the_set_up_page_and_nothing_else(unclaimed: Target) -> None:
    for path in ("/", "/panel", "/login"):
        answer = await unclaimed.ask("GET", path)
        assert (answer.status, answer.all_of("location")) == (303, ["/setup"])
    for path in ("/api/state", "/api/config", "/api/logs", "/api/network", "/panel/camera.jpg", "/api/auth/tokens"):
        assert (await unclaimed.ask("GET", path)).status == 401
    for page in ("/login", "/settings"):
        assert (await unclaimed.ask("POST", page)).status >= 400
    answer = await unclaimed.ask("POST", "/api/auth/login", {"password": ""})
    assert answer.status in (400, 409)  # no default password


@pytest.mark.parametrize(
    "path",
    [
        "/static/../auth.py",
        "/static/..%2fauth.py",
        "/static/%2e%2e/%2e%2e/appliance/app.py",
        "/static/..%5c..%5cauth.py",
        "/static/....//auth.py",
        "/static//etc/passwd",
        "/static/%00",
        "/static/home.js%00.html",
        "/hub/static/../../config.py",
        "/hub/static/..%252f..%252fconfig.py",
        "/../../../../etc/passwd",
        "/join/..%2f..%2fetc%2fpasswd/../../../../etc/passwd",
        "//evil.example/static/home.js",
        "/\\evil.example",
    ],
)
async def test_no_path_leads_out_of_the_pages(shared: Target, path: str) -> None:
    (answer, *_) = await shared.raw(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{shared.unit.port}\r\n\r\n".encode())
    assert answer.status in (303, 400, 403, 404)
    assert b"root:" not in answer.body
    assert b"import" not in answer.body
    assert all(location.startswith(("/login", "/setup")) for location in answer.all_of("location"))


async def test_a_body_that_is_too_long_or_lies_about_its_length_is_refused(shared: Target) -> None:
    login = {"Origin": shared.origin}
    for size in (300_000, 5_000_000):
        answer = await shared.ask("POST", "/api/auth/login", {"password": "x" * size}, **login)
        assert answer.status in (0, 413)
    host = f"Host: 127.0.0.1:{shared.unit.port}\r\n"
    (answer, *_) = await shared.raw(
        f"POST /api/auth/login HTTP/1.1\r\n{host}Content-Length: 99999999999999999999\r\n\r\n".encode()
    )
    assert answer.status in (400, 413)
    chunks = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    (answer, *_) = await shared.raw(
        f"POST /api/auth/login HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n".encode() + 40 * chunks
    )
    assert answer.status in (0, 413)
    (answer, *_) = await shared.raw(f"GET /{'a' * 20_000} HTTP/1.1\r\n{host}\r\n".encode())
    assert answer.status in (400, 414)
    (answer, *_) = await shared.raw(f"GET / HTTP/1.1\r\n{host}X: {'a' * 20_000}\r\n\r\n".encode())
    assert answer.status in (400, 431)
    many = "".join(f"X-{n}: a\r\n" for n in range(5000))
    assert (await shared.raw(f"GET /healthz HTTP/1.1\r\n{host}{many}\r\n".encode()))[0].status in (200, 400, 431)
    deep = b'{"password": ' + b"[" * 10_000
    request = f"POST /api/auth/login HTTP/1.1\r\n{host}Content-Length: {len(deep)}\r\n\r\n".encode() + deep
    assert (await shared.raw(request))[0].status == 400
    assert (await shared.ask("GET", "/healthz")).status == 200


async def test_slow_clients_hold_up_nobody_and_are_hung_up_on(shared: Target) -> None:
    """Heads end after 10 s (`tests/appliance/test_connections.py` has all cases with shorter times), bodies too."""
    host = f"Host: 127.0.0.1:{shared.unit.port}\r\n"
    slow = f"POST /api/auth/login HTTP/1.1\r\n{host}Content-Length: 100\r\n\r\n{{".encode()
    waiting = [asyncio.create_task(shared.raw(slow, 20), name=f"slow body {n}") for n in range(20)]
    waiting += [asyncio.create_task(shared.raw(b"GET / HT", 20), name=f"slow head {n}") for n in range(20)]
    assert (await shared.ask("GET", "/healthz")).status == 200  # meanwhile
    results = await asyncio.gather(*waiting)
    assert {answers[0].status for answers in results[:20]} == {408}
    assert {answers[0].status for answers in results[20:]} == {0}


SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",  # CL.TE and TE.CL
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Content-Length: 6\r\nContent-Length: 5\r\n",
        "Content-Length: 6\r\nContent-Length: 6\r\n",
        "Content-Length: 6, 6\r\n",
        "Content-Length: +6\r\n",
        "Content-Length: -6\r\n",
        "Content-Length: 0x6\r\n",
        "Content-Length: 6_0\r\n",
        "Content-Length : 6\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "X: a\r\n Transfer-Encoding: chunked\r\n",  # obs-fold
        "X: a\r\n\tContent-Length: 6\r\n",
        "X: a\nTransfer-Encoding: chunked\r\n",  # bare LF
        "X: a\rTransfer-Encoding: chunked\r\n",  # bare CR
        "X: a\x00b\r\n",
        "X\x00: a\r\n",
        " X: a\r\n",
        ": a\r\n",
        "no colon\r\n",
    ],
)
async def test_a_request_that_two_readers_may_read_in_two_ways_is_refused(shared: Target, head: str) -> None:
    """RFC 9112, 5.1, 5.2, 6.1, 6.3 and 11.2: behind a proxy such a request hides another one."""
    host = f"Host: 127.0.0.1:{shared.unit.port}\r\n"
    body = "0\r\n\r\n" + SMUGGLED.format(port=shared.unit.port)
    answers = await shared.raw(f"POST /healthz HTTP/1.1\r\n{host}{head}\r\n{body}".encode("latin-1"))
    assert [answer.status for answer in answers if answer.status] == [400]


@pytest.mark.parametrize(
    "start",
    [
        "GET /healthz HTTP/1.1\r\n",  # no Host
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n",
        "GET /healthz HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1:{port}\r\n",
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}, evil.example\r\n",
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}@evil.example\r\n",
        "GET /healthz HTTP/9.9\r\nHost: 127.0.0.1:{port}\r\n",
        "GET /healthz\r\nHost: 127.0.0.1:{port}\r\n",
        "get /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n",
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n",
        "TRACE /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n",
    ],
)
async def test_a_request_that_is_not_well_formed_is_refused(shared: Target, start: str) -> None:
    (answer, *_) = await shared.raw(f"{start.format(port=shared.unit.port)}\r\n".encode())
    assert answer.status in (0, 400, 403, 405, 501, 505)
    assert not answer.all_of("access-control-allow-origin")


async def test_no_secret_is_in_the_log_after_all_that(target: Target) -> None:
    page = await target.log_in()
    await target.ask("POST", "/api/auth/login", {"password": "swordfish 77"})
    await target.ask("POST", "/api/setup/claim", {"code": target.code, "password": "battery staple"})
    await target.ask("GET", f"/login?password={PASSWORD.replace(' ', '+')}", **page)
    log = target.unit.log.read_text()
    session_id = page["Cookie"].partition("=")[2].partition(";")[0]
    shown = "-".join((target.code[:3], target.code[3:6], target.code[6:]))
    for secret in (PASSWORD, "swordfish 77", "battery staple", target.code, shown, session_id, API_TOKEN):
        assert secret not in log
    assert "Traceback" not in log
