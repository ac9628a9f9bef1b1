"""Which language the reader of a page wants, and how it is remembered: one cookie for every page of the unit."""

from __future__ import annotations

from aiohttp import web

from provisioning.languages import Languages

LANGUAGE_COOKIE = "room_appliance_language"
_COOKIE_S = 365 * 86_400


def language_of(request: web.Request, languages: Languages) -> str:
    """`?lang=zh` counts most, then the cookie, then Accept-Language."""
    return languages.choose(
        request.query.get("lang", ""),
        request.cookies.get(LANGUAGE_COOKIE, ""),
        request.headers.get("Accept-Language", ""),
    )


def mark(request: web.Request, response: web.StreamResponse, language: str) -> None:
    """Says what language the page is in, and keeps a switch for the next pages."""
    response.headers["Content-Language"] = language
    response.headers["Vary"] = "Cookie, Accept-Language"
    if request.query.get("lang") == language and request.cookies.get(LANGUAGE_COOKIE) != language:
        response.set_cookie(
            LANGUAGE_COOKIE, language, max_age=_COOKIE_S, samesite="Lax", secure=request.secure, path="/"
        )
