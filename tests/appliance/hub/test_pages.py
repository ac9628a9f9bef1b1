"""The room page as a browser gets it."""

from __future__ import annotations

import re

import aiohttp
import pytest
from yarl import URL

from appliance.hub.pages import STATIC
from provisioning.assets import SHARED, page_headers
from tests.appliance.hub.wire import serving


async def test_the_room_page_may_do_only_what_it_needs() -> None:
    async with (
        serving() as served,
        aiohttp.ClientSession(served.url) as http,
        http.get("/join/attic") as response,
    ):
        assert response.status == 200
        assert response.content_type == "text/html"
        assert await response.read() == (STATIC / "room.html").read_bytes()
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


async def test_the_page_needs_nothing_inline() -> None:
    """The policy would block it: scripts and styles only as files."""
    html = (STATIC / "room.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", html)


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
