"""Which pages may talk to the hub. A browser says where a request comes from; programs say nothing and may."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from aiohttp import web

_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


def is_same_origin(request: web.Request) -> bool:
    """No browser, or a page of this very host and port."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == request.host.lower() != ""
    except ValueError:  # "http://[::1"
        return False


def is_loopback_host(host: str) -> bool:
    """The Host header names this very machine: another name that leads here is somebody's rebinding."""
    return _LOOPBACK.fullmatch(host) is not None
