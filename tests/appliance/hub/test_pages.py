"""The room page as a browser gets it."""

from __future__ import annotations

import json
import re

import aiohttp
import pytest
from yarl import URL

from appliance.hub.pages import LOCALES, PAGE, STATIC
from provisioning.assets import SHARED, page_headers
from provisioning.languages import places
from provisioning.reader import LANGUAGE_COOKIE
from tests.appliance.hub.wire import serving


async def test_the_room_page_may_do_only_what_it_needs() -> None:
    async with (
        serving() as served,
        aiohttp.ClientSession(served.url) as http,
        http.get("/join/attic") as response,
    ):
        assert response.status == 200
        assert response.content_type == "text/html"
        policy = dict(rule.split(" ", 1) for rule in response.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert policy["connect-src"] == f"'self' ws://127.0.0.1:{served.port} wss://127.0.0.1:{served.port}"
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "camera=(self)" in response.headers["Permissions-Policy"]


@pytest.mark.parametrize("host", ["a b", "x; script-src *", "", "x'y", "x\ny", "a/b"])
def test_a_crooked_host_header_adds_nothing_to_the_policy(host: str) -> None:
    assert page_headers(host)["Content-Security-Policy"] == page_headers(";")["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("asked", "accepted", "expected"), [("", "zh-CN", "zh"), ("?lang=zh", "en", "zh"), ("", "fi", "en")]
)
async def test_the_page_speaks_its_readers_language(asked: str, accepted: str, expected: str) -> None:
    async with serving() as served, aiohttp.ClientSession(served.url) as http:
        async with http.get(f"/join/attic{asked}", headers={"Accept-Language": accepted}) as response:
            assert response.headers["Content-Language"] == expected
            assert response.headers["Vary"] == "Cookie, Accept-Language"
            assert (LANGUAGE_COOKIE in response.cookies) == bool(asked)
            etag, html = response.headers["ETag"], await response.text()
        assert f'<html lang="{expected}"' in html
        assert "{{" not in html
        assert "{%" not in html
        own = json.loads(html.split('id="words">')[1].split("</script>")[0])
        assert own["language.name"] == {"en": "English", "zh": "简体中文"}[expected]
        kept = {"If-None-Match": etag, "Accept-Language": accepted}
        async with http.get(f"/join/attic{asked}", headers=kept) as response:
            assert response.status == 304


def test_every_language_has_every_word_with_the_same_places() -> None:
    languages = {path.stem: json.loads(path.read_text("utf-8")) for path in LOCALES.glob("*.json")}
    english = languages.pop("en")
    assert languages
    for code, words in languages.items():
        missing = {key for key in english.keys() - words.keys() if not key.endswith("_one")}  # not every plural has one
        assert missing == set(), code
        assert words.keys() <= english.keys(), code
        for key, text in words.items():
            assert places(text) == places(english[key]), (code, key)


def test_every_word_that_is_asked_for_is_there() -> None:
    english = json.loads((LOCALES / "en.json").read_text("utf-8"))
    asked: set[str] = set()
    for path in [PAGE, *STATIC.glob("*.js")]:
        asked |= set(re.findall(r"""\b_\(\s*["']([\w.-]+)["']""", path.read_text("utf-8")))
    assert len(asked) > 50
    assert asked - english.keys() == set()


async def test_the_page_needs_nothing_inline() -> None:
    """The policy would block it: scripts and styles only as files."""
    html = PAGE.read_text("utf-8")
    scripts = re.findall(r"<script\b[^>]*>", html)
    assert all("src=" in script or 'type="application/json"' in script for script in scripts)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)


async def test_every_file_of_the_page_is_served_and_kept() -> None:
    async with serving() as served, aiohttp.ClientSession(served.url) as http:
        files = [*(path for path in STATIC.iterdir() if path.is_file()), *SHARED]
        assert len(files) > 10
        for path in files:
            async with http.get(f"/hub/static/{path.name}") as response:
                assert response.status == 200
                assert await response.read() == path.read_bytes()
                if path.suffix == ".js":
                    assert response.content_type == "text/javascript"
                etag = response.headers["ETag"]
                assert response.headers["Cache-Control"] == "no-cache"
            async with http.get(f"/hub/static/{path.name}", headers={"If-None-Match": etag}) as response:
                assert response.status == 304
                assert await response.read() == b""
            async with http.get(f"/hub/static/{path.name}", headers={"If-None-Match": '"other"'}) as response:
                assert response.status == 200


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fserver.py", "%2E%2E%2Fserver.py", "..", "%00", "a/b.js"])
async def test_nothing_else_is_served(name: str) -> None:
    async with (
        serving() as served,
        aiohttp.ClientSession() as http,
        http.get(URL(f"{served.url}/hub/static/{name}", encoded=True)) as response,
    ):
        assert response.status == 404
