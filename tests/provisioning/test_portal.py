"""Pages as a browser gets them: their language, their frame, and what they may do."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from provisioning.assets import STATIC
from provisioning.portal import TEMPLATES, Portal

PAGES = sorted(path.stem for path in TEMPLATES.glob("*.html") if '{% extends "base.html" %}' in path.read_text())
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def http() -> AsyncIterator[Client]:
    portal = Portal(
        unit_name=lambda: '<Front & "door">',
        is_signed_in=lambda request: "Owner" in request.headers,
        version="1.2.3",
        has_panel=True,
    )

    async def page(request: web.Request) -> web.Response:
        return portal.render(request, f"{request.match_info['page']}.html")

    application = web.Application()
    application.add_routes([*portal.routes(), web.get("/page/{page}", page)])
    async with TestClient(TestServer(application)) as client:
        yield client


async def text(http: Client, page: str, query: str = "", **headers: str) -> str:
    async with http.get(f"/page/{page}{query}", headers=headers) as response:
        assert response.status == 200
        return await response.text()


def words(html: str) -> dict[str, str]:
    found = re.search(r'<script type="application/json" id="words">(.*?)</script>', html, re.S)
    assert found
    value: dict[str, str] = json.loads(found[1])
    return value


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_every_page_in_every_language(http: Client, page: str, language: str) -> None:
    html = await text(http, page, **{"Accept-Language": language, "Owner": "yes"})
    assert f'<html lang="{language}"' in html
    assert "{{" not in html
    assert "{%" not in html
    own = words(html)
    assert {key.partition(".")[0] for key in own} <= {"common", page}


@pytest.mark.parametrize("page", PAGES)
async def test_nothing_is_inline_and_everything_is_its_own(http: Client, page: str) -> None:
    """The policy would block it: scripts and styles only as files of this unit."""
    html = await text(http, page, Owner="yes")
    scripts = re.findall(r"<script\b[^>]*>", html)
    assert all("src=" in script or 'type="application/json"' in script for script in scripts)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
    for address in re.findall(r'(?:src|href)="([^"]*)"', html):
        assert not re.match(r"[a-z]+:|//", address), address
        if address.startswith("/static/"):
            async with http.get(address) as response:
                assert response.status == 200, address


async def test_what_a_page_may_do(http: Client) -> None:
    async with http.get("/page/home") as response:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Frame-Options"] == "DENY"


async def test_the_name_of_the_unit_is_text(http: Client) -> None:
    html = await text(http, "home", Owner="yes")
    assert "&lt;Front &amp; &#34;door&#34;&gt;" in html
    assert "<Front" not in html


async def test_strangers_see_no_ways_to_other_pages(http: Client) -> None:
    assert 'id="sign-out"' not in await text(http, "login")
    assert 'href="/settings"' not in await text(http, "login")
    html = await text(http, "home", Owner="yes")
    assert 'href="/settings"' in html
    assert re.search(r'href="/" aria-current="page"', html)


async def test_a_switch_of_language_is_remembered(http: Client) -> None:
    async with http.get("/page/home?lang=zh") as response:
        assert response.headers["Content-Language"] == "zh"
        cookie = response.headers["Set-Cookie"]
        assert "SameSite=Lax" in cookie
    assert '<html lang="zh"' in await text(http, "home", **{"Accept-Language": "en"})
    async with http.get("/page/home?lang=zh") as response:
        assert "Set-Cookie" not in response.headers  # it is remembered


@pytest.mark.parametrize("query", ["?lang=xx", "?lang=../en", "?lang=", "?lang=zh%0d%0aSet-Cookie:x"])
async def test_other_languages_change_nothing(http: Client, query: str) -> None:
    async with http.get(f"/page/home{query}") as response:
        assert response.headers["Content-Language"] == "en"
        assert "Set-Cookie" not in response.headers


async def test_words_cannot_end_the_script(http: Client) -> None:
    html = await text(http, "home")
    between = html.split('id="words">')[1].split("</script>")[0]
    assert "<" not in between


async def test_files_are_kept_and_asked_for_again(http: Client) -> None:
    async with http.get("/static/base.css") as response:
        assert await response.read() == (STATIC / "base.css").read_bytes()
        assert response.headers["Cache-Control"] == "no-cache"
        etag = response.headers["ETag"]
    async with http.get("/static/base.css", headers={"If-None-Match": etag}) as response:
        assert response.status == 304


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fportal.py", "%00"])
async def test_nothing_else_is_served(http: Client, name: str) -> None:
    async with http.get(f"/static/{name}") as response:
        assert response.status == 404


def imports(text: str) -> list[str]:
    return re.findall(r"""from "\./([^"]+)";""", text)


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.js")), ids=lambda path: path.name)
def test_scripts_import_what_is_there(path: Any) -> None:
    assert [name for name in imports(path.read_text()) if not (STATIC / name).is_file()] == []
