"""Files for browsers, read once and served from memory; and what a page of this unit may do."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).parent / "static"
SHARED = (STATIC / "base.css", STATIC / "icon.svg")  # every page of the appliance, the room page too

_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # kept, but asked for again each time: a unit's files change with its firmware
}


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    content_type: str
    etag: str

    def response(self, request: web.Request, headers: dict[str, str]) -> web.Response:
        """200, or 304 when the browser has it."""
        headers = {**_HEADERS, **headers, "ETag": f'"{self.etag}"'}
        if any(etag.value in (self.etag, "*") for etag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        charset = "utf-8" if self.content_type.startswith("text/") else None
        return web.Response(body=self.body, content_type=self.content_type, charset=charset, headers=headers)


class Assets:
    """Files by name. Each of `places` is a file or a directory of files. It reads them: make it in a thread."""

    def __init__(self, *places: Path) -> None:
        self._assets = {path.name: _read(path) for place in places for path in _files(place)}

    async def file(self, request: web.Request) -> web.Response:
        """`GET .../{name}`."""
        asset = self._assets.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        return asset.response(request, {})


def page_headers(host: str) -> dict[str, str]:
    """What the page may do: its own files, its own hub, camera and microphone; nobody may frame it."""
    sockets = (
        f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    )  # 'self' alone misses them in older browsers
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"media-src 'self' blob: mediastream:; connect-src 'self'{sockets}; worker-src 'self'; font-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), "
        "geolocation=(), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    }


def _files(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_file()) if place.is_dir() else [place]


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    content_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return make_asset(body, content_type)


def make_asset(body: bytes, content_type: str) -> Asset:
    return Asset(body, content_type, hashlib.sha256(body).hexdigest()[:32])
